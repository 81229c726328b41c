// A deliberate multiplication, one level down: the check has to see it.
module unit (
    input clk,
    input [15:0] a,
    input [15:0] b,
    output reg [31:0] y
);
  always @(posedge clk) y <= a * b;
endmodule

module multiply (
    input clk,
    input [15:0] a,
    input [15:0] b,
    output [31:0] y
);
  unit inner (.clk(clk), .a(a), .b(b), .y(y));
endmodule
