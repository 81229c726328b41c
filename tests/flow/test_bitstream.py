"""Bitstreams of small tops: what they hold, and that nothing is left of one that failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sterna.flow.bitstream import ClockMissed, Pin, Routed, constraints, pack_top, route, write_bitstream
from sterna.flow.devices import Device, Family, Resource, device_of_part
from sterna.flow.toolchain import Tool, find_tool
from sterna.net.errors import ToolError

UP5K = device_of_part("iCE40UP5K", package="SG48")
ECP5 = device_of_part("LFE5U-12F", package="BG381", speed=6)

# A counter of 20 bits at a PLL's clock: 48 MHz of 12 MHz, 50 MHz of 25 MHz.
ICE40_TOP = """
module top(input clk, output led);
  reg [19:0] count = 0;
  wire fast;
  always @(posedge fast) count <= count + 1;
  assign led = count[19];
  SB_PLL40_PAD #(.FEEDBACK_PATH("SIMPLE"), .DIVR(4'd0), .DIVF(7'd63), .DIVQ(3'd4), .FILTER_RANGE(3'd1))
    pll(.PACKAGEPIN(clk), .PLLOUTGLOBAL(fast), .RESETB(1'b1), .BYPASS(1'b0));
endmodule
"""
ECP5_TOP = """
module top(input clk, output led);
  reg [19:0] count = 0;
  wire fast;
  always @(posedge fast) count <= count + 1;
  assign led = count[19];
  EHXPLLL #(.CLKI_DIV(1), .CLKFB_DIV(2), .CLKOP_DIV(12), .CLKOP_ENABLE("ENABLED"), .FEEDBK_PATH("CLKOP"))
    pll(.CLKI(clk), .CLKFB(fast), .CLKOP(fast), .RST(1'b0), .STDBY(1'b0), .ENCLKOP(1'b0));
endmodule
"""
MULTIPLIER_TOP = """
module top(input clk, input rx, output reg tx = 0);
  reg [15:0] a = 1;
  reg [31:0] b = 1;
  always @(posedge clk) begin a <= {a, rx}; b <= a * b[15:0]; tx <= ^b; end
endmodule
"""
TOPS = {Family.ICE40: (UP5K, ICE40_TOP, 48e6), Family.ECP5: (ECP5, ECP5_TOP, 50e6)}


def pins_of(family: Family) -> list[Pin]:
    if family is Family.ICE40:
        return [Pin(port="clk", site="35", clock_hz=12_000_000), Pin(port="led", site="11", attributes={"PULLUP": "1"})]
    io = {"IO_TYPE": "LVCMOS33"}
    return [Pin(port="clk", site="G2", attributes=io, clock_hz=25_000_000), Pin(port="led", site="B2", attributes=io)]


def routed_top(device: Device, verilog: str, work: Path, pins: list[Pin] | None = None) -> Routed:
    work.mkdir(exist_ok=True)
    pins = pins_of(device.family) if pins is None else pins
    return route(pack_top(verilog, top="top", device=device, pins=pins, work=work), seed=1)


@pytest.mark.parametrize("family", list(Family))
def test_a_bitstream(family: Family, tmp_path: Path) -> None:
    device, verilog, hz = TOPS[family]
    work, out = tmp_path / "work", tmp_path / "new" / "top.bin"
    routed = routed_top(device, verilog, work)
    # nextpnr derives the clock from the dividers by itself, in whole picoseconds.
    assert routed.asked_hz == pytest.approx(hz, rel=1e-3)
    assert routed.reached_hz > 0.9 * hz
    assert 0 < routed.packed.utilization[Resource.SLOTS][0] < 100
    asked = routed.reached_hz
    assert write_bitstream(routed, out, asked_hz=asked) == out.stat().st_size
    content = out.read_bytes()
    # The preambles of the vendors' configuration guides (FPGA-TN-02001, FPGA-TN-02039).
    assert (b"\x7e\xaa\x99\x7e" if family is Family.ICE40 else b"\xff\xff\xbd\xb3") in content[:256]
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    with pytest.raises(ClockMissed, match=r"^place and route reached .* MHz .*: ask for a lower --clock, try more"):
        write_bitstream(routed, tmp_path / "other" / "top.bin", asked_hz=asked + 1)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_bitstream_has_the_pins(tmp_path: Path) -> None:
    """icepack's own unpacking gives the configuration back; two pins give two configurations."""
    configurations = []
    for number, site in enumerate(("11", "37")):
        work = tmp_path / str(number)
        pins = [pins_of(Family.ICE40)[0], Pin(port="led", site=site)]
        routed = routed_top(UP5K, ICE40_TOP, work, pins)
        write_bitstream(routed, work / "out.bin", asked_hz=1e6)
        subprocess.run(
            [*find_tool(Tool.ICEPACK), "-u", "out.bin", "out.asc"],
            cwd=work,
            check=True,
            timeout=120,
            capture_output=True,
        )
        configurations.append((work / "out.asc").read_text())
        tiles = [line for line in (work / routed.config).read_text().splitlines() if line.startswith(".io_tile")]
        assert tiles
        assert all(tile in configurations[-1] for tile in tiles)
    assert configurations[0] != configurations[1]


@pytest.mark.parametrize("tool", [Tool.ICEPACK, Tool.NEXTPNR_ICE40])
def test_nothing_is_left_of_a_failure(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, out = tmp_path / "work", tmp_path / "top.bin"
    out.write_bytes(b"the old one")
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'ERROR: out of luck'\nexit 1\n")
    broken.chmod(0o755)
    if tool is Tool.NEXTPNR_ICE40:
        monkeypatch.setenv(tool.value, str(broken))
        with pytest.raises(ToolError, match="out of luck"):
            routed_top(UP5K, ICE40_TOP, work)
    else:
        routed = routed_top(UP5K, ICE40_TOP, work)
        monkeypatch.setenv(tool.value, str(broken))
        with pytest.raises(ToolError, match="out of luck"):
            write_bitstream(routed, out, asked_hz=1e6)
    assert out.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "top.bin", "work"]


def test_pins_and_ports_must_match(tmp_path: Path) -> None:
    pins = pins_of(Family.ICE40)
    with pytest.raises(ValueError, match=r"^top has no port 'rx' to give pin 6 to$"):
        routed_top(UP5K, ICE40_TOP, tmp_path, [*pins, Pin(port="rx", site="6")])
    with pytest.raises(ToolError, match="IO 'led' is unconstrained in PCF"):
        routed_top(UP5K, ICE40_TOP, tmp_path, pins[:1])
    with pytest.raises(ToolError, match="package does not have a pin named 'Z9'"):
        routed_top(UP5K, ICE40_TOP, tmp_path, [pins[0], Pin(port="led", site="Z9")])
    wide = ICE40_TOP.replace("output led", "output [1:0] led").replace("count[19]", "count[19:18]")
    with pytest.raises(ValueError, match=r"^port 'led' of top has 2 bits; a pin takes one$"):
        routed_top(UP5K, wide, tmp_path)


def test_a_multiplication_is_refused(tmp_path: Path) -> None:
    pins = [Pin(port="clk", site="35", clock_hz=12_000_000), Pin(port="rx", site="6"), Pin(port="tx", site="9")]
    with pytest.raises(ValueError, match=r"^top holds 2 multiplications or DSP blocks; a Sterna design has none$"):
        routed_top(UP5K, MULTIPLIER_TOP, tmp_path, pins)


def test_no_register(tmp_path: Path) -> None:
    pins = [Pin(port="a", site="6"), Pin(port="b", site="9")]
    with pytest.raises(ValueError, match=r"^top has no register, so there is nothing to clock on a board$"):
        routed_top(UP5K, "module top(input a, output b);\n  assign b = ~a;\nendmodule\n", tmp_path, pins)


def test_constraints() -> None:
    assert constraints(Family.ICE40, pins_of(Family.ICE40)) == (
        "set_io clk 35\nset_frequency clk 12.000000\nset_io -pullup yes led 11\n"
    )
    assert constraints(Family.ECP5, pins_of(Family.ECP5)) == (
        'LOCATE COMP "clk" SITE "G2";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\nFREQUENCY PORT "clk" 25.000000 MHZ;\n'
        'LOCATE COMP "led" SITE "B2";\nIOBUF PORT "led" IO_TYPE=LVCMOS33;\n'
    )
