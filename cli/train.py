"""``sterna train``: from a recipe to a network file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sterna.cli.errors import is_users, message
from sterna.cli.output import console, facts, print_json, share

__all__ = ["train"]

_MAX_SEED = 2**32 - 1  # as in a recipe
_MOST_THREADS = 1024


def _list(wanted: bool) -> None:
    if wanted:
        from sterna.train.packaged import describe_recipes

        console().print(facts(describe_recipes()))
        raise typer.Exit


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", help="Recipe file (.toml), or the name of a packaged recipe.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Run folder.", show_default="runs/NAME, by the recipe's file"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=_MAX_SEED, help="Seed instead of the recipe's.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue a stopped run in the folder, or start anew.")] = True,
    device: Annotated[
        str | None, typer.Option(help="Torch device, such as cpu or cuda.", show_default="a GPU if any")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=_MOST_THREADS, help="Threads on a CPU; more are faster for large networks only.")
    ] = 1,
    recipes: Annotated[
        bool, typer.Option("--list", help="List the packaged recipes.", callback=_list, is_eager=True)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train a sparse ternary network by a recipe, and export it with proof.

    The run folder gets the network (NAME.safetensors), the recipe with its defaults, the log, the results and pictures.
    A stopped run continues where it was. Nothing is exported unless every layer's codes of the integer network equal
    those of the trained one on all test inputs.
    """
    from sterna.train import run

    folder = output or Path("runs") / Path(recipe).stem
    result = run(recipe, folder, seed=seed, resume=resume, device=device, threads=threads)
    if os.environ.get("RANK", "0") != "0":
        return  # torchrun starts several of these: the first one speaks
    figures: dict[str, Any] = {
        "model": str(result.model_path) if result.model_path else None,
        "network_digest": result.network.digest if result.network else None,
        "refusal": result.refusal,
        "test_accuracy": result.test_accuracy,
        "validation_accuracy": result.validation_accuracy,
        "zeros": result.zeros,
        "epoch": result.epoch,
        "seed": result.seed,
        "seconds": round(result.seconds, 1),
        "pictures": _pictures(folder),
    }
    if as_json:
        print_json(figures)
        return
    console().print(
        facts(
            {
                "network": result.network.digest if result.network else f"none: {result.refusal}",
                "file": result.model_path or "none",
                "test accuracy": share(result.test_accuracy),
                "held-out accuracy": f"{share(result.validation_accuracy)} (chose epoch {result.epoch})",
                "zeros": share(result.zeros),
                "seed": result.seed,
                "pictures": "\n".join(figures["pictures"]) or "none",
            }
        )
    )


def _pictures(folder: Path) -> list[str]:
    """Draw the run. What is in the way of that is said in one line, and the run counts all the same."""
    from sterna.train.plots import plot_run

    try:
        return [str(path) for path in plot_run(folder)]
    except Exception as error:
        if not is_users(error):
            raise
        print(f"no pictures: {message(error)}", file=sys.stderr)
        return []
