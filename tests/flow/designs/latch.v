// A forgotten else makes a latch.
module latch (
    input clk,
    input enable,
    input d,
    output reg q
);
  reg kept;
  always @* if (enable) kept = d;
  always @(posedge clk) q <= kept;
endmodule
