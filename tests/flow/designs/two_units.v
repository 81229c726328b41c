// Two units in a chain: each has a memory of its own, and adds or subtracts its words. Wires between units are named
// after a unit's port, as Amaranth does.
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
  wire [15:0] first__sum;
  wire [15:0] second__sum;
  assign result = second__sum ^ 16'h5a5a;
  unit first (.clk(clk), .rst(rst), .step(step), .valid(valid), .sum(first__sum));
  unit second (.clk(clk), .rst(rst), .step(first__sum[7:0] ^ first__sum[15:8]), .valid(first__sum[3]), .sum(second__sum));
endmodule
