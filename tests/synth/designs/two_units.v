// Two units in a chain: each has a memory of its own, and adds or subtracts its words.
module unit (
    input clk,
    input rst,
    input [7:0] step,
    input valid,
    output reg [15:0] sum
);
  reg [15:0] memory[0:511];
  reg [8:0] address;
  reg [15:0] word;
  integer i;
  initial for (i = 0; i < 512; i = i + 1) memory[i] = i * 37;
  always @(posedge clk) begin
    word <= memory[address];
    if (rst) begin
      address <= 0;
      sum <= 0;
    end else if (valid) begin
      address <= address + step;
      sum <= word[0] ? sum - word : sum + word;
    end
  end
endmodule

module two_units (
    input clk,
    input rst,
    input [7:0] step,
    input valid,
    output [15:0] result
);
  wire [15:0] middle;
  unit first (.clk(clk), .rst(rst), .step(step), .valid(valid), .sum(middle));
  unit second (.clk(clk), .rst(rst), .step(middle[7:0] ^ middle[15:8]), .valid(middle[3]), .sum(result));
endmodule
