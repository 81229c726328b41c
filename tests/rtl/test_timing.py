"""Computed latency and interval are what simulation measures, to the cycle, in accelerators of several structures."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig, generate
from sterna.hw.graph.lower import lower
from sterna.net import ActivationType, Network, Thresholds
from sterna.sim.compare import compare
from sterna.sim.errors import MismatchError
from sterna.sim.random_networks import random_dense_network, random_frames
from sterna.sim.rtl import RtlModel
from sterna.sim.simulators import Simulator

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "timing_exact.py"))
U4 = ActivationType(width=4, signed=False)


def network(*sizes: int, seed: int = 0) -> Network:
    """Dense layers of four-bit codes, half of the weights zeros."""
    kinds = [*[Thresholds] * (len(sizes) - 2), None]
    rng = np.random.default_rng(seed)
    return random_dense_network(rng, sizes=sizes, zeros=0.5, types=[U4] * len(sizes), kinds=kinds)


def lanes(network: Network, most: int) -> list[int]:
    """So many lanes, or one a row where a layer has fewer."""
    return [min(most, len(layer.weights)) for layer in lower(network)]


CASES: dict[str, tuple[Network, int, dict[str, Any]]] = {
    "deep": (network(10, 14, 9, 12, 8, 11, 6, seed=2), 2, {}),
    "a lane a row": (network(12, 24, 24, 10), 24, {}),
    "short frames": (network(1, 3, 2), 1, {}),
    "short frames, many lanes": (network(2, 5, 2, seed=1), 5, {}),
    "argmax": (network(10, 14, 9, 12, 6, seed=2), 3, {"argmax": True}),
    "several elements a beat": (network(40, 16, 10), 3, {"elements_per_beat": 8}),
    "one layer": (network(20, 7), 2, {"elements_per_beat": 4}),
    "bit-serial": (network(24, 16, 10), 1, {"units": {"all": "bitserial"}, "elements_per_beat": 8}),
    "bit-serial between folded": (network(20, 14, 12, 9), 1, {"units": {"fc2": "bitserial"}, "argmax": True}),
    "the last layer is the slowest": (network(24, 16, 10), 9, {"elements_per_beat": 8, "lanes": [9, 1]}),
}


#: The slowest of them, whose units "deep" and "short frames, many lanes" have too.
LONG = {"short frames", "argmax"}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (name in LONG), id=name) for name, case in CASES.items()]
)
def test_structures(case: tuple[Network, int, dict[str, Any]], tmp_path: Path, any_simulator: Simulator) -> None:
    """Over at least 64 frames of whole periods; and a frame alone has the latency of the first of many."""
    made, most, options = case
    path = generate(made, tmp_path, config=AcceleratorConfig(**{"lanes": lanes(made, most), **options}))
    model = RtlModel(path, simulator=any_simulator)
    frames = random_frames(np.random.default_rng(8), made, model.frames_needed)
    model.predict(frames[:1])
    assert model.latency_cycles == model.manifest.latency_cycles
    report = compare(made, path, frames, simulator=any_simulator)
    report.check()
    assert report.interval is not None
    assert len(frames) > 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda timing: _scale(timing, cycles=1), "the interval is .*; frame .* were computed$", id="interval"
        ),
        pytest.param(
            lambda timing: _scale(timing, frames=1), "the interval is .*; frame .* were computed$", id="period"
        ),
        pytest.param(
            lambda timing: timing.update(largest_gap_cycles=timing["largest_gap_cycles"] + 1),
            "the largest gap between frames is .* cycles, but .* were computed$",
            id="gap",
        ),
        pytest.param(
            lambda timing: timing.update(latency_cycles=timing["latency_cycles"] - 1),
            "the latency is .* cycles, but .* were computed$",
            id="latency",
        ),
    ],
)
def test_doctored_figures_are_refused(
    change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path, any_simulator: Simulator
) -> None:
    made = network(12, 9, 5)
    path = generate(made, tmp_path, config=AcceleratorConfig(lanes=2, name="subject"))
    fields = json.loads(path.read_text())
    change(fields["timing"])
    path.write_text(json.dumps(fields))
    model = RtlModel(path, simulator=any_simulator)
    frames = random_frames(np.random.default_rng(1), made, model.frames_needed)
    report = compare(made, path, frames, simulator=any_simulator)
    assert report.equal
    with pytest.raises(MismatchError, match=f"^subject: {message}"):
        report.check()


def _scale(timing: dict[str, Any], *, cycles: int = 0, frames: int = 0) -> None:
    timing["period_cycles"] += cycles
    timing["period_frames"] += frames
    interval = timing["period_cycles"] / timing["period_frames"]
    timing["interval_cycles"] = int(interval) if interval.is_integer() else interval


def test_benchmark(any_simulator: Simulator) -> None:
    """One of its networks, measured; one that would need more frames than it simulates, said to be not measured."""
    record = BENCHMARK["random_record"](1, simulator=any_simulator.value)
    assert record["equal"]
    assert record["measured"]
    assert record["interval_cycles"]["measured"] == record["interval_cycles"]["computed"]
    assert record["interval_over_bound"] == record["interval_cycles"]["computed"] / record["bound_cycles"]
    drawn, config = BENCHMARK["draw"](1)
    record = BENCHMARK["measure"](drawn, config, simulator=any_simulator.value, most_frames=20)
    assert record["equal"]
    assert not record["measured"]
    assert record["interval_cycles"]["measured"] is None
    assert record["latency_cycles"]["measured"] == record["latency_cycles"]["computed"]
