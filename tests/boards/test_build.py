# amaranth: UnusedElaboratable=no
"""Which clocks are asked for, and what is written: place and route is a table here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards import build
from sterna.boards.build import build_bitstream, choose_clock
from sterna.boards.catalog import find_board
from sterna.boards.pins import UartPins
from sterna.flow.bitstream import ClockMissed, Packed, Routed
from sterna.flow.devices import Family, Resource
from sterna.net.errors import InvalidValueError


class Core(wiring.Component):
    rx: Signal
    tx: Signal

    def __init__(self) -> None:
        super().__init__({"rx": In(1), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.tx.eq(self.rx)
        return m


#: What place and route reaches, in Hz, from the clock asked for and the seed.
Table = Callable[[float, int], float]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Callable[[Table], list[str]]:
    """Tools that reach what a table says; the texts that they were given."""

    def install(reached: Table) -> list[str]:
        texts: list[str] = []
        asked: list[float] = []

        def emit(top: Any, *, name: str) -> str:
            setting = top._source._setting
            asked.append(12e6 if setting is None else float(setting.output_hz))
            return f"// {asked[-1]}"

        def pack(verilog: str, *, top: str, device: Any, pins: Any, work: Path) -> Packed:
            assert list(work.iterdir()) == []
            texts.append(verilog)
            used = {Resource.SLOTS: (1, 2)}
            return Packed(work=work, top=top, device=device, units=(), utilization=used, arguments=())

        def place(packed: Packed, *, seed: int) -> Routed:
            hz = reached(asked[-1], seed)
            return Routed(packed=packed, seed=seed, reached_hz=hz, asked_hz=asked[-1], path=None, config="")

        def write(routed: Routed, out: Path, *, asked_hz: float) -> int:
            if routed.reached_hz < asked_hz:
                raise ClockMissed(f"missed {asked_hz}")
            out.write_bytes(b"bits")
            return 4

        for name, fake in {"emit_top": emit, "pack_top": pack, "route": place, "write_bitstream": write}.items():
            monkeypatch.setattr(build, name, fake)
        return texts

    return install


def made(tmp_path: Path, **options: Any) -> build.BoardBuild:
    options = {"board": find_board("icebreaker"), "core_of": lambda hz: Core(), **options}
    return build_bitstream(options.pop("core_of"), name="top", out=tmp_path / "a.bin", **options)


def test_without_a_clock(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    """First 99 MHz, the highest of the PLL below the target; then 54, the highest 2 % below what was reached."""
    texts = tools(lambda asked, seed: 55.6e6)
    found = made(tmp_path)
    assert found.attempts == ((99e6, 1, 55.6e6), (54e6, 1, 55.6e6))
    assert found.clock_hz == 54e6
    assert (tmp_path / "a.v").read_text() == texts[-1] == "// 54000000.0"
    assert json.loads((tmp_path / "a.json").read_text()) == found.to_json()


def test_seeds_before_lower_clocks(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    tools(lambda asked, seed: {99e6: 55.6e6, 54e6: 50e6 + seed * 1e6}.get(asked, 52e6))
    found = made(tmp_path)
    # 53 MHz were the best of three seeds; 51.0 is the next clock 2 % below.
    assert [attempt[:2] for attempt in found.attempts] == [(99e6, 1), (54e6, 1), (54e6, 2), (54e6, 3), (51.75e6, 1)]
    assert found.clock_hz == 51.75e6


def test_it_ends(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    tools(lambda asked, seed: asked - 1e5)
    with pytest.raises(ClockMissed):
        made(tmp_path, seeds=2)
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_is_asked_for(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    texts = tools(lambda asked, seed: asked * (1.1 if seed == 2 else 0.9))
    found = made(tmp_path, clock_hz=50e6)
    assert [attempt[:2] for attempt in found.attempts] == [(49.5e6, 1), (49.5e6, 2)]
    assert found.routed.seed == 2
    assert len(texts) == 1  # synthesized once
    with pytest.raises(ClockMissed):
        made(tmp_path, clock_hz=50e6, seeds=1)
    # The one that was made before stays, with what lies beside it.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.json", "a.v"]


def test_the_oscillators_own_clock_has_no_pll(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    tools(lambda asked, seed: 13e6)
    for options in ({"clock_hz": 12e6}, {"clock_hz": 14e6}, {}):
        found = made(tmp_path, **options)
        assert found.setting is None
        assert found.clock_hz == 12e6


def test_clocks_that_the_core_refuses_are_passed_over(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    tools(lambda asked, seed: 100e6)

    def core_of(hz: float) -> Core:
        if hz > limit:
            raise InvalidValueError(f"no divider of {hz:.0f}")
        return Core()

    limit = 45e6
    assert made(tmp_path, clock_hz=50e6, core_of=core_of).clock_hz == 45e6
    limit = 30e6
    with pytest.raises(ValueError, match=r"^no divider of 49500000$"):
        made(tmp_path, clock_hz=50e6, core_of=core_of)


def test_an_internal_oscillator_may_be_fast(tools: Callable[[Table], list[str]], tmp_path: Path) -> None:
    board, uart = find_board("upduino-v3"), UartPins(rx="2", tx="3")
    tools(lambda asked, seed: 30e6)
    found = made(tmp_path, board=board, uart=uart, clock_hz=27e6)
    assert found.clock_hz == 27e6
    with pytest.raises(ClockMissed, match=r"^missed 30250000"):
        made(tmp_path, board=board, uart=uart, clock_hz=27.5e6)


@pytest.mark.parametrize(
    ("family", "oscillator", "asked", "clock"),
    [
        (Family.ICE40, 12_000_000, 12e6, None),
        (Family.ICE40, 12_000_000, 15e6, None),  # 16.125 MHz is the PLL's lowest
        (Family.ICE40, 12_000_000, 16.2e6, 16.125e6),
        (Family.ECP5, 100_000_000, 100.05e6, None),  # the PLL makes nothing between, and 100 MHz needs none
        (Family.ECP5, 25_000_000, 50e6, 50e6),
        (Family.ICE40, 3_300_000, 48e6, None),  # too slow for the PLL
    ],
)
def test_choose_clock(family: Family, oscillator: int, asked: float, clock: float | None) -> None:
    setting = choose_clock(family, oscillator, asked)
    assert (None if setting is None else float(setting.output_hz)) == clock


def test_no_such_clock() -> None:
    with pytest.raises(ValueError, match=r"makes 16\.125 MHz and more of 12 MHz, not 5 MHz"):
        choose_clock(Family.ICE40, 12_000_000, 5e6)


def test_seeds_must_be_some(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^seeds must be a positive integer, not 0$"):
        made(tmp_path, seeds=0)


def test_the_pads_pll(tmp_path: Path) -> None:
    """A clock at the PLL's pad goes through the PLL that is there."""
    board = find_board("icebreaker")
    pins = build.board_pins(board, board.oscillator)
    setting = choose_clock(Family.ICE40, 12_000_000, 48e6)
    for site, primitive in (("35", "SB_PLL40_PAD"), ("20", "SB_PLL40_CORE")):
        moved = replace(pins, pins=tuple(replace(pin, site=site) if pin.port == "clk" else pin for pin in pins.pins))
        top = build.make_top(Core(), board=board, oscillator=board.oscillator, pins=moved, setting=setting)
        assert top._source._pll_input.value == primitive
