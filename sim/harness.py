"""A Verilog test bench around an accelerator: it reads beats from a file, stalls, checks the protocol, writes beats.

Everything that happens every cycle happens in here, at the simulator's own speed; cocotb only starts it, waits until it
is done and judges. The text is Verilog-2005 and runs in Icarus and Verilator alike. Files lie in the working directory:

==================  ===========================================================================
``input.txt``       one line a beat: tdata in hexadecimal, tlast
``load.txt``        likewise, of the load port, where there is one; stalls with the input, and is sent once
``loads.txt``       cycle of each load's last transfer
``*_stall.txt``     one bit a line, :data:`STALL_CYCLES` of them, repeated; read with ``+*_stall``
``output.txt``      tdata of every output transfer
``starts.txt``      cycle of each frame's first input transfer
``ends.txt``        cycle of each frame's last output transfer
``trace_K.txt``     payload of every transfer at the output of the manifest's unit K
==================  ===========================================================================
"""

from __future__ import annotations

import re
from enum import IntEnum

from sterna.sim.errors import SimulationError
from sterna.sim.manifest import Manifest

_TOP = "sterna_harness"
_RENAMED = "sterna_dut"
STALL_CYCLES = 1 << 14


class Fault(IntEnum):
    """Why the harness stopped before its time."""

    NONE = 0
    HANG = 1
    UNKNOWN = 2
    RETRACTED = 3
    TLAST = 4
    EXTRA = 5
    FRAME_ERROR = 6
    LOAD_ERROR = 7
    LOADED = 8

    @property
    def meaning(self) -> str:
        """What happened, as the end of a sentence."""
        return _MEANING[self]


_MEANING = {
    Fault.NONE: "nothing is wrong",
    Fault.HANG: "no beat was taken or given for a long time, though neither side stalled",
    Fault.UNKNOWN: "an output is X or Z",
    Fault.RETRACTED: "the output changed, or was withdrawn, while it waited for tready",
    Fault.TLAST: "tlast of the output is in the wrong place",
    Fault.EXTRA: "more beats left than belong to the frames that were sent",
    Fault.FRAME_ERROR: "frame_error was raised, though tlast was in its place",
    Fault.LOAD_ERROR: "load_error was raised, though all words were sent",
    Fault.LOADED: "a frame was taken before all words were loaded",
}


class Harness:
    """Verilog of the test bench around a design.

    Parameters
    ----------
    manifest : :class:`~sterna.sim.manifest.Manifest`
        The accelerator.
    design : :class:`str`
        Its Verilog.
    trace : :class:`bool`
        Also record every unit's output stream.
    waves : :class:`str` or ``None``
        Dump all signals to this file.

    Raises
    ------
    :exc:`~sterna.sim.errors.SimulationError`
        If the design has no module of the accelerator's name.
    """

    def __init__(self, manifest: Manifest, design: str, *, trace: bool = False, waves: str | None = None) -> None:
        self._manifest = manifest
        self._design = design
        taken = _modules(design)
        if manifest.name not in taken:
            raise SimulationError(f"{manifest.name}: the Verilog has no module of that name")
        self._top = _unlike(_TOP, taken)
        self._dut = manifest.name
        names = {part for unit in manifest.units for part in (*unit.transfer, *unit.payload)}
        if trace and manifest.name in names:
            # In a path, Icarus takes a module's name for the module itself, and finds no instance in it that has it.
            self._dut = _unlike(_RENAMED, taken | names)
            self._design = _declaration(manifest.name).sub(rf"\g<1>{self._dut} ", design, count=1)
        self._text = self._fill(trace, waves)

    @property
    def top(self) -> str:
        """The test bench's module; no module of the design has its name."""
        return self._top

    @property
    def text(self) -> str:
        """The test bench."""
        return self._text

    @property
    def design(self) -> str:
        """The design; its top module has another name where one of its instances has the same."""
        return self._design

    def _fill(self, trace: bool, waves: str | None) -> str:
        manifest = self._manifest
        text = _TEMPLATE
        load = manifest.load_port
        for key, value in {
            "@LOAD_PORTS@": _LOAD_PORTS if load else "",
            "@LOAD_SOURCE@": _LOAD_SOURCE if load else _NO_LOAD,
            "@L@": load.prefix if load else "",
            "@L_MSB@": str(load.tdata_width - 1 if load else 0),
            "@TOP@": self._top,
            "@DUT@": f"\\{self._dut} ",
            "@CLK@": manifest.clock,
            "@RST@": manifest.reset,
            "@S@": manifest.input.prefix,
            "@M@": manifest.output.prefix,
            "@S_MSB@": str(manifest.input.tdata_width - 1),
            "@M_MSB@": str(manifest.output.tdata_width - 1),
            "@BEATS@": str(manifest.output.beats),
            "@STALLS@": str(STALL_CYCLES),
            "@PHASE_MSB@": str(STALL_CYCLES.bit_length() - 2),
            "@WAVES@": f'initial begin $dumpfile("{waves}"); $dumpvars(0, {self._top}); end' if waves else "",
            "@TRACES@": "\n".join(_trace(manifest, k) for k in range(len(manifest.units))) if trace else "",
        }.items():
            text = text.replace(key, value)
        for fault in Fault:
            text = text.replace(f"@{fault.name}@", str(fault.value))
        return text


def _modules(verilog: str) -> set[str]:
    """Names of the modules, and perhaps words behind "module" in comments."""
    return {name.removeprefix("\\") for name in re.findall(r"\bmodule\s+(\\\S+|[A-Za-z_][\w$]*)", verilog)}


def _declaration(name: str) -> re.Pattern[str]:
    escaped = re.escape(name)
    return re.compile(rf"^(\s*module\s+)(?:\\{escaped}(?=\s)|{escaped}(?![\w$]))", re.MULTILINE)


def _unlike(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _trace(manifest: Manifest, k: int) -> str:
    unit = manifest.units[k]

    def signal(path: tuple[str, ...]) -> str:
        return "dut." + ".".join(f"\\{part} " for part in path)

    width = unit.element_width * unit.elements_per_beat
    return f"""
  integer trace_{k};
  wire trace_{k}_transfer = {signal(unit.transfer)};
  wire [{width - 1}:0] trace_{k}_payload = {signal(unit.payload)};
  initial trace_{k} = $fopen("trace_{k}.txt", "w");
  always @(posedge clk)
    if (!rst && !done && trace_{k}_transfer) $fwrite(trace_{k}, "%h\\n", trace_{k}_payload);
"""


#: Ports of the accelerator that loads words.
_LOAD_PORTS = """,
    .@L@_tdata(l_tdata), .@L@_tvalid(l_tvalid), .@L@_tready(l_tready), .@L@_tlast(l_tlast),
    .loaded(loaded), .load_error(load_error)"""

#: Where there are none.
_NO_LOAD = "wire loading = 0, loaded = 1, load_error = 0;"

_LOAD_SOURCE = """
  // the host, which loads all that it is given, as soon as it is taken
  reg [@L_MSB@:0] l_tdata = 0;
  reg l_tvalid = 0;
  reg l_tlast = 0;
  wire l_tready, loaded, load_error;
  wire loading = l_tvalid && l_tready;
  integer load_fd;
  integer loads_fd;
  initial load_fd = $fopen("load.txt", "r");
  initial loads_fd = $fopen("loads.txt", "w");
  always @(posedge clk) if (!rst && !done && loading && l_tlast) $fwrite(loads_fd, "%0d\\n", cycle);
  reg [@L_MSB@:0] load_data;
  reg [0:0] load_last;
  reg load_exhausted = 0;
  always @(posedge clk)
    if (!rst && !done && (!l_tvalid || l_tready)) begin
      l_tvalid <= 0;
      if (!load_exhausted && !input_stall) begin
        if ($fscanf(load_fd, "%h %b", load_data, load_last) == 2) begin
          l_tdata <= load_data;
          l_tlast <= load_last;
          l_tvalid <= 1;
        end else load_exhausted <= 1;
      end
    end
"""

_TEMPLATE = """\
`timescale 1ns / 1ps
module @TOP@;
  reg clk /* verilator public_flat_rw */ = 0;
  reg done /* verilator public_flat_rw */ = 0;
  reg [7:0] fault /* verilator public_flat_rw */ = @NONE@;
  reg [31:0] fault_frame /* verilator public_flat_rw */ = 0;
  reg [31:0] fault_cycle /* verilator public_flat_rw */ = 0;

  reg rst = 1;
  reg [31:0] cycle = 0;
  reg [31:0] frames, patience, drain;
  integer input_fd, output_fd, starts_fd, ends_fd;
  reg [0:0] input_stalls [0:@STALLS@-1];
  reg [0:0] output_stalls [0:@STALLS@-1];
  reg input_stalling, output_stalling;

  initial begin
    if (!$value$plusargs("frames=%d", frames)) frames = 0;
    if (!$value$plusargs("patience=%d", patience)) patience = 100000;
    if (!$value$plusargs("drain=%d", drain)) drain = 0;
    input_stalling = $test$plusargs("input_stall") != 0;
    output_stalling = $test$plusargs("output_stall") != 0;
    if (input_stalling) $readmemb("input_stall.txt", input_stalls);
    if (output_stalling) $readmemb("output_stall.txt", output_stalls);
    input_fd = $fopen("input.txt", "r");
    output_fd = $fopen("output.txt", "w");
    starts_fd = $fopen("starts.txt", "w");
    ends_fd = $fopen("ends.txt", "w");
  end
  @WAVES@

  wire [@PHASE_MSB@:0] phase = cycle[@PHASE_MSB@:0];
  wire input_stall = input_stalling && input_stalls[phase];
  wire output_stall = output_stalling && output_stalls[phase];

  reg [@S_MSB@:0] s_tdata = 0;
  reg s_tvalid = 0;
  reg s_tlast = 0;
  wire s_tready;
  wire [@M_MSB@:0] m_tdata;
  wire m_tvalid, m_tlast, frame_error;
  reg m_tready = 0;

  @DUT@ dut(
    .@CLK@(clk), .@RST@(rst),
    .@S@_tdata(s_tdata), .@S@_tvalid(s_tvalid), .@S@_tready(s_tready), .@S@_tlast(s_tlast),
    .@M@_tdata(m_tdata), .@M@_tvalid(m_tvalid), .@M@_tready(m_tready), .@M@_tlast(m_tlast),
    .frame_error(frame_error)@LOAD_PORTS@
  );
  @LOAD_SOURCE@

  // source: offers the next beat of the file, and holds it until it is taken
  reg [@S_MSB@:0] next_data;
  reg [0:0] next_last;
  integer fields;
  reg exhausted = 0;
  always @(posedge clk)
    if (!rst && !done && (!s_tvalid || s_tready)) begin
      s_tvalid <= 0;
      if (!exhausted && !input_stall) begin
        fields = $fscanf(input_fd, "%h %b", next_data, next_last);
        if (fields == 2) begin
          s_tdata <= next_data;
          s_tlast <= next_last;
          s_tvalid <= 1;
        end else exhausted <= 1;
      end
    end

  reg [31:0] ended /* verilator public_flat_rw */ = 0;

  // all input is taken, and all results are there: what no result needs may still be on its way
  wire delivered = exhausted && !s_tvalid && ended == frames;

  // sink, and the protocol's rules
  reg in_frame = 0;
  reg waiting = 0;
  reg [@M_MSB@:0] waiting_data = 0;
  reg waiting_last = 0;
  reg [31:0] beat = 0;
  reg [31:0] idle = 0;
  reg [31:0] tail = 0;
  wire unknown = (^{s_tready, m_tvalid, frame_error, loaded, load_error} === 1'bx) ||
    (m_tvalid === 1'b1 && ^{m_tdata, m_tlast} === 1'bx);
  reg [7:0] found;
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (cycle == 3) rst <= 0;
    m_tready <= !output_stall && cycle >= 3;
    if (!rst && !done) begin
      found = @NONE@;
      if (!input_stall && !output_stall) idle <= idle + 1;
      if (s_tvalid && s_tready) begin
        if (!in_frame) $fwrite(starts_fd, "%0d\\n", cycle);
        in_frame <= !s_tlast;
        idle <= 0;
      end
      if (m_tvalid && m_tready) begin
        $fwrite(output_fd, "%h\\n", m_tdata);
        idle <= 0;
        beat <= m_tlast ? 0 : beat + 1;
        if (m_tlast != (beat == @BEATS@ - 1)) found = @TLAST@;
        if (ended == frames) found = @EXTRA@;
        else if (m_tlast) begin
          $fwrite(ends_fd, "%0d\\n", cycle);
          ended <= ended + 1;
        end
      end
      waiting <= m_tvalid && !m_tready;
      waiting_data <= m_tdata;
      waiting_last <= m_tlast;
      if (waiting && (!m_tvalid || m_tdata != waiting_data || m_tlast != waiting_last)) found = @RETRACTED@;
      if (frame_error) found = @FRAME_ERROR@;
      if (loading) idle <= 0;
      if (load_error) found = @LOAD_ERROR@;
      if (!loaded && (s_tready || m_tvalid)) found = @LOADED@;
      if (!delivered && idle == patience) found = @HANG@;
      if (unknown) found = @UNKNOWN@;
      if (delivered) tail <= tail + 1;
      if (found != @NONE@ || tail == drain + 1) begin
        fault <= found;
        fault_frame <= ended;
        fault_cycle <= cycle;
        done <= 1;
      end
    end
  end
@TRACES@
endmodule
"""
