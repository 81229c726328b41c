"""``sterna program``: a bitstream into a board, with openFPGALoader."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sterna.cli.options import naming
from sterna.cli.output import read_json, steps
from sterna.net.errors import InvalidValueError, ToolError

__all__ = ["install_line", "loader_command", "program"]

#: The variable that names another openFPGALoader.
VARIABLE = "OPENFPGALOADER"


def program(
    bitstream: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `sterna bitstream` wrote.", show_default=False)
    ],
    board: Annotated[
        str | None,
        typer.Option(help="Board, as `sterna boards` lists it.", show_default="that of the report beside FILE"),
    ] = None,
    flash: Annotated[
        bool, typer.Option("--flash", help="Write the board's flash, so that it is there after power-up.")
    ] = False,
) -> None:
    """Load a bitstream into a board, with openFPGALoader; the variable OPENFPGALOADER names another than that in PATH.

    Without --flash, an ECP5 is configured until it loses power. An iCE40 board's flash is written in any case: that is
    where the device reads from.
    """
    from sterna.boards.catalog import find_board

    if not bitstream.is_file():
        raise InvalidValueError(f"there is no bitstream {bitstream}; make it with `sterna bitstream`")
    report = bitstream.with_suffix(".json")
    made_for = str(read_json(report).get("board", "")) if report.is_file() else ""
    if board is None and not made_for:
        raise InvalidValueError(f"there is no report beside {bitstream}: name the board with --board")
    with naming("--board"):
        found = find_board(board or made_for)
    if made_for and made_for != found.name:
        raise InvalidValueError(f"{bitstream} was made for {made_for}, not for {found.name}")
    if found.loader is None:
        raise InvalidValueError(
            f"openFPGALoader does not know {found.name}: load {bitstream} with the board's own programmer"
        )
    command = loader_command(found.loader, bitstream, flash=flash)
    with steps() as progress:
        progress.note(f"running {' '.join(command)}")
    status = subprocess.run(command, check=False).returncode
    if status:
        raise ToolError(
            f"openFPGALoader failed (exit status {status}; its own message is above): is the board connected, and may "
            "you use it (a udev rule, or sudo)?"
        )


def loader_command(loader: str, bitstream: Path, *, flash: bool) -> list[str]:
    """The command that loads a bitstream.

    Raises
    ------
    ToolError
        If openFPGALoader is not installed; the message has the line that installs it.
    """
    name = os.environ.get(VARIABLE) or "openFPGALoader"
    tool = shutil.which(name)
    if tool is None:
        if name != "openFPGALoader":
            raise ToolError(f"the variable {VARIABLE} names {name!r}, which cannot be run; correct or unset it")
        raise ToolError(f"openFPGALoader is missing; install it with `{install_line()}`, then run this again")
    return [tool, "-b", loader, *(["-f"] if flash else []), str(bitstream)]


def install_line() -> str:
    """The line that installs openFPGALoader here."""
    if sys.platform == "darwin":
        return "brew install openfpgaloader"
    for manager, line in (
        ("apt-get", "sudo apt-get install openfpgaloader"),
        ("pacman", "sudo pacman -S openfpgaloader"),
        ("dnf", "sudo dnf copr enable mobicarte/openFPGALoader && sudo dnf install openFPGALoader"),
    ):
        if shutil.which(manager):
            return line
    return "conda install -c conda-forge openfpgaloader"
