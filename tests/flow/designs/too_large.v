// 40 memories of one 4-kbit block each: more than an iCE40 UP5K has.
module memory (
    input clk,
    input [8:0] address,
    output reg [7:0] q
);
  reg [7:0] words[0:511];
  integer i;
  initial for (i = 0; i < 512; i = i + 1) words[i] = i * 37;
  always @(posedge clk) q <= words[address];
endmodule

module too_large (
    input clk,
    input [8:0] address,
    output [319:0] q
);
  memory m[0:39] (.clk(clk), .address(address), .q(q));
endmodule
