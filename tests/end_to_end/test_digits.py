"""The floor: real images, from a recipe to verified Verilog, through the command line alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sterna.net import load, quantize_input
from sterna.sim.golden import GoldenModel
from sterna.sim.simulators import available

ROOT = Path(__file__).resolve().parents[2]
SIMULATORS = [simulator.value for simulator in available()]


def sterna(*arguments: object) -> dict:
    command = [sys.executable, "-m", "sterna.cli", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network trained by a shortened recipe: enough to be far from chance."""
    folder = tmp_path_factory.mktemp("digits")
    text = (ROOT / "recipes" / "digits-mlp.toml").read_text()
    text, found = re.subn(r"^epochs = .*$", "epochs = 45", text, flags=re.MULTILINE)
    assert found == 1
    recipe = folder / "short.toml"
    recipe.write_text(text)
    figures = sterna("train", recipe, "--output", folder / "run")
    assert figures["test_accuracy"] > 0.85
    return next((folder / "run").glob("*.safetensors"))


def test_trained_network_equals_its_verilog_on_every_test_image(trained: Path, tmp_path: Path) -> None:
    generated = sterna("generate", trained, "--output", tmp_path, "--lanes", "3,2,1")
    network = load(trained)
    assert generated["network_digest"] == network.digest
    result = sterna("simulate", tmp_path, "--dataset", "digits", "--simulator", SIMULATORS[0], "--trace")
    assert result["frames"] == 360
    assert result["equal"] is True
    assert result["network_digest"] == network.digest
    assert result["latency_cycles"] == generated["timing"]["latency_cycles"]
    assert result["interval_cycles"] == generated["timing"]["interval_cycles"]


def test_accuracy_in_the_file_is_that_of_the_integers(trained: Path) -> None:
    from sterna.train.data import load_digits

    network, data = load(trained), load_digits()
    images = data.test_images.numpy().reshape(-1, 64)
    codes = quantize_input(images, network.input_scale, network.input_type)
    right = GoldenModel(network).classify(codes) == data.test_labels.numpy()
    assert float(np.mean(right)) == network.metadata["test_accuracy"]
