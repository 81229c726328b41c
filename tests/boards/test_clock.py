# amaranth: UnusedElaboratable=no
"""Clock and reset of a board's top: simulated from its Verilog, with models of the vendors' PLLs."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from importlib import resources
from math import isclose
from pathlib import Path

import pytest
from amaranth.hdl import ClockDomain, ClockSignal, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from sterna.boards.clock import ClockSource, PllInput, ResetHold, hold_cycles
from sterna.boards.pll import PllSetting, highest_setting
from sterna.boards.top import BoardTop, emit_top
from sterna.flow.devices import Family

PRIMITIVES = resources.files("sterna.sim") / "primitives"


class Toggle(wiring.Component):
    """A core whose tx changes every 8 cycles, from high on."""

    rx: Signal
    tx: Signal

    def __init__(self) -> None:
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(4)
        m.d.sync += count.eq(count + 1)
        m.d.comb += self.tx.eq(~count[-1])
        return m


# One line for each change of the reset, the tx pin and the lock; at 20 us the lock is lost for a moment.
BENCH = """
`timescale 1ns / 1ps
module bench;
  reg clk = 0, button = BUTTON_UP;
  wire tx;
  always #(HALF) clk = ~clk;
  top dut(.clk(clk), BUTTON_PORT .rx(1'b1), .tx(tx));
  always @(dut.reset.rst) $display("rst %b %t", dut.reset.rst, $realtime);
  always @(tx) $display("tx %b %t", tx, $realtime);
  LOCK
  initial begin
    $timeformat(-9, 3, "", 0);
    #(INTERRUPT) INTERRUPTION
    #(END - INTERRUPT) $finish;
  end
endmodule
"""


def source(family: Family, oscillator: int, hz: float) -> tuple[ClockSource, PllSetting]:
    setting = highest_setting(family, oscillator, hz)
    pll_input = PllInput.PAD if family is Family.ICE40 else PllInput.ECP5
    return ClockSource(setting=setting, pll_input=pll_input), setting


def simulate(
    top: BoardTop, tmp_path: Path, *, oscillator: int, interruption: str = "", button: str = "", end_ns: int = 60_000
) -> dict[str, list[tuple[str, float]]]:
    """What changed when, in ns, by signal."""
    bench, verilog = BENCH, emit_top(top, name="top")
    lock = 'always @(dut.clock.locked) $display("locked %b %t", dut.clock.locked, $realtime);'
    for name, value in {
        "LOCK": lock if re.search("EHXPLLL|SB_PLL40", verilog) else "",
        "BUTTON_UP": "1",
        "BUTTON_PORT": button,
        "INTERRUPTION": interruption or ";",
        "HALF": f"{0.5e9 / oscillator:.6f}",
        "INTERRUPT": str(end_ns // 2),
        "END": str(end_ns),
    }.items():
        bench = re.sub(rf"\b{name}\b", lambda _, value=value: value, bench)
    (tmp_path / "bench.v").write_text(bench)
    (tmp_path / "top.v").write_text(verilog)
    (tmp_path / "pll.v").write_text((PRIMITIVES / "pll.v").read_text(encoding="utf-8"))
    path = {"PATH": os.environ["PATH"]}
    command = ["iverilog", "-g2005", "-o", "bench", "bench.v", "top.v", "pll.v"]
    subprocess.run(command, cwd=tmp_path, env=path, check=True, timeout=120)
    printed = subprocess.run(["vvp", "bench"], cwd=tmp_path, env=path, check=True, timeout=120, capture_output=True)
    changes: dict[str, list[tuple[str, float]]] = {}
    for name, value, time in re.findall(r"^(\w+) ([01x]) ([\d.]+)$", printed.stdout.decode(), re.M):
        changes.setdefault(name, []).append((value, float(time)))
    return changes


def period(changes: list[tuple[str, float]], after: float) -> float:
    """Mean time between rising edges, in ns."""
    edges = [time for value, time in changes if value == "1" and time > after]
    return (edges[-1] - edges[0]) / (len(edges) - 1)


@pytest.mark.parametrize(
    ("family", "oscillator", "hz"),
    [
        (Family.ICE40, 12_000_000, 48e6),
        (Family.ICE40, 48_000_000, 30.5e6),
        (Family.ECP5, 25_000_000, 131.7e6),
        (Family.ECP5, 100_000_000, 77e6),
    ],
)
def test_the_top_runs_at_its_setting(family: Family, oscillator: int, hz: float, tmp_path: Path) -> None:
    clock, setting = source(family, oscillator, hz)
    cycles = hold_cycles(family, float(setting.output_hz))
    changes = simulate(BoardTop(core=Toggle(), source=clock, hold=cycles), tmp_path, oscillator=oscillator)
    assert [value for value, _ in changes["locked"]] == ["0", "1"]
    ((_, locked),) = changes["locked"][1:]
    # Reset from the first moment to some time after the lock; the line is idle all the while.
    assert [value for value, _ in changes["rst"]] in (["1", "0"], ["x", "1", "0"])
    released = changes["rst"][-1][1]
    clock_ns = 1e9 / float(setting.output_hz)
    assert cycles * clock_ns <= released - locked <= (2 * cycles + 4) * clock_ns
    assert [value for value, time in changes["tx"] if time < released] == ["1"]
    # 16 cycles of the clock, measured at the pin.
    assert isclose(period(changes["tx"], released), 16 * clock_ns, rel_tol=1e-4)


@pytest.mark.parametrize(
    ("options", "interruption", "button"),
    [
        ({}, "begin force dut.clock.locked = 0; #100 force dut.clock.locked = 1; end", ""),
        ({"reset_pin": False}, "begin button = 0; #100 button = 1; end", ".rst(button),"),
        ({"reset_pin": True}, "begin button = 0; #100 button = 1; end", ".rst(~button),"),
    ],
    ids=["lock lost", "button low", "button high"],
)
def test_reset_comes_back(options: dict[str, bool], interruption: str, button: str, tmp_path: Path) -> None:
    clock, _ = source(Family.ECP5, 25_000_000, 50e6)
    top = BoardTop(core=Toggle(), source=clock, hold=16, **options)
    changes = simulate(top, tmp_path, oscillator=25_000_000, interruption=interruption, button=button, end_ns=10_000)
    assert [value for value, _ in changes["rst"]][-3:] == ["0", "1", "0"]
    (_, asserted), (_, released) = changes["rst"][-2:]
    assert asserted - 5_000 < 1  # at once, not at a clock edge
    assert released - 5_100 >= 16 * 20
    # The core began anew: high for 8 cycles from the release on.
    first_low = next(time for value, time in changes["tx"] if value == "0" and time > released)
    assert isclose(first_low - released, 8 * 20, abs_tol=2)


def test_without_a_pll(tmp_path: Path) -> None:
    clock = ClockSource(setting=None, pll_input=PllInput.ECP5)
    changes = simulate(BoardTop(core=Toggle(), source=clock, hold=20), tmp_path, oscillator=25_000_000)
    assert "EHXPLLL" not in (tmp_path / "top.v").read_text()
    released = changes["rst"][-1][1]
    assert 20 * 40 <= released <= 44 * 40
    assert isclose(period(changes["tx"], released), 16 * 40, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        (Family.ICE40, {"DIVF": 100}),  # an oscillator of 1,212 MHz
        (Family.ICE40, {"DIVR": 1}),  # a comparator of 6 MHz
        (Family.ECP5, {"CLKOP_DIV": 40}),
        (Family.ECP5, {"CLKOP_DIV": 15}),
    ],
)
def test_an_illegal_setting_never_starts(family: Family, wrong: dict[str, int], tmp_path: Path) -> None:
    oscillator = 12_000_000 if family is Family.ICE40 else 25_000_000
    _, setting = source(family, oscillator, 48e6 if family is Family.ICE40 else 50e6)
    broken = replace(setting, parameters={**setting.parameters, **wrong})
    pll_input = PllInput.CORE if family is Family.ICE40 else PllInput.ECP5
    top = BoardTop(core=Toggle(), source=ClockSource(setting=broken, pll_input=pll_input), hold=16)
    changes = simulate(top, tmp_path, oscillator=oscillator)
    assert [value for value, _ in changes["locked"]] == ["0"]
    assert changes["rst"][-1][0] == "1"


def parameters(verilog: str) -> dict[str, int]:
    """The integer parameters of the one PLL in a Verilog."""
    return {name: int(value, 16) for name, value in re.findall(r"\.(\w+)\(\d+'h([0-9a-f]+)\)(?=,?\n)", verilog)} | {
        name: int(value) for name, value in re.findall(r"\.(\w+)\(32'd(\d+)\)(?=,?\n)", verilog)
    }


def test_the_instance_has_the_dividers() -> None:
    """The frequency, from what the Verilog says (FPGA-TN-02052, FPGA-TN-02200)."""
    clock, setting = source(Family.ICE40, 12_000_000, 55.5e6)
    p = parameters(emit_top(BoardTop(core=Toggle(), source=clock, hold=1), name="top"))
    assert Fraction(12_000_000 * (p["DIVF"] + 1), (p["DIVR"] + 1) << p["DIVQ"]) == setting.output_hz == 55_500_000
    clock, setting = source(Family.ECP5, 12_000_000, 61.1e6)
    p = parameters(emit_top(BoardTop(core=Toggle(), source=clock, hold=1), name="top"))
    vco = Fraction(12_000_000 * p["CLKFB_DIV"] * p["CLKOP_DIV"], p["CLKI_DIV"])
    assert vco / p["CLKOS_DIV"] == setting.output_hz
    assert (p["CLKOP_CPHASE"], p["CLKOS_CPHASE"]) == (p["CLKOP_DIV"] - 1, p["CLKOS_DIV"] - 1)


def test_the_pad_and_the_core_are_different_cells() -> None:
    setting = highest_setting(Family.ICE40, 12_000_000, 48e6)
    for pll_input, pin in ((PllInput.PAD, "PACKAGEPIN"), (PllInput.CORE, "REFERENCECLK")):
        top = BoardTop(core=Toggle(), source=ClockSource(setting=setting, pll_input=pll_input), hold=1)
        text = emit_top(top, name="top")
        assert f"{pll_input.value} #(" in text
        assert f".{pin}(" in text


def test_an_internal_oscillator() -> None:
    text = emit_top(
        BoardTop(core=Toggle(), source=ClockSource(setting=None, pll_input=PllInput.CORE, internal=True), hold=1),
        name="top",
    )
    assert 'SB_HFOSC #(\n    .CLKHF_DIV("0b00")' in text
    assert re.search(r"^module top\((rx, tx|tx, rx)\);", text, re.M)


@pytest.mark.parametrize("cycles", [1, 2, 16, 17, 720])
def test_reset_hold(cycles: int) -> None:
    hold = ResetHold(cycles=cycles)
    m = Module()
    m.domains.sync = ClockDomain(reset_less=True)
    m.submodules.hold = hold
    m.d.comb += hold.clk.eq(ClockSignal())

    async def bench(ctx: object) -> None:
        for _ in range(2):
            held = 0
            while ctx.get(hold.rst):  # type: ignore[attr-defined]
                held += 1
                await ctx.tick()  # type: ignore[attr-defined]
            assert cycles <= held <= 2 * cycles + 3
            ctx.set(hold.cause, 1)  # type: ignore[attr-defined]
            await ctx.tick()  # type: ignore[attr-defined]
            assert ctx.get(hold.rst)  # type: ignore[attr-defined]
            ctx.set(hold.cause, 0)  # type: ignore[attr-defined]

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_how_long_reset_is_held() -> None:
    assert hold_cycles(Family.ICE40, 48e6) == 720  # 15 us
    assert hold_cycles(Family.ICE40, 48e6, internal=True) == 4800  # 100 us
    assert hold_cycles(Family.ECP5, 100e6) == 16


def test_what_is_refused() -> None:
    setting = highest_setting(Family.ICE40, 12_000_000, 48e6)
    with pytest.raises(ValueError, match=r"^a setting for iCE40 does not go with EHXPLLL$"):
        ClockSource(setting=setting, pll_input=PllInput.ECP5)
    with pytest.raises(ValueError, match=r"^the oscillator inside an iCE40 leads to SB_PLL40_CORE, not SB_PLL40_PAD$"):
        ClockSource(setting=setting, pll_input=PllInput.PAD, internal=True)
    with pytest.raises(ValueError, match=r"^cycles must be a positive integer, not 0$"):
        ResetHold(cycles=0)
