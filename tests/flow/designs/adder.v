module adder(input clk, input [BITS-1:0] a, input [BITS-1:0] b, output reg [BITS:0] o);
  reg [BITS-1:0] x, y;
  always @(posedge clk) begin
    x <= a;
    y <= b;
    o <= x + y;
  end
endmodule
