"""Computed latency and interval are what simulation measures, to the cycle."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType
from sterna.sim.random_networks import random_dense_network, random_frames
from sterna.sim.rtl import RtlModel
from sterna.sim.simulators import Simulator

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "timing_exact.py"))


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed in range(1, 7) else pytest.mark.slow) for seed in range(200)]
)
def test_random_network(seed: int, any_simulator: Simulator) -> None:
    network, config = BENCHMARK["draw"](seed)
    report = BENCHMARK["measure"](network, config, simulator=any_simulator.value)
    report.check()
    assert report.latency_cycles is not None
    assert report.interval_cycles is not None


@pytest.mark.parametrize("lanes", [[1, 3], [4, 1], [4, 3]], ids=["first slow", "second slow", "even"])
def test_interval_settles(lanes: list[int], tmp_path: Path, any_simulator: Simulator) -> None:
    """After 8 frames every interval is the computed one, and a frame alone has the latency of the first of many."""
    u4 = ActivationType(width=4, signed=False)
    network = random_dense_network(np.random.default_rng(7), sizes=[24, 16, 10], zeros=0.3, types=[u4] * 3)
    path = generate(network, tmp_path, config=AcceleratorConfig(lanes=lanes, elements_per_beat=8))
    model = RtlModel(path, simulator=any_simulator)
    frames = random_frames(np.random.default_rng(8), network, 30)
    model.predict(frames[:1])
    assert model.latency_cycles == model.manifest.latency_cycles
    model.predict(frames)
    assert model.latency_cycles == model.manifest.latency_cycles
    assert set(model.intervals[8:]) == {model.manifest.interval_cycles}
