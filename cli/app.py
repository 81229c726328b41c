"""The ``sterna`` command: its subcommands, and how it ends."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from sterna.cli.bitstream import bitstream
from sterna.cli.board_info import board_info
from sterna.cli.boards import boards
from sterna.cli.codes import codes
from sterna.cli.demo import demo
from sterna.cli.errors import FAILED, INTERRUPTED, message, status_of
from sterna.cli.export import export
from sterna.cli.generate import generate
from sterna.cli.import_network import import_network
from sterna.cli.infer import infer
from sterna.cli.info import info
from sterna.cli.load import load_network
from sterna.cli.plot import plot
from sterna.cli.program import program
from sterna.cli.report import report
from sterna.cli.simulate import simulate
from sterna.cli.synth import synth
from sterna.cli.text import degrade
from sterna.cli.train import train

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="sterna",
    help="Sparse ternary networks on FPGAs, without one multiplier.",
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 only if all that a command claims was checked; 1 after one line that says what to do; "
    "70 after a defect of Sterna's; 130 after Ctrl-C.",
)
for function in (train, plot, info, export, codes, generate, simulate, synth, report, boards, bitstream, program, demo):
    app.command()(function)
app.command("import")(import_network)
app.command("infer")(infer)
app.command("load")(load_network)
app.command("board-info")(board_info)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sterna {importlib.metadata.version('sterna')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from. May stand anywhere in the line.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Sparse ternary networks on FPGAs, without one multiplier."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status."""
    command_line, debug = _take_debug(arguments)
    try:
        command = typer.main.get_command(app)
        result = command.main(command_line or ["--help"], prog_name="sterna", standalone_mode=False)
        status = result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"sterna: {message(error)}", file=sys.stderr)
        return status_of(error)
    if status == INTERRUPTED:  # Typer turns Ctrl-C into this status without a word
        print("sterna: interrupted", file=sys.stderr)
    return status


def _take_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The command line without ``--debug``, and whether it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = [argument for argument in arguments[:end] if argument != "--debug"]
    return [*before, *arguments[end:]], len(before) < end


def main() -> None:
    """Entry point of the console script."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open to the end)
        degrade(getattr(sys, name))
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:  # what was printed did not arrive
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python would fail once more at its end
        if not isinstance(error, BrokenPipeError):
            print(f"sterna: {message(error)}", file=sys.stderr)
        status = status or FAILED
    sys.exit(status)
