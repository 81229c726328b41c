"""Network files damaged at random: loaded, or refused with the file's name, and never anything else."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from damage import check_load, damaged

from sterna.net import (
    ActivationType,
    Add,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    ShiftRound,
    SumPool2d,
    Thresholds,
    load,
    save,
)

DATA = Path(__file__).parent / "data"
U2 = ActivationType(2, False)


def small(path: Path) -> Path:
    """Every kind of node, with as few weights as may be: so that damage seldom falls on them."""
    levels = np.tile(np.arange(3), (2, 1))
    network = Network(
        input_shape=(1, 4, 4),
        input_type=U2,
        input_scale=0.5,
        nodes=[
            Conv2d(
                name="a", weights=np.ones((2, 1, 2, 2)).astype(int), requantize=Thresholds(output=U2, levels=levels)
            ),
            MaxPool2d(name="b", kernel=2, stride=1, padding=1),
            SumPool2d(name="c", kernel=2, padding=1, requantize=ShiftRound(output=U2, bias=1, shift=2)),
            Add(name="d", inputs=("c", "c"), shifts=(0, 1), requantize=ShiftRound(output=U2, bias=0, shift=1)),
            Flatten(name="e"),
            Linear(name="f", weights=np.eye(2, 18, dtype=int), bias=[1, 2]),
        ],
        metadata={"seed": 1, "log": [0.5, [1, {"a": None}]]},
    )
    save(network, path)
    return path


def run(folder: Path, *, seed: int, files: int) -> None:
    samples = [path.read_bytes() for path in (small(folder / "small"), *sorted(DATA.glob("*.safetensors")))]
    rng = random.Random(seed)
    for _ in range(files):
        content = rng.choice((samples[0], *samples))
        check_load(load, folder / "damaged.safetensors", damaged(content, "sterna", rng))


def test_undamaged_files_pass_the_check(tmp_path: Path) -> None:
    for path in (small(tmp_path / "small"), *DATA.glob("*.safetensors")):
        assert check_load(load, tmp_path / "whole.safetensors", path.read_bytes())


def test_damaged_files(tmp_path: Path) -> None:
    run(tmp_path, seed=0, files=2000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_many_damaged_files(tmp_path: Path, seed: int) -> None:
    """100,000 of them altogether."""
    run(tmp_path, seed=seed, files=5000)
