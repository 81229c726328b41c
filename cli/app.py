"""The ``sterna`` command: its subcommands, and how it ends."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sterna.cli.codes import codes
from sterna.cli.demo import demo
from sterna.cli.errors import USER_ERRORS, message
from sterna.cli.generate import generate
from sterna.cli.info import info
from sterna.cli.plot import plot
from sterna.cli.report import report
from sterna.cli.simulate import simulate
from sterna.cli.synth import synth
from sterna.cli.train import train

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="sterna",
    help="Sparse ternary networks on FPGAs, without one multiplier.",
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 only if all that a command claims was checked; 1 after one line that says what to do.",
)
for function in (train, plot, info, codes, generate, simulate, synth, report, demo):
    app.command()(function)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sterna {importlib.metadata.version('sterna')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Sparse ternary networks on FPGAs, without one multiplier."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status."""
    try:
        command = typer.main.get_command(app)
        result = command.main(list(arguments) or ["--help"], prog_name="sterna", standalone_mode=False)
    except USER_ERRORS as error:
        if "--debug" in arguments:
            raise
        print(f"sterna: {message(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sterna: interrupted", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
