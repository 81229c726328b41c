"""Recipes: what is read, and what is refused in which words."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sterna.train.methods import METHODS, SparsityInducedConfig
from sterna.train.models import Requantize
from sterna.train.recipe import RecipeError, load_recipe, parse_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
GOOD = """
name = "small"
seed = 7
[data]
name = "digits"
validation = 100
augment = { shift = 1 }
[model]
hidden = [16, 8]
requantize = "shift"
[training]
batch = 32
[method]
name = "sparsity-induced"
zeros = 0.5
regularize_epochs = 2
retrain_epochs = 2
"""


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_committed_recipes_are_good(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    json.dumps(recipe.as_dict())


def test_values_and_defaults(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(GOOD)
    recipe = load_recipe(path)
    assert recipe.seed == 7
    assert recipe.model.hidden == (16, 8)
    assert recipe.model.requantize is Requantize.SHIFT
    assert recipe.model.activation_width == 4
    assert recipe.data.augment.shift == 1.0
    assert isinstance(recipe.method, SparsityInducedConfig)
    assert recipe.method.zeros == 0.5
    assert recipe.as_dict()["model"]["requantize"] == "shift"


def change(dotted: str, value: Any) -> dict[str, Any]:
    table = tomllib.loads(GOOD)
    *path, last = dotted.split(".")
    place = table
    for key in path:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return table


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.hiden", [3], "r.toml: unknown key model.hiden; known here: hidden, input_width"),
        ("extra", 1, "r.toml: unknown key extra; known here: name, seed, data, model, training, method"),
        ("data.augment", {"flip": 1}, "r.toml: unknown key data.augment.flip; known here: shift, rotate_degrees"),
        ("method.alpha", 1, "r.toml: unknown key method.alpha; known here: zeros"),
        ("training.batch", None, "r.toml: training.batch is missing"),
        ("method.zeros", None, "r.toml: method.zeros is missing"),
        ("method", None, "r.toml: [method] is missing"),
        ("model", 3, "r.toml: model must be a table, not 3"),
        ("training.batch", "32", "r.toml: training.batch must be an integer, not '32'"),
        ("training.batch", True, "r.toml: training.batch must be an integer, not True"),
        ("training.batch", 1, "r.toml: training.batch must be at least 2, not 1"),
        ("training.label_smoothing", 1.0, "r.toml: training.label_smoothing must be in [0, 1), not 1.0"),
        ("training.precision", "half", "r.toml: training.precision must be one of float32, bfloat16, not 'half'"),
        ("method.zeros", "0.9", "r.toml: method.zeros must be a number, not '0.9'"),
        ("method.zeros", 1.0, "r.toml: method.zeros must be in [0, 1), not 1.0"),
        ("method.ramp", 0.0, "r.toml: method.ramp must be in (0, 1], not 0.0"),
        ("method.l2", -1.0, "r.toml: method.l2 must not be negative, not -1.0"),
        ("method.retrain_epochs", 0, "r.toml: method.retrain_epochs must be a positive integer, not 0"),
        ("method.threshold_rate", 0.0, "r.toml: method.threshold_rate must be positive, not 0.0"),
        ("method.cost", "area", "r.toml: method.cost must be one of index-bits, lane-cycles, not 'area'"),
        ("method.name", "magic", "r.toml: method.name must be one of sparsity-induced, not 'magic'"),
        ("model.requantize", "float", "r.toml: model.requantize must be one of thresholds, shift, not 'float'"),
        ("model.hidden", 3, "r.toml: model.hidden must be a list, not 3"),
        ("model.hidden", [3, 0], "r.toml: model.hidden must be positive sizes, not [3, 0]"),
        ("model.hidden", ["a"], "r.toml: model.hidden must be an integer, not 'a'"),
        ("model.activation_width", 9, "r.toml: model.activation_width must be 1 to 8 bits, not 9"),
        ("model.learned_step", True, 'r.toml: model.learned_step needs requantize = "thresholds"'),
        ("model.learned_step", 1, "r.toml: model.learned_step must be true or false, not 1"),
        ("data.validation", 0, "r.toml: data.validation must be a positive number of images, not 0"),
        ("data.augment", {"shift": -1}, "r.toml: data.augment.shift must not be negative, not -1.0"),
        ("seed", -1, "r.toml: seed must be 0 to 2^32 - 1, not -1"),
        ("name", "a/b", "r.toml: name must be letters, digits, '-' and '_', not 'a/b'"),
        ("name", "", "r.toml: name must be letters, digits, '-' and '_', not ''"),
    ],
)
def test_refusals_name_file_and_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(change(key, value), source="r.toml")
    assert str(caught.value).startswith(message)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none.toml: cannot be read: No such file"):
        load_recipe(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(RecipeError, match=r"broken.toml: not a TOML file"):
        load_recipe(broken)


def test_every_method_is_reachable_by_its_name() -> None:
    for name, method in METHODS.items():
        assert method.config_type.__doc__
        assert name == name.lower()
