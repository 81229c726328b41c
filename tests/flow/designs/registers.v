// Memories behind registers of several kinds; only the plain one can become the block RAM's own.
module memory (
    input clk,
    input [9:0] address,
    output reg [17:0] word
);
  (* ram_style = "block" *)
  reg [17:0] words[0:1023];
  integer i;
  initial for (i = 0; i < 1024; i = i + 1) words[i] = i * 40503 >> 3;
  always @(posedge clk) word <= words[address];
endmodule

module registers (
    input clk,
    input rst,
    input enable,
    input [9:0] address,
    output reg [17:0] plain_q, enabled_q, cleared_q, falling_q, shared_q,
    output parity
);
  wire [17:0] plain_d, enabled_d, cleared_d, falling_d, shared_d;
  memory plain (clk, address, plain_d);
  memory enabled (clk, address ^ 10'd1, enabled_d);
  memory cleared (clk, address ^ 10'd2, cleared_d);
  memory falling (clk, address ^ 10'd3, falling_d);
  memory shared (clk, address ^ 10'd4, shared_d);
  assign parity = ^shared_d;
  always @(posedge clk) begin
    plain_q <= plain_d;
    if (enable) enabled_q <= enabled_d;
    cleared_q <= rst ? 18'd0 : cleared_d;
    shared_q <= shared_d;
  end
  always @(negedge clk) falling_q <= falling_d;
endmodule
