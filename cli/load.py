"""``sterna load``: another network into a board, over a serial port."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from sterna.cli.infer import BAUD, BaudOption, PortOption, TimeoutOption
from sterna.cli.output import console, facts, number, print_json, steps
from sterna.cli.target import ModelPath

__all__ = ["load_network"]


def load_network(
    model: ModelPath,
    port: PortOption,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write what is sent there, for another host.", show_default=False),
    ] = None,
    baud: BaudOption = BAUD,
    timeout: TimeoutOption = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Give a board another network, without another bitstream.

    The bitstream has to be made for it, with `sterna bitstream --loadable`; or with --load, for its own network. Exits
    with 0 only if the board says that the network answers.
    """
    from sterna.boards.host import Board
    from sterna.net.container import replacing
    from sterna.net.file import load

    network = load(model)
    with steps() as progress:
        progress(f"looking for a board at {port}")
        with Board(port, baud=baud, timeout=timeout) as board:
            progress(f"compiling {model}")
            content = board.compile(network)
            progress("loading")
            begun, before = time.monotonic(), board.digest
            board.load(content)
            seconds = time.monotonic() - begun
    if output is not None:
        with replacing(output) as beside:
            beside.write_bytes(content)
    found: dict[str, Any] = {
        "network_digest": network.digest,
        "before": before,
        "bytes": len(content),
        "seconds": seconds,
    }
    if as_json:
        print_json(found)
        return
    rows: dict[str, object] = {"network": network.digest, "bytes": number(len(content)), "seconds": f"{seconds:.2f}"}
    console().print(facts(rows))
