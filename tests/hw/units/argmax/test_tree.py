"""The class with the highest of scores that come all in one beat."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape, signed, unsigned
from bench import Port, Record, beats_of, drive, linear_network, random_codes, random_weights
from networks import check_accelerator

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.plan import plan_accelerator
from sterna.hw.graph.stream import whole
from sterna.hw.graph.timing import transfer_times
from sterna.hw.units.argmax.tree_plan import ArgmaxTreePlan


def classify(frames: np.ndarray, shape: Shape, **stalls: Any) -> Record:
    plan = ArgmaxTreePlan(scores=whole((frames.shape[1],), shape, elements=frames.shape[1]))
    unit: Any = plan.component(framed=False)
    record = drive(
        unit,
        Port(unit.i.valid, unit.i.ready, unit.i.payload),
        Port(unit.o.valid, unit.o.ready, unit.o.payload),
        beats_of(frames, frames.shape[1]),
        count=len(frames),
        **stalls,
    )
    assert record.results == [
        min(k for k, score in enumerate(frame) if score == max(frame)) for frame in frames.tolist()
    ]
    return record


def test_every_order_of_three_scores() -> None:
    classify(np.array(list(itertools.product([-2, -1, 0, 1], repeat=3))), signed(2))
    classify(np.array(list(itertools.product([0, 1, 3], repeat=3))), unsigned(2))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 17])
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.6)])
def test_any_scores_whatever_stalls(count: int, stalls: tuple[float, float]) -> None:
    frames = np.random.default_rng(count).integers(-8, 8, (60, count))
    record = classify(frames, signed(4), input_stall=stalls[0], output_stall=stalls[1], seed=count)
    if not any(stalls):
        assert np.diff(record.sent).tolist() == [1] * 59
        assert np.diff(record.received).tolist() == [1] * 59


@pytest.mark.parametrize("kind", ["bitserial", "unrolled"])
def test_behind_a_unit_that_gives_all_scores_at_once(kind: str) -> None:
    """Every transfer in its cycle; an unrolled network gives a class a cycle."""
    rng = np.random.default_rng(0)
    network = linear_network(random_weights(rng, 7, 12, 0.4))
    config = AcceleratorConfig(units={"all": kind}, elements_per_beat=12, argmax=True)
    plan = plan_accelerator(network, config)
    frames = random_codes(rng, network.input_type, 40, 12)
    record = check_accelerator(plan, frames)
    inputs, outputs = transfer_times(plan.units, plan.sources, 40)
    assert [time - record.sent[0] for time in record.sent] == inputs
    assert [time - record.sent[0] for time in record.received] == outputs
    if kind == "unrolled":
        assert np.diff(outputs).tolist() == [1] * 39
    check_accelerator(plan, frames, input_stall=0.3, output_stall=0.5, seed=1)
