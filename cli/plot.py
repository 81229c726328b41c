"""``sterna plot``: pictures of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterna.cli.output import console, facts, print_json

__all__ = ["plot"]


def plot(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER", help="Folder that `sterna train` made.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the pictures.", show_default="the run folder")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the pictures' paths as JSON.")] = False,
) -> None:
    """Draw a training run, finished or in progress: its course, accuracy against zeros, and the weights over time."""
    from sterna.train.plots import plot_run

    pictures = plot_run(folder, output)
    if as_json:
        print_json({"pictures": [str(path) for path in pictures]})
    else:
        console().print(facts({path.stem: path for path in pictures}))
