"""``sterna boards``: the boards that bitstreams can be made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sterna.cli.output import console, print_json

if TYPE_CHECKING:
    from sterna.boards.catalog import BoardInfo

__all__ = ["boards"]


def boards(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the boards of amaranth-boards whose device Sterna places and routes for.

    A board without a UART takes pins by option: sterna bitstream MODEL --board NAME --uart rx=A1,tx=B2. The last column
    says what was placed, routed and packed for a board so far; no physical board was tried.
    """
    from sterna.boards.catalog import list_boards

    found = list_boards()
    if as_json:
        print_json([board.to_json() for board in found])
        return
    table = Table("board", "device", "package", "speed", "oscillator", "UART (rx, tx)", "openFPGALoader", "known")
    for board in found:
        table.add_row(
            board.name,
            board.device.part,
            board.device.package,
            "" if board.device.speed is None else str(board.device.speed),
            oscillator(board),
            "" if board.uart is None else ", ".join(board.uart),
            board.loader or "",
            board.known,
        )
    console().print(table)


def oscillator(board: BoardInfo) -> str:
    """A board's oscillators, in a few words."""
    own = f"{board.oscillator.hz / 1e6:g} MHz"
    if board.oscillator.internal:
        own += " ± 10 %, internal"
    others = [f"{clock.name} {clock.hz / 1e6:g} MHz" for clock in board.other_clocks]
    return own if not others else f"{own}; --oscillator: {', '.join(others)}"
