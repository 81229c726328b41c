"""Computed latency and interval against those that simulation measures: equal, to the cycle."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from bench import U4
from networks import check_accelerator, random_frames, random_map_plan, random_plan

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.hw.graph.timing import _Graph, compute_timing, find_steady, transfer_times
from sterna.net import Linear, Network, ShiftRound

#: Seeds of plans of which frames can be passed over.
PASSING = [7, 41, 111, 179, 299, 385]


def check(plan: AcceleratorPlan, *, frames: int = 20) -> None:
    """Every input and output transfer comes in the cycle that was computed, with the right value."""
    record = check_accelerator(plan, random_frames(plan, frames))
    inputs, outputs = transfer_times(plan.units, plan.sources, frames)
    assert record.sent == inputs[: len(record.sent)]
    assert record.received == outputs
    last = record.received[plan.output.beats - 1 :: plan.output.beats]
    assert last[0] == compute_timing(plan).latency


def check_interval(plan: AcceleratorPlan, *, least: int = 64) -> None:
    """The mean over whole periods, at least so many frames of them, and the largest gap, are what was computed."""
    timing = compute_timing(plan)
    periods = -(-least // timing.period_frames)
    frames = timing.settled_frames + periods * timing.period_frames + 1
    record = check_accelerator(plan, random_frames(plan, frames))
    last = record.received[plan.output.beats - 1 :: plan.output.beats][timing.settled_frames :]
    assert Fraction(last[-1] - last[0], len(last) - 1) == timing.interval
    gaps = [b - a for a, b in itertools.pairwise(last)]
    assert max(gaps) == timing.largest_gap
    assert gaps[: -timing.period_frames] == gaps[timing.period_frames :]


@pytest.mark.parametrize("seed", range(28))
def test_random_networks(seed: int) -> None:
    check(random_plan(seed))


@pytest.mark.parametrize("seed", [0, 1, 3, 5, 7, 12, 21, 35])
def test_random_networks_of_maps(seed: int) -> None:
    check(random_map_plan(seed), frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_twenty_random_networks_of_maps(seed: int) -> None:
    check(random_map_plan(seed), frames=8)


@pytest.mark.parametrize("seed", [1, 2, 5, 9])
def test_the_interval_over_whole_periods(seed: int) -> None:
    check_interval(random_plan(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(28, 78))
def test_the_interval_of_fifty_random_networks(seed: int) -> None:
    check_interval(random_plan(seed))


@pytest.mark.parametrize("seed", [*range(30), 117])
def test_no_rate_is_lost(seed: int) -> None:
    """A chain's interval is that of its slowest unit: its steps, its beats or its results."""
    plan = random_plan(seed)
    timing = compute_timing(plan)
    assert timing.interval == max(unit.work.interval for unit in plan.units)
    assert timing.unit_intervals == tuple(unit.work.interval for unit in plan.units)


@pytest.mark.slow
def test_four_hundred_random_chains_lose_no_rate() -> None:
    for seed in range(400):
        plan = random_plan(seed)
        steady = find_steady(plan.units, plan.sources)
        assert steady.interval == max(unit.work.interval for unit in plan.units), seed


def pass_over(plan: AcceleratorPlan, frames: int) -> tuple[int, _Graph]:
    """Runs frames until some can be passed over; how many periods were, and where that leads."""
    graph = _Graph(plan.units, plan.sources)
    snapshots, seen = [], {}
    for _ in range(frames):
        graph.run_frame()
        snapshots.append(graph.snapshot())
        shape = snapshots[-1].shape
        if shape in seen and (periods := graph.pass_over(snapshots[seen[shape] :])):
            return periods, graph
        seen[shape] = len(snapshots) - 1
    return 0, graph


@pytest.mark.parametrize("seed", PASSING)
def test_frames_that_are_passed_over_lead_where_run_ones_do(seed: int) -> None:
    plan = random_plan(seed)
    periods, passed = pass_over(plan, 120)
    assert periods > 0
    run = _Graph(plan.units, plan.sources)
    for _ in range(passed.frame + 1):
        run.run_frame()
    assert run.snapshot().state == passed.snapshot().state


def test_late_input_is_not_passed_over() -> None:
    """A unit that waited for its input in a period may do otherwise in the next one, though its own times repeat."""
    assert pass_over(random_plan(39), 120)[0] == 0


@pytest.mark.parametrize("seed", range(0, 60))
def test_passing_frames_over_changes_nothing(seed: int) -> None:
    plan = random_plan(seed)
    passed, run = (find_steady(plan.units, plan.sources, pass_over=over) for over in (True, False))
    assert passed.first == run.first
    assert passed.interval == run.interval
    frames = passed.settled + 2 * len(passed.gaps) + 1
    last = transfer_times(plan.units, plan.sources, frames)[1][plan.output.beats - 1 :: plan.output.beats]
    assert tuple(b - a for a, b in itertools.pairwise(last[passed.settled :])) == 2 * passed.gaps


def chain(*sizes: int, lanes: list[int], ones: float = 1.0, **config: object) -> AcceleratorPlan:
    """Layers whose results depend on their inputs, so that nothing is left out; a share of ones in each row."""
    nodes = []
    for k, (columns, rows) in enumerate(itertools.pairwise(sizes)):
        weights = np.zeros((rows, columns), np.int8)
        for row in range(rows):
            used = (row + np.arange(max(1, round(columns * ones)))) % columns
            weights[row, used] = 1
        for column in np.flatnonzero(~weights.any(axis=0)):
            weights[column % rows, column] = 1
        requantize = None if k == len(sizes) - 2 else ShiftRound(output=U4, bias=0, shift=3)
        nodes.append(Linear(name=f"fc{k}", weights=weights, requantize=requantize))
    network = Network(input_shape=(sizes[0],), input_type=U4, input_scale=1.0, nodes=nodes)
    return plan_accelerator(network, AcceleratorConfig(lanes=lanes, **config))


@pytest.mark.parametrize(
    "plan",
    [
        chain(1, 1, lanes=[1]),
        chain(1, 1, 1, 1, lanes=[1, 1, 1]),
        chain(3, 3, lanes=[3]),  # fewer steps than stages
        chain(2, 5, 2, lanes=[5, 2]),
        chain(12, 12, lanes=[12]),  # as many lanes as rows
        chain(16, 24, lanes=[1]),
        chain(40, 8, 8, 8, lanes=[1, 8, 8]),  # the first layer is the slowest
        chain(8, 8, 24, 8, lanes=[8, 1, 8]),
        chain(8, 8, 8, 24, lanes=[8, 8, 1]),
        chain(60, 4, 4, lanes=[4, 4]),  # the input is
        chain(60, 4, 4, lanes=[4, 4], elements_per_beat=4),
        chain(6, 30, 30, 6, lanes=[30, 30, 6], ones=0.1),  # results and beats are
        chain(9, 20, 3, lanes=[20, 1], ones=0.3),
        chain(9, 20, 3, lanes=[20, 1], ones=0.3, argmax=True),
    ],
    ids=lambda plan: "-".join(f"{unit.work.beats}:{unit.work.steps}:{unit.work.results}" for unit in plan.units),
)
def test_corners(plan: AcceleratorPlan) -> None:
    check(plan)


def test_a_unit_alone_is_never_slower_than_in_a_chain() -> None:
    for seed in range(12):
        timing = compute_timing(random_plan(seed))
        assert timing.interval >= max(timing.unit_intervals)


def test_cycles_follow_the_nonzeros() -> None:
    half, full = (chain(64, 16, lanes=[2], ones=share, elements_per_beat=8) for share in (0.5, 1.0))
    assert compute_timing(full).interval == 64 * 16 // 2
    assert compute_timing(half).interval <= 64 * 16 // 4 + 16  # a filler a row
