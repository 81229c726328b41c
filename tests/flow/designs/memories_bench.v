// The same random reads and writes to a design and to its netlist: both must give the same words.
`timescale 1ns / 1ps
module bench;
  reg clk = 0, write = 0;
  reg [13:0] read_address = 0, write_address = 1;
  reg [35:0] data = 0;
  wire [215:0] expected, got;
  integer seed = 1, cycle, read, other, wrong = 0, known = 0;
  rtl_memories rtl (clk, write, read_address, write_address, data,
      expected[35:0], expected[71:36], expected[107:72], expected[143:108], expected[179:144], expected[215:180]);
  memories gates (clk, write, read_address, write_address, data,
      got[35:0], got[71:36], got[107:72], got[143:108], got[179:144], got[215:180]);
  initial begin
    for (cycle = 0; cycle < 4000; cycle = cycle + 1) begin
      #5 clk = 1;
      #1;
      // two of the words that there are, in every memory
      read = {$random(seed)} % 256;
      other = {$random(seed)} % 255;
      read_address = read * 61;
      write_address = ((read + 1 + other) % 256) * 61;
      write = $random(seed);
      data = {$random(seed), $random(seed)};
      #4 clk = 0;
      #1;
      if (cycle > 2 && got !== expected) wrong = wrong + 1;
      if (^got !== 1'bx) known = known + 1;
    end
    $display("%0d wrong, %0d known", wrong, known);
    $finish;
  end
endmodule
