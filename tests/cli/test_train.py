"""`sterna train`, `plot` and `demo`: recipes by name, options out of range, one run a folder, no home."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sterna.cli.demo import demo
from sterna.train.packaged import describe_recipes, packaged_recipes

RECIPE = """
name = "short"
seed = 3
[data]
name = "digits"
validation = 200
[model]
topology = "8"
[training]
batch = 128
epochs = 2
[method]
name = "sparsity-induced"
zeros = 0.5
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short recipe, in a working directory that is not the repository."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "short.toml"
    path.write_text(RECIPE)
    return path


def test_list_of_the_packaged_recipes(sterna: Callable) -> None:
    outcome = sterna("train", "--list")
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(packaged_recipes())
    assert describe_recipes()["mnist-mlp-98"] in outcome.out
    assert "--list" in sterna("train", "--help").out


def test_a_name_that_is_none_is_told_what_there_is(recipe: Path, sterna: Callable) -> None:
    for arguments in (("train", "digit"), ("demo", "--recipe", "digit")):
        assert sterna(*arguments).error == (
            "digit: cannot be read: No such file or directory, and the packaged recipes are "
            + ", ".join(packaged_recipes())
        )
    assert list(recipe.parent.iterdir()) == [recipe]


def test_a_packaged_recipe_by_its_name(
    recipe: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    recipe.rename(folder / "short.toml")
    monkeypatch.setattr("sterna.train.packaged.packaged_recipes", lambda: {"short": folder / "short.toml"})
    trained = sterna("train", "short", "--json")
    assert trained.status == 0, trained.err
    assert json.loads(trained.out)["model"] == "runs/short/short.safetensors"
    assert json.loads(Path("runs/short/results.json").read_text())["command"] == "sterna train short --seed 3"


def test_the_demo_trains_by_a_packaged_recipe(sterna: Callable) -> None:
    assert inspect.signature(demo).parameters["recipe"].default in packaged_recipes()


@pytest.mark.parametrize(
    ("option", "value", "limits"),
    [
        ("--seed", -1, "greater than or equal to 0"),
        ("--seed", 2**32, "less than or equal to 4294967295"),
        ("--threads", 0, "greater than or equal to 1"),
        ("--threads", 1025, "less than or equal to 1024"),
    ],
)
def test_numbers_out_of_range_name_their_option(
    option: str, value: int, limits: str, recipe: Path, sterna: Callable
) -> None:
    error = sterna("train", recipe, option, value).error
    assert error == f"Invalid value for '{option}': Input should be {limits}; see `sterna train --help`"
    assert "'--seeds'" in sterna("demo", "--seeds", 0).error
    assert list(recipe.parent.iterdir()) == [recipe]


def test_a_folder_that_is_trained_in_gets_one_line(recipe: Path, sterna: Callable) -> None:
    from filelock import FileLock

    from sterna.train.run_lock import LOCK_NAME

    folder = recipe.parent / "run"
    folder.mkdir()
    with FileLock(folder / LOCK_NAME):
        outcome = sterna("train", recipe, "-o", folder)
        assert outcome.status == 1
        assert outcome.err == (
            f"sterna: {folder}: another run is training in this folder; "
            "wait for its end, or choose another output folder\n"
        )
        assert [path.name for path in folder.iterdir()] == [LOCK_NAME]
    assert sterna("train", recipe, "-o", folder).status == 0


def test_defects_in_pictures_are_not_taken_for_mistakes(
    recipe: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(run: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("sterna.train.plots.weights_figure", defect)
    outcome = sterna("train", recipe)
    assert outcome.status == 70
    assert "internal error: ValueError: a defect" in outcome.err


def test_without_a_home(recipe: Path) -> None:
    """Nobody's home: libraries that keep caches there do without, in silence."""
    gone = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    for command in (["train", "short.toml", "-o", "run", "--json"], ["plot", "run", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "sterna.cli", *command],
            capture_output=True,
            text=True,
            check=False,
            env={**gone, "HOME": "/dev/null/home"},
            cwd=recipe.parent,
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["pictures"]) == 3
        said = " ".join(done.stderr.split())
        assert "matplotlib" not in said.lower()
        assert (said == "") == (command[0] == "plot")  # training shows its epochs
