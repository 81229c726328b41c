// Behavior of the PLLs of iCE40 (SB_PLL40_PAD, SB_PLL40_CORE) and ECP5 (EHXPLLL), for simulation of a board's top.
//
// After Lattice's iCE40 sysCLOCK PLL Design and Usage Guide (FPGA-TN-02052) and ECP5 sysCLOCK PLL/DLL Design and Usage
// Guide (FPGA-TN-02200):
//
// - iCE40, simple feedback: comparator = input / (DIVR + 1), oscillator = comparator * (DIVF + 1),
//   output = oscillator / 2^DIVQ.
// - ECP5, the loop closed over CLKOP: comparator = input / CLKI_DIV, oscillator = comparator * CLKFB_DIV * CLKOP_DIV,
//   CLKOP = oscillator / CLKOP_DIV, CLKOS = oscillator / CLKOS_DIV.
// - The frequency of the input is measured. Outputs are low at first; they run before LOCK rises, which it does only if
//   comparator and oscillator are within the data sheets' limits.
//
// Less than the silicon: no phases, no jitter, no other way of feedback, no other outputs (PLLOUTCORE), no bypass.
// For Verilator: --timing, and for its compiler -fcoroutines (-CFLAGS -fcoroutines).
`timescale 1ns / 1ps
module sterna_pll_model(input reference, input enable, output reg out, output reg locked);
  parameter integer COMPARATOR_DIVIDE = 1, OSCILLATOR_MULTIPLY = 1, OUTPUT_DIVIDE = 1;
  parameter real COMPARATOR_MIN = 1.0, COMPARATOR_MAX = 1.0, OSCILLATOR_MIN = 1.0, OSCILLATOR_MAX = 1.0; // MHz
  localparam integer PERIODS_TO_RUN = 8, PERIODS_TO_LOCK = 64;

  integer periods;
  reg running, legal;
  real last, period, comparator, oscillator, next;

  initial begin
    out = 0;
    locked = 0;
    periods = 0;
    running = 0;
    legal = 0;
    last = 0.0;
    period = 1.0;
  end

  always @(posedge reference or negedge enable)
    if (!enable) begin
      periods = 0;
      running = 0;
      locked = 0;
    end else begin
      if (periods > 0) period = $realtime - last;
      last = $realtime;
      if (periods < PERIODS_TO_LOCK) periods = periods + 1;
      if (periods == PERIODS_TO_RUN) begin
        comparator = 1000.0 / period / COMPARATOR_DIVIDE;
        oscillator = comparator * OSCILLATOR_MULTIPLY;
        // A period is measured in whole picoseconds.
        legal = comparator > 0.999 * COMPARATOR_MIN && comparator < 1.001 * COMPARATOR_MAX
            && oscillator > 0.999 * OSCILLATOR_MIN && oscillator < 1.001 * OSCILLATOR_MAX;
        if (!legal) $display("%m: comparator %f MHz, oscillator %f MHz: it does not lock", comparator, oscillator);
        running = 1;
      end
      if (periods == PERIODS_TO_LOCK) locked = legal;
    end

  always begin
    wait (running);
    next = $realtime;
    while (running) begin
      out = ~out;
      // Edges are counted from the first, so that no rounding adds up.
      next = next + period * COMPARATOR_DIVIDE * OUTPUT_DIVIDE / OSCILLATOR_MULTIPLY / 2.0;
      // verilator lint_off ZERODLY
      #(next - $realtime);
      // verilator lint_on ZERODLY
    end
    out = 0;
  end
endmodule

module SB_PLL40_CORE(input REFERENCECLK, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK);
  parameter FEEDBACK_PATH = "SIMPLE", PLLOUT_SELECT = "GENCLK";
  parameter [3:0] DIVR = 0;
  parameter [6:0] DIVF = 0;
  parameter [2:0] DIVQ = 0;
  parameter [2:0] FILTER_RANGE = 0;

  sterna_pll_model #(
    .COMPARATOR_DIVIDE(DIVR + 1), .OSCILLATOR_MULTIPLY(DIVF + 1), .OUTPUT_DIVIDE(1 << DIVQ),
    .COMPARATOR_MIN(10.0), .COMPARATOR_MAX(133.0), .OSCILLATOR_MIN(533.0), .OSCILLATOR_MAX(1066.0)
  ) pll(.reference(REFERENCECLK), .enable(RESETB), .out(PLLOUTGLOBAL), .locked(LOCK));
endmodule

module SB_PLL40_PAD(input PACKAGEPIN, RESETB, BYPASS, output PLLOUTGLOBAL, LOCK);
  parameter FEEDBACK_PATH = "SIMPLE", PLLOUT_SELECT = "GENCLK";
  parameter [3:0] DIVR = 0;
  parameter [6:0] DIVF = 0;
  parameter [2:0] DIVQ = 0;
  parameter [2:0] FILTER_RANGE = 0;

  SB_PLL40_CORE #(
    .FEEDBACK_PATH(FEEDBACK_PATH), .PLLOUT_SELECT(PLLOUT_SELECT),
    .DIVR(DIVR), .DIVF(DIVF), .DIVQ(DIVQ), .FILTER_RANGE(FILTER_RANGE)
  ) core(
    .REFERENCECLK(PACKAGEPIN), .RESETB(RESETB), .BYPASS(BYPASS),
    .PLLOUTGLOBAL(PLLOUTGLOBAL), .LOCK(LOCK)
  );
endmodule

module EHXPLLL(
  input CLKI, CLKFB, RST, STDBY, PHASESEL1, PHASESEL0, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP, ENCLKOS,
  output CLKOP, CLKOS, LOCK
);
  parameter integer CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 8, CLKOS_DIV = 8;
  parameter integer CLKOP_CPHASE = 0, CLKOP_FPHASE = 0, CLKOS_CPHASE = 0, CLKOS_FPHASE = 0;
  parameter CLKOP_ENABLE = "ENABLED", CLKOS_ENABLE = "DISABLED", FEEDBK_PATH = "CLKOP";
  parameter OUTDIVIDER_MUXA = "DIVA", OUTDIVIDER_MUXB = "DIVB";
  parameter PLLRST_ENA = "DISABLED", INTFB_WAKE = "DISABLED", STDBY_ENABLE = "DISABLED", DPHASE_SOURCE = "DISABLED";
  wire other;

  sterna_pll_model #(
    .COMPARATOR_DIVIDE(CLKI_DIV), .OSCILLATOR_MULTIPLY(CLKFB_DIV * CLKOP_DIV), .OUTPUT_DIVIDE(CLKOS_DIV),
    .COMPARATOR_MIN(3.125), .COMPARATOR_MAX(400.0), .OSCILLATOR_MIN(400.0), .OSCILLATOR_MAX(800.0)
  ) pll(.reference(CLKI), .enable(1'b1), .out(CLKOS), .locked(LOCK));
  sterna_pll_model #(
    .COMPARATOR_DIVIDE(CLKI_DIV), .OSCILLATOR_MULTIPLY(CLKFB_DIV * CLKOP_DIV), .OUTPUT_DIVIDE(CLKOP_DIV),
    .COMPARATOR_MIN(3.125), .COMPARATOR_MAX(400.0), .OSCILLATOR_MIN(400.0), .OSCILLATOR_MAX(800.0)
  ) loop(.reference(CLKI), .enable(1'b1), .out(CLKOP), .locked(other));
endmodule
