// Behavior of the ECP5's block RAM, for gate-level simulation of mapped netlists.
//
// After Lattice's ECP5 and ECP5-5G Memory Usage Guide (FPGA-TN-02204, formerly TN1264) and Lattice's simulation
// library for the 18-kbit block:
//
// - Address pins count bits: a port of 1, 2, 4, 9, 18 or 36 bits ignores the lowest 0, 1, 2, 3, 4 or 5. Ports of less
//   than 9 bits use 8 of a byte's 9 bits. Ports of 18 and 36 bits take their byte enables from the lowest address pins.
// - Address, data and WE are taken at the clock edge while CE is high and CS equals CSDECODE. A read shows its word
//   after that edge. A write leaves the output as it was (NORMAL), or shows the old word (READBEFOREWRITE) or the new
//   one (WRITETHROUGH).
// - REGMODE OUTREG: a register behind the output takes it at the next edge of the same clock while OCE is high; CE and
//   CS do not hold it.
// - RST clears the output and the register at the clock edge (RESETMODE SYNC; the register only while OCE is high) or
//   at once (ASYNC), and inhibits writing. It never clears the memory.
// - 36 bits: port A writes, with DIB as the upper half; port B reads, with DOA as the lower half. DOA then has port B's
//   clock, OCE and RST, and a register by REGMODE_A.
// - INITVAL holds words of 18 bits in 20.
// - A bit that one port reads while the other writes it is undefined: X. Both ports must have the same clock, or clocks
//   that never rise together.
//
// More pessimistic than the silicon: output and register are X until something was read; where both ports write into
// the same 36 bits at once, all of them are X.
`timescale 1ns / 1ps
module DP16KD(
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1,
      DIA0,
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1,
      DOA0,
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1,
      DIB0,
  input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
  input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1,
      DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter GSR = "ENABLED";
  parameter [319:0]
    INITVAL_00 = 320'h0, INITVAL_01 = 320'h0, INITVAL_02 = 320'h0, INITVAL_03 = 320'h0,
    INITVAL_04 = 320'h0, INITVAL_05 = 320'h0, INITVAL_06 = 320'h0, INITVAL_07 = 320'h0,
    INITVAL_08 = 320'h0, INITVAL_09 = 320'h0, INITVAL_0A = 320'h0, INITVAL_0B = 320'h0,
    INITVAL_0C = 320'h0, INITVAL_0D = 320'h0, INITVAL_0E = 320'h0, INITVAL_0F = 320'h0,
    INITVAL_10 = 320'h0, INITVAL_11 = 320'h0, INITVAL_12 = 320'h0, INITVAL_13 = 320'h0,
    INITVAL_14 = 320'h0, INITVAL_15 = 320'h0, INITVAL_16 = 320'h0, INITVAL_17 = 320'h0,
    INITVAL_18 = 320'h0, INITVAL_19 = 320'h0, INITVAL_1A = 320'h0, INITVAL_1B = 320'h0,
    INITVAL_1C = 320'h0, INITVAL_1D = 320'h0, INITVAL_1E = 320'h0, INITVAL_1F = 320'h0,
    INITVAL_20 = 320'h0, INITVAL_21 = 320'h0, INITVAL_22 = 320'h0, INITVAL_23 = 320'h0,
    INITVAL_24 = 320'h0, INITVAL_25 = 320'h0, INITVAL_26 = 320'h0, INITVAL_27 = 320'h0,
    INITVAL_28 = 320'h0, INITVAL_29 = 320'h0, INITVAL_2A = 320'h0, INITVAL_2B = 320'h0,
    INITVAL_2C = 320'h0, INITVAL_2D = 320'h0, INITVAL_2E = 320'h0, INITVAL_2F = 320'h0,
    INITVAL_30 = 320'h0, INITVAL_31 = 320'h0, INITVAL_32 = 320'h0, INITVAL_33 = 320'h0,
    INITVAL_34 = 320'h0, INITVAL_35 = 320'h0, INITVAL_36 = 320'h0, INITVAL_37 = 320'h0,
    INITVAL_38 = 320'h0, INITVAL_39 = 320'h0, INITVAL_3A = 320'h0, INITVAL_3B = 320'h0,
    INITVAL_3C = 320'h0, INITVAL_3D = 320'h0, INITVAL_3E = 320'h0, INITVAL_3F = 320'h0;

  reg [35:0] memory [0:511];
  localparam [20479:0] INIT = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
    INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
    INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
    INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
    INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
    INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
    INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
    INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00
  };
  integer k;
  initial for (k = 0; k < 512; k = k + 1) memory[k] = {INIT[40 * k + 20 +: 18], INIT[40 * k +: 18]};

  // where a port's data begin in the 36 bits at an address
  function [5:0] offset(input integer width, input [13:0] address);
    case (width)
      36: offset = 0;
      18: offset = 18 * address[4];
      9: offset = 9 * address[4:3];
      4: offset = 9 * address[4:3] + 4 * address[2];
      2: offset = 9 * address[4:3] + 2 * address[2:1];
      default: offset = 9 * address[4:3] + address[2:0];
    endcase
  endfunction

  function [35:0] mask(input integer width);
    mask = ~(~36'b0 << width);
  endfunction

  // the bits that a write writes, of the 36 at an address
  function [35:0] enabled(input integer width, input [13:0] address);
    case (width)
      36: enabled = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
      18: enabled = {18'b0, {9{address[1]}}, {9{address[0]}}} << offset(width, address);
      default: enabled = mask(width) << offset(width, address);
    endcase
  endfunction

  function [2:0] chip(input [39:0] decode); // "0b101"
    chip = {decode[16], decode[8], decode[0]};
  endfunction

  wire [17:0] input_A = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
      DIA3, DIA2, DIA1, DIA0};
  wire [17:0] input_B = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
      DIB3, DIB2, DIB1, DIB0};

  // ---- port A
  wire [13:0] address_A = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [35:0] data_A = {input_B, input_A} << offset(DATA_WIDTH_A, address_A);
  wire clock_A = CLKAMUX == "INV" ? ~CLKA : CLKA;
  wire clear_A = RESETMODE == "ASYNC" && RSTA;
  wire select_A = CEA && {CSA2, CSA1, CSA0} == chip(CSDECODE_A);
  wire write_A = select_A && WEA && !RSTA;
  wire [35:0] written_A = write_A ? enabled(DATA_WIDTH_A, address_A) : 36'b0;
  wire [35:0] clash_A = address_A[13:5] == address_B[13:5] ? written_B : 36'b0;
  wire [35:0] old_A = memory[address_A[13:5]];
  wire [35:0] new_A = old_A & ~written_A | data_A & written_A;
  wire [35:0] read_A = old_A & ~clash_A | {36{1'bx}} & clash_A;
  wire [35:0] shown_A = write_A && WRITEMODE_A == "WRITETHROUGH" ? new_A : read_A;
  reg [35:0] output_A, register_A;
  always @(posedge clock_A)
    if (write_A) memory[address_A[13:5]] <= clash_A == 36'b0 ? new_A : {36{1'bx}};
  always @(posedge clock_A or posedge clear_A)
    if (clear_A) output_A <= 36'b0;
    else if (RSTA) output_A <= 36'b0;
    else if (select_A && !(write_A && WRITEMODE_A == "NORMAL"))
      output_A <= shown_A >> offset(DATA_WIDTH_A, address_A) & mask(DATA_WIDTH_A);
  always @(posedge clock_A or posedge clear_A)
    if (clear_A) register_A <= 36'b0;
    else if (OCEA) register_A <= RSTA ? 36'b0 : output_A;

  // ---- port B
  wire [13:0] address_B = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [35:0] data_B = {18'b0, input_B} << offset(DATA_WIDTH_B, address_B);
  wire clock_B = CLKBMUX == "INV" ? ~CLKB : CLKB;
  wire clear_B = RESETMODE == "ASYNC" && RSTB;
  wire select_B = CEB && {CSB2, CSB1, CSB0} == chip(CSDECODE_B);
  wire write_B = select_B && WEB && !RSTB;
  wire [35:0] written_B = write_B ? enabled(DATA_WIDTH_B, address_B) : 36'b0;
  wire [35:0] clash_B = address_A[13:5] == address_B[13:5] ? written_A : 36'b0;
  wire [35:0] old_B = memory[address_B[13:5]];
  wire [35:0] new_B = old_B & ~written_B | data_B & written_B;
  wire [35:0] read_B = old_B & ~clash_B | {36{1'bx}} & clash_B;
  wire [35:0] shown_B = write_B && WRITEMODE_B == "WRITETHROUGH" ? new_B : read_B;
  reg [35:0] output_B, register_B;
  always @(posedge clock_B)
    if (write_B) memory[address_B[13:5]] <= clash_B == 36'b0 ? new_B : {36{1'bx}};
  always @(posedge clock_B or posedge clear_B)
    if (clear_B) output_B <= 36'b0;
    else if (RSTB) output_B <= 36'b0;
    else if (select_B && !(write_B && WRITEMODE_B == "NORMAL"))
      output_B <= shown_B >> offset(DATA_WIDTH_B, address_B) & mask(DATA_WIDTH_B);
  always @(posedge clock_B or posedge clear_B)
    if (clear_B) register_B <= 36'b0;
    else if (OCEB) register_B <= RSTB ? 36'b0 : output_B;

  wire wide = DATA_WIDTH_B == 36;
  wire [35:0] port_A = wide ? (REGMODE_A == "OUTREG" ? register_B : output_B)
                            : (REGMODE_A == "OUTREG" ? register_A : output_A);
  wire [35:0] port_B = (REGMODE_B == "OUTREG" ? register_B : output_B) >> (wide ? 18 : 0);
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
      DOA1, DOA0} = port_A[17:0];
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
      DOB1, DOB0} = port_B[17:0];
endmodule
