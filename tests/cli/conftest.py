from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sterna.cli.app import run
from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType, Linear, Network, Thresholds
from sterna.net.file import save


@dataclass(frozen=True)
class Outcome:
    """How a command line ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a failure; what took long, or should be known, may have been said before it."""
        assert self.status == 1
        *before, last = self.err.splitlines()
        assert all(line.endswith(" ...") or line.startswith("note: ") for line in before)
        assert last.startswith("sterna: ")
        return last.removeprefix("sterna: ")


@pytest.fixture
def sterna(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command line in this process."""

    def call(*arguments: object) -> Outcome:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


def network(columns: int = 8, rows: int = 6, classes: int = 3, seed: int = 1) -> Network:
    """Two dense layers with thresholds between."""
    rng = np.random.default_rng(seed)
    kind = ActivationType(width=2, signed=False)
    levels = np.sort(rng.integers(-4, 8, (rows, 3)), axis=1).astype(np.int32)
    return Network(
        input_shape=(columns,),
        input_type=kind,
        input_scale=1.0,
        nodes=[
            Linear(
                name="hidden",
                weights=rng.choice([-1, 0, 1], (rows, columns)).astype(np.int8),
                requantize=Thresholds(output=kind, levels=levels),
            ),
            Linear(name="scores", weights=rng.choice([-1, 0, 1], (classes, rows)).astype(np.int8)),
        ],
        metadata={"test_accuracy": 0.5},
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small network's file."""
    path = tmp_path / "small-net.safetensors"
    save(network(), path)
    return path


@pytest.fixture(scope="session")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    generate(network(), folder, config=AcceleratorConfig(name="small_net"))
    save(network(), folder / "small_net.safetensors")
    return folder


@pytest.fixture
def folder(_generated: Path, tmp_path: Path) -> Path:
    """What `sterna generate` makes of :func:`model`, with no options."""
    return Path(shutil.copytree(_generated, tmp_path / "out"))


@pytest.fixture
def other() -> Network:
    """Another network, of the same shape."""
    return network(seed=2)
