"""Graphs whose branches part and meet: values, exact times, buffers deep enough and no deeper, and no deadlock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bench import S4, U4, random_weights
from networks import check_accelerator

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.hw.graph.timing import compute_timing, find_steady, transfer_times
from sterna.hw.units.buffer.plan import BufferPlan
from sterna.net import Add, Conv2d, Linear, MaxPool2d, Network, Node, ShiftRound
from sterna.sim.random_networks import random_frames
from sterna.sim.random_residual import random_residual_network

SHIFT = ShiftRound(output=U4, bias=0, shift=2)


def buffers(plan: AcceleratorPlan) -> list[BufferPlan]:
    return [unit for unit in plan.units if isinstance(unit, BufferPlan)]


def with_depths(plan: AcceleratorPlan, change: int | None) -> AcceleratorPlan:
    """The plan with each buffer's depth changed by some words; with None, without an end."""
    units = tuple(
        replace(unit, depth=None if change is None else unit.depth + change) if isinstance(unit, BufferPlan) else unit
        for unit in plan.units
    )
    return replace(plan, units=units)


def residual(seed: int) -> AcceleratorPlan:
    """A random residual network's, whose results leave one a beat."""
    plan = plan_accelerator(random_residual_network(np.random.default_rng(seed)), AcceleratorConfig())
    assert plan.output.elements == 1
    return plan


def check(plan: AcceleratorPlan, *, frames: int = 5, seed: int = 0) -> None:
    """Values under stalls; without them, the cycle of every transfer."""
    images = random_frames(np.random.default_rng(seed), plan.network, frames)
    record = check_accelerator(plan, images)
    inputs, outputs = transfer_times(plan.units, plan.sources, frames)
    assert record.sent == inputs[: len(record.sent)]
    assert record.received == outputs
    check_accelerator(plan, images, input_stall=0.3, output_stall=0.4, seed=seed)
    check_accelerator(plan, images, output_stall=0.9, seed=seed)


@pytest.mark.parametrize("seed", [1, 3, 8, pytest.param(62, marks=pytest.mark.slow), 286])
def test_random_residual_networks(seed: int) -> None:
    check(residual(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 240))
def test_forty_random_residual_networks(seed: int) -> None:
    check(residual(seed), seed=seed)


@pytest.mark.parametrize("seed", [*range(20), 62, 286])
def test_a_graph_is_as_fast_as_its_slowest_unit(seed: int) -> None:
    """Behind the fork of network 62, two pools pause at different times; 286 stops with the buffers found first."""
    timing = compute_timing(residual(seed))
    assert timing.interval == max(timing.unit_intervals)


@pytest.mark.slow
def test_three_hundred_and_ten_graphs_are_as_fast_as_their_slowest_unit() -> None:
    for seed in range(20, 330):
        timing = compute_timing(residual(seed))
        assert timing.interval == max(timing.unit_intervals), seed


def block(shape: tuple[int, int, int] = (3, 6, 6), *, requantized: bool = False) -> Network:
    """Two convolutions of 3 x 3, and what they read."""
    rng = np.random.default_rng(4)
    channels = shape[0]
    filters = [random_weights(rng, channels, channels * 9, 0.5).reshape(channels, channels, 3, 3) for _ in range(3)]
    nodes: list[Node] = [
        Conv2d(name="stem", weights=filters[0], padding=1, requantize=SHIFT),
        Conv2d(name="a", weights=filters[1], padding=1, requantize=SHIFT),
        Conv2d(name="b", weights=filters[2], padding=1, requantize=SHIFT if requantized else None),
        Add(name="sum", inputs=("b", "stem"), shifts=(0, 2), requantize=ShiftRound(output=S4, bias=0, shift=2)),
    ]
    return Network(input_shape=shape, input_type=U4, input_scale=1.0, nodes=nodes)


def test_only_the_way_that_waits_has_a_buffer() -> None:
    plan = plan_accelerator(block(), AcceleratorConfig())
    (buffer,) = buffers(plan)
    names = [unit.name for unit in plan.units]
    assert names == ["stem", "a", "b", buffer.name, "sum"]
    assert plan.sources == ((-1,), (0,), (1,), (0,), (2, 3))
    interval = find_steady(plan.units, plan.sources).interval
    assert interval == max(unit.work.interval for unit in plan.units)
    half = with_depths(plan, -buffer.depth // 2)
    assert find_steady(half.units, half.sources).interval > interval


def test_all_channels_that_are_added_leave_in_one_order() -> None:
    """The first convolution chooses it; the second one, which could do better in another, follows."""
    plan = plan_accelerator(block((5, 4, 4)), AcceleratorConfig(lanes=8))
    stem, a, b, _, total = plan.units
    assert sorted(stem.output.order) == [0, 1, 2, 3, 4] == list(total.output.order)  # the network's output
    assert b.output.order == stem.output.order
    behind = Conv2d(name="last", weights=np.ones((2, 5, 1, 1), np.int8))
    network = block((5, 4, 4))
    longer = Network(input_shape=(5, 4, 4), input_type=U4, input_scale=1.0, nodes=[*network.nodes, behind])
    stem, a, b, _, total, last = plan_accelerator(longer, AcceleratorConfig(lanes=8)).units
    assert stem.output.order == b.output.order == total.output.order == tuple(last.layer.inputs.tolist())
    assert stem.output.order != (0, 1, 2, 3, 4)
    assert a.output.order != stem.output.order


def test_beats_of_different_widths_meet() -> None:
    """The first branch sends few elements a beat, a pool on the other one several: they join by the fewer.

    The pool's branch is the late one, so nothing waits there: its buffer only makes beats narrower.
    """
    few = np.zeros((2, 8, 3, 3), np.int8)
    few[[0, 1], [0, 1], 1, 1] = 1, -1
    ones = np.ones((2, 8, 1, 1), np.int8)
    nodes = [
        Conv2d(name="narrow", inputs=("input",), weights=ones, stride=2, requantize=SHIFT),
        Conv2d(name="wide", inputs=("input",), weights=few, padding=1, requantize=SHIFT),
        MaxPool2d(name="pool", inputs=("wide",), kernel=2),
        Add(name="sum", inputs=("narrow", "pool"), shifts=(1, 0), requantize=SHIFT),
        Conv2d(name="last", weights=np.ones((1, 2, 3, 3), np.int8), padding=1),
    ]
    network = Network(input_shape=(8, 8, 8), input_type=U4, input_scale=1.0, nodes=nodes)
    plan = plan_accelerator(network, AcceleratorConfig(elements_per_beat=8, lanes=[4, 16, 4]))
    output = {unit.name: unit.output.elements for unit in plan.units}
    assert output["pool"] == 4 > output["narrow"] == output["sum"]
    depths = {
        plan.units[plan.sources[k][0]].name: buffer.depth
        for k, buffer in enumerate(plan.units)
        if buffer in buffers(plan)
    }
    assert set(depths) == {"pool", "narrow"}  # and none behind the fork
    assert depths["pool"] == 2 < depths["narrow"]
    check(plan, frames=3)


def test_the_input_is_added_too() -> None:
    """It parts before any unit; of frames that are too short or too long, both branches see the same."""
    weights = random_weights(np.random.default_rng(2), 6, 6, 0.4)
    nodes = [
        Linear(name="fc", weights=weights, requantize=SHIFT),
        Add(name="sum", inputs=("fc", "input"), shifts=(0, 1)),
    ]
    network = Network(input_shape=(6,), input_type=U4, input_scale=1.0, nodes=nodes)
    for elements in (1, 2):
        plan = plan_accelerator(network, AcceleratorConfig(lanes=2, elements_per_beat=elements))
        check(plan)


def test_a_value_twice() -> None:
    nodes = [
        Linear(name="fc", weights=np.array([[1, -1], [1, 1]], np.int8), requantize=SHIFT),
        Add(name="sum", inputs=("fc", "fc"), shifts=(0, 3)),
    ]
    plan = plan_accelerator(Network(input_shape=(2,), input_type=U4, input_scale=1.0, nodes=nodes), AcceleratorConfig())
    assert not buffers(plan)
    check(plan)


@pytest.mark.parametrize("seed", [1, 2, 8])
def test_depths_cost_nothing(seed: int) -> None:
    """Buffers without an end are not faster."""
    plan = residual(seed)
    assert buffers(plan)
    endless = with_depths(plan, None)
    assert find_steady(endless.units, endless.sources).interval == find_steady(plan.units, plan.sources).interval


def test_a_buffer_that_is_too_small_stops_the_units() -> None:
    """And the computation of the timing, which every plan goes through, says so."""
    plan = plan_accelerator(block(), AcceleratorConfig())
    (buffer,) = buffers(plan)
    small = with_depths(plan, 2 - buffer.depth)  # `b` gives nothing until `stem` has given three rows
    with pytest.raises(RuntimeError, match="timing stopped in frame 0"):
        find_steady(small.units, small.sources)
    images = random_frames(np.random.default_rng(0), plan.network, 1)
    with pytest.raises(AssertionError, match="results after 3000 cycles"):
        check_accelerator(small, images, limit=3000)
