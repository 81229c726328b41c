"""Recipes by name: which file is meant, and what is said where none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sterna.train.packaged import describe_recipes, find_recipe, packaged_recipes
from sterna.train.recipe import RecipeError, load_recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that is not the repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_recipes_are_packaged() -> None:
    assert list(packaged_recipes()) == sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))


def test_every_packaged_recipe_says_what_it_is_of() -> None:
    described = describe_recipes()
    assert list(described) == list(packaged_recipes())
    assert described["mnist-mlp-98"] == "784-256-256-10 on MNIST, 98 % zeros, 4-bit input and activations."
    assert described["cifar10-resnet20"].endswith(
        "Shortcuts between stages are 1 x 1 convolutions, and branches are added at power-of-two ratios."
    )
    assert all(text.endswith(".") for text in described.values())


def test_bare_names_are_found(elsewhere: Path) -> None:
    for given in ("mnist-mlp-98", "mnist-mlp-98.toml", Path("mnist-mlp-98")):
        assert find_recipe(given) == packaged_recipes()["mnist-mlp-98"]
        assert load_recipe(given).name == "mnist-mlp-98"


def test_files_of_the_users_come_first(elsewhere: Path) -> None:
    path = elsewhere / "mnist-mlp-98.toml"
    path.write_text((ROOT / "recipes" / "digits-mlp.toml").read_text())
    assert load_recipe("mnist-mlp-98.toml").name == "digits-mlp"
    assert load_recipe("mnist-mlp-98").name == "mnist-mlp-98"


def test_what_is_not_there_is_said(elsewhere: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist")
    assert str(caught.value) == (
        "mnist: cannot be read: No such file or directory, and the packaged recipes are "
        f"{', '.join(packaged_recipes())}"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe("recipes/mnist-mlp-98.toml")
    assert str(caught.value) == (
        "recipes/mnist-mlp-98.toml: cannot be read: No such file or directory; "
        "the packaged recipe is called mnist-mlp-98, without folder"
    )
