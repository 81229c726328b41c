"""The committed networks are what they say."""

from __future__ import annotations

import importlib.util
import math
import os
from pathlib import Path

import pytest

from sterna.net import cost
from sterna.net.file import load
from sterna.net.nodes import WeightNode
from sterna.train.api import golden_accuracy
from sterna.train.data import DATA_VARIABLE, load_data
from sterna.train.recipe import load_recipe

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "models").glob("*.safetensors"))


@pytest.mark.parametrize("name", NAMES)
def test_network_is_its_recipes(name: str) -> None:
    network = load(ROOT / "models" / f"{name}.safetensors")
    recipe = load_recipe(ROOT / "recipes" / f"{name}.toml")
    kept = network.metadata
    assert kept["recipe"] == recipe.as_dict()
    assert kept["command"] == f"sterna train recipes/{name}.toml --seed {recipe.seed}"
    wanted = recipe.method.target.zeros
    assert wanted is not None
    assert kept["zeros"] == network.zeros >= wanted
    if (limit := recipe.method.target.lane_cycles) is not None:
        taken = sum(
            cost.lane_cycles(cost.nonzeros(node.weights), math.prod(network.shapes[node.name][1:]))
            for node in network.nodes
            if isinstance(node, WeightNode)
        )
        assert taken <= limit


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_is_the_golden_models(name: str) -> None:
    network = load(ROOT / "models" / f"{name}.safetensors")
    data_name = network.metadata["data"]
    if data_name != "digits" and not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"{DATA_VARIABLE} is not set: no download in tests")
    assert golden_accuracy(network, load_data(data_name)) == network.metadata["test_accuracy"]


def test_table_of_models_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("models_table", ROOT / "benchmarks" / "models_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "models" / "README.md").read_text() == module.render()
