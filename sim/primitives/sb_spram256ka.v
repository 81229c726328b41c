// Behavior of the iCE40 UltraPlus's large RAM with one port, for gate-level simulation of mapped netlists.
//
// After Lattice's iCE40 SPRAM Usage Guide (FPGA-TN-02022):
//
// - Nothing is known of it at power-up.
// - At the clock edge, while CHIPSELECT is high, a word is written (WREN; a bit of MASKWREN for each four bits) or read.
//   A read shows its word after that edge.
//
// More pessimistic than the silicon: the output is X after a write; without power, or asleep, it is X, and nothing is
// written.
`timescale 1ns / 1ps
module SB_SPRAM256KA(
  input [13:0] ADDRESS,
  input [15:0] DATAIN,
  input [3:0] MASKWREN,
  input WREN, CHIPSELECT, CLOCK, STANDBY, SLEEP, POWEROFF,
  output reg [15:0] DATAOUT
);
  reg [15:0] words [0:16383];
  wire awake = POWEROFF && !SLEEP && !STANDBY;  // POWEROFF is active low

  always @(posedge CLOCK)
    if (!awake) DATAOUT <= 16'bx;
    else if (CHIPSELECT && WREN) begin
      if (MASKWREN[0]) words[ADDRESS][3:0] <= DATAIN[3:0];
      if (MASKWREN[1]) words[ADDRESS][7:4] <= DATAIN[7:4];
      if (MASKWREN[2]) words[ADDRESS][11:8] <= DATAIN[11:8];
      if (MASKWREN[3]) words[ADDRESS][15:12] <= DATAIN[15:12];
      DATAOUT <= 16'bx;
    end else if (CHIPSELECT) DATAOUT <= words[ADDRESS];
endmodule
