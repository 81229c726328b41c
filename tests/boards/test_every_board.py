# amaranth: UnusedElaboratable=no
"""Every board that is listed: a small top of it is placed, routed and packed."""

from __future__ import annotations

import json
from pathlib import Path

import boards_page
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.build import build_bitstream
from sterna.boards.catalog import BoardInfo, list_boards
from sterna.boards.pins import UartPins
from sterna.flow.devices import Family

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "bitstreams.json"
#: Free pins of boards without a UART.
PINS = {
    "butterstick": ("A2", "A3"),
    "fomu-hacker": ("E5", "E4"),
    "fomu-pvt": ("E5", "E4"),
    "ice40-up5k-b-evn": ("2", "3"),
    "icebreaker-bitsy": ("2", "3"),
    "logicbone-45f": ("A2", "A3"),
    "logicbone-85f": ("A2", "A3"),
    "orangecrab-r0-1": ("io_0:0", "io_0:1"),
    "orangecrab-r0-2-25f": ("io_0:0", "io_0:1"),
    "orangecrab-r0-2-85f": ("io_0:0", "io_0:1"),
    "tinyfpga-bx": ("A2", "A1"),
    "upduino-v1": ("2", "3"),
    "upduino-v2": ("2", "3"),
    "upduino-v3": ("2", "3"),
}


class Echo(wiring.Component):
    """What comes in goes out, three cycles later."""

    rx: Signal
    tx: Signal

    def __init__(self) -> None:
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        level = self.rx
        for k in range(3):
            following = Signal(name=f"level_{k}", init=1)
            m.d.sync += following.eq(level)
            level = following
        m.d.comb += self.tx.eq(level)
        return m


@pytest.mark.slow
@pytest.mark.synth
@pytest.mark.parametrize("board", list_boards(), ids=lambda board: board.name)
def test_a_small_top(board: BoardInfo, tmp_path: Path) -> None:
    uart = UartPins(rx=PINS[board.name][0], tx=PINS[board.name][1]) if board.uart is None else None
    clock_hz = 24e6 if board.device.family is Family.ICE40 else 60e6
    build = build_bitstream(
        lambda hz: Echo(), board=board, name="top", out=tmp_path / "top.bin", clock_hz=clock_hz, uart=uart, seeds=1
    )
    assert 0.95 * clock_hz < build.clock_hz <= clock_hz
    # nextpnr read the PLL's dividers by itself, in whole picoseconds.
    assert build.routed.asked_hz == pytest.approx(build.clock_hz, rel=1e-3)
    if board.oscillator.internal:
        assert build.routed.reached_hz >= 1.1 * build.clock_hz
    assert build.out.stat().st_size == build.size > 50_000


def test_what_was_built_is_known() -> None:
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    assert {board.name for board in list_boards() if board.known == "networks built"} == {row["board"] for row in rows}


def test_the_page_is_up_to_date() -> None:
    text = boards_page.PAGE.read_text(encoding="utf-8")
    assert boards_page.filled(text) == text, "run python benchmarks/boards_page.py"
