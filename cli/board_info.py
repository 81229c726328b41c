"""``sterna board-info``: what the board on a serial port is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.infer import BAUD, BaudOption, PortOption, TimeoutOption, board_facts
from sterna.cli.output import console, facts, number, print_json, steps

if TYPE_CHECKING:
    from sterna.boards.packets import Loading

__all__ = ["board_info"]


def board_info(
    port: PortOption,
    baud: BaudOption = BAUD,
    timeout: TimeoutOption = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what the board on a serial port is: which network answers, clock and streams, and what it counted.

    Counters begin with the loading of the bitstream, and wrap.
    """
    from dataclasses import asdict

    from sterna.boards.host import Board
    from sterna.boards.packets import NOTHING

    with steps() as progress:
        progress(f"looking for a board at {port}")
        with Board(port, baud=baud, timeout=timeout) as board:
            info, answers, counters = board.info, board.digest, board.counters()
    found: dict[str, Any] = {
        **asdict(info),
        "load": None if info.load is None else {**asdict(info.load), "design": info.load.design.hex()},
        "answers": None if answers == NOTHING else answers,
        "baud": info.baud,
        "counters": asdict(counters),
        "cycles": counters.cycles,
    }
    if as_json:
        print_json(found)
        return
    rows = {
        "network": "none yet: load one with `sterna load`" if answers == NOTHING else answers,
        "other networks": _loading(info.load),
        "input": f"{_shape(info.input.shape)}, {'s' if info.input.signed else 'u'}{info.input.element_width}",
        "output": "the class" if info.output.argmax else f"{_shape(info.output.shape)} scores",
        "clock": f"{info.clock_hz / 1e6:g} MHz",
        "baud rate": f"{info.baud:,.0f}",
        "packets that fit": number(info.slots),
        "cycles": number(counters.cycles),
        "frames": number(counters.frames),
    }
    console().print(facts(rows | board_facts(asdict(counters))))


def _loading(load: Loading | None) -> str:
    if load is None:
        return "need another bitstream"
    how = "while this one answers" if load.keeps else "while none answers"
    return f"can be loaded {how}: {number(load.size)} bytes"


def _shape(sides: tuple[int, ...]) -> str:
    return " × ".join(map(str, sides))
