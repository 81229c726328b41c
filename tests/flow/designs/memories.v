// One memory of each width that a block RAM has, read and written at addresses that differ, each behind a register.
module memory #(
    parameter WIDTH = 1,
    parameter DEPTH_BITS = 14
) (
    input clk,
    input write,
    input [13:0] read_address,
    input [13:0] write_address,
    input [35:0] data,
    output reg [35:0] register
);
  (* no_rw_check *)
  reg [WIDTH-1:0] words[0:(1<<DEPTH_BITS)-1];
  reg [WIDTH-1:0] word;
  integer i;
  // 256 words that differ in every address bit; all that are ever read or written
  initial for (i = 0; i < 256; i = i + 1) words[i*61%(1<<DEPTH_BITS)] = i * 40503 >> 3;
  always @(posedge clk) begin
    if (write) words[write_address[DEPTH_BITS-1:0]] <= data[WIDTH-1:0];
    word <= words[read_address[DEPTH_BITS-1:0]];
    register <= word;
  end
endmodule

module memories (
    input clk,
    input write,
    input [13:0] read_address,
    input [13:0] write_address,
    input [35:0] data,
    output [35:0] w1, w2, w4, w9, w18, w36
);
  memory #(1, 14) m1 (clk, write, read_address, write_address, data, w1);
  memory #(2, 13) m2 (clk, write, read_address, write_address, data, w2);
  memory #(4, 12) m4 (clk, write, read_address, write_address, data, w4);
  memory #(9, 11) m9 (clk, write, read_address, write_address, data, w9);
  memory #(18, 10) m18 (clk, write, read_address, write_address, data, w18);
  memory #(36, 9) m36 (clk, write, read_address, write_address, data, w36);
endmodule
