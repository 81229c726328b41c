"""Lanes given or derived, unit names, and configurations that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from bench import S4, U4, linear_network, random_weights

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.lanes import _fewest
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.hw.graph.timing import compute_timing
from sterna.hw.units.dense.plan import plan_dense
from sterna.net import Flatten, Linear, Network, ShiftRound


def network(*sizes: int, zeros: float = 0.5, names: list[str] | None = None, metadata: dict | None = None) -> Network:
    rng = np.random.default_rng(sum(sizes))
    nodes = []
    for k in range(len(sizes) - 1):
        hidden = ShiftRound(output=S4, bias=0, shift=1) if k < len(sizes) - 2 else None
        weights = random_weights(rng, sizes[k + 1], sizes[k], zeros)
        nodes.append(Linear(name=names[k] if names else f"fc{k + 1}", weights=weights, requantize=hidden))
    return Network(input_shape=(sizes[0],), input_type=U4, input_scale=1.0, nodes=nodes, metadata=metadata)


def lanes_of(plan: AcceleratorPlan) -> list[int]:
    return [unit.schedule.lanes for unit in plan.units]


def steps_with_one_lane_less(plan: AcceleratorPlan) -> list[int]:
    plans = [
        plan_dense(
            unit.layer,
            lanes=unit.schedule.lanes - 1,
            order=range(len(unit.layer.weights)) if unit is plan.units[-1] else None,
        )
        for unit in plan.units
    ]
    return [fewer.schedule.steps for fewer in plans]


def test_one_number_of_lanes_serves_all_layers() -> None:
    assert lanes_of(plan_accelerator(network(10, 8, 6), AcceleratorConfig(lanes=3))) == [3, 3]


def test_lanes_for_each_layer() -> None:
    assert lanes_of(plan_accelerator(network(10, 8, 6), AcceleratorConfig(lanes=[8, 1]))) == [8, 1]


def test_without_lanes_no_layer_is_slower_than_the_input_if_it_can() -> None:
    plan = plan_accelerator(network(60, 40, 40, 10), AcceleratorConfig())
    assert all(unit.schedule.steps <= 60 for unit in plan.units)
    assert all(steps > 60 for steps in steps_with_one_lane_less(plan))
    assert compute_timing(plan).interval == 60
    narrow = plan_accelerator(network(4, 30, 4, zeros=0.0), AcceleratorConfig(elements_per_beat=4))
    assert lanes_of(narrow) == [5, 4]  # one beat a frame: results set the pace, 30 of them


def test_lanes_for_a_rate() -> None:
    config = AcceleratorConfig(fps=10_000, clock_hz=2e6)  # 200 cycles
    plan = plan_accelerator(network(50, 60, 30), config)
    assert max(unit.schedule.steps for unit in plan.units) <= 200
    assert compute_timing(plan).interval <= 200
    assert all(steps > 200 for steps in steps_with_one_lane_less(plan))
    slow = plan_accelerator(network(50, 60, 30), AcceleratorConfig(fps=1, clock_hz=1e6))
    assert lanes_of(slow) == [1, 1]


def test_lanes_for_cycles() -> None:
    plan = plan_accelerator(network(50, 60, 30), AcceleratorConfig(cycles=200))
    assert lanes_of(plan) == lanes_of(
        plan_accelerator(network(50, 60, 30), AcceleratorConfig(fps=10_000, clock_hz=2e6))
    )
    # what a layer cannot reach, it comes as near to as more lanes would bring it
    assert lanes_of(plan_accelerator(network(50, 60, 30), AcceleratorConfig(cycles=1)))[0] > 20


def test_the_fewest_lanes_that_reach_a_rate() -> None:
    ones = linear_network(np.ones((8, 20), np.int8))
    for fps, lanes in ((1e6 / 160, 1), (1e6 / 159, 2), (1e6 / 80, 2), (1e6 / 79, 3), (1e6 / 20, 8)):
        assert lanes_of(plan_accelerator(ones, AcceleratorConfig(fps=fps, clock_hz=1e6))) == [lanes]


def test_bisection_finds_the_fewest() -> None:
    """The first guess follows the steps and is too high: 4 lanes, where 3 just reach the target."""
    table = {1: 100, 2: 90, 3: 50, 4: 49, 5: 20}
    assert _fewest(table.__getitem__, 50, 1, 5) == 3
    assert _fewest(table.__getitem__, 49, 1, 5) == 4
    assert _fewest(table.__getitem__, 19, 1, 5) is None
    assert _fewest(table.__getitem__, 100, 1, 5) == 1


def test_orders_are_permuted_into_the_next_layer() -> None:
    plan = plan_accelerator(network(12, 10, 4), AcceleratorConfig(lanes=3))
    first, second = plan.units
    assert plan.channel_order(0) != sorted(plan.channel_order(0))
    assert second.layer.inputs.tolist() == plan.channel_order(0)
    assert plan.channel_order(1) == [0, 1, 2, 3]
    assert first.order != tuple(range(10))


def test_names() -> None:
    plan = plan_accelerator(network(4, 3, 2, names=["clk", "argmax"]), AcceleratorConfig(lanes=1, argmax=True))
    assert plan.unit_names == ("clk_2", "argmax_2", "argmax")
    assert plan.name == "accelerator"
    named = network(4, 2, metadata={"name": "2 digits-mlp"})
    assert plan_accelerator(named, AcceleratorConfig(lanes=1)).name == "n_2_digits_mlp"
    assert plan_accelerator(named, AcceleratorConfig(lanes=1, name="top")).name == "top"


def test_outputs() -> None:
    scores = plan_accelerator(network(4, 3), AcceleratorConfig(lanes=1))
    classes = plan_accelerator(network(4, 3), AcceleratorConfig(lanes=1, argmax=True))
    assert (scores.output.beats, classes.output.beats) == (3, 1)
    assert classes.units[-1].inputs == (scores.output,)
    assert (classes.output.element.width, classes.output.element.signed) == (2, False)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            AcceleratorConfig(lanes=[2, 2, 2]),
            r"^lanes must be given for each of the 2 layers \(fc1, fc2\), not for 3$",
        ),
        (
            AcceleratorConfig(lanes=[2]),
            r"^lanes must be given for each of the 2 layers \(fc1, fc2\), not for 1$",
        ),
        (
            AcceleratorConfig(lanes=7),
            r"^layer 'fc2' has 6 rows to compute and cannot use 7 lanes: give it 1 to 6$",
        ),
        (
            AcceleratorConfig(lanes=1, elements_per_beat=16),
            r"^elements_per_beat must be at most the 10 input elements, not 16$",
        ),
        (
            AcceleratorConfig(fps=200_000, clock_hz=1e6),
            r"^200000 frames/s at 1e\+06 Hz leave 5 cycles a frame, and layer 'fc1' takes at least 10 \(its results "
            r"and its input beats\): lower fps, or give more elements_per_beat$",
        ),
    ],
)
def test_configurations_that_do_not_fit(config: AcceleratorConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_accelerator(network(10, 8, 6), config)


def test_a_rate_that_no_lanes_reach() -> None:
    wide = linear_network(np.ones((2, 64), np.int8))
    message = (
        r"^layer 'fc' takes 64 cycles with 2 lanes, as many as it can use, and 20000 frames/s at 1e\+06 Hz leave 50: "
        r"lower fps$"
    )
    with pytest.raises(ValueError, match=message):
        plan_accelerator(wide, AcceleratorConfig(fps=20_000, clock_hz=1e6, elements_per_beat=2))


def test_a_beat_of_a_map_holds_pixels_of_one_row() -> None:
    weights = random_weights(np.random.default_rng(0), 3, 2 * 4 * 6, 0.5)
    maps = Network(
        input_shape=(2, 4, 6),
        input_type=U4,
        input_scale=1.0,
        nodes=[Flatten(name="flat"), Linear(name="fc", weights=weights)],
    )
    assert plan_accelerator(maps, AcceleratorConfig(lanes=1, elements_per_beat=2)).units[0].beats == 24
    with pytest.raises(
        ValueError, match=r"^elements_per_beat must divide the 6 pixels of an input row, not 4: a beat "
    ):
        plan_accelerator(maps, AcceleratorConfig(lanes=1, elements_per_beat=4))


def test_a_feature_map_streams_by_row_channel_pixel() -> None:
    weights = random_weights(np.random.default_rng(1), 4, 12, 0.3)
    maps = Network(
        input_shape=(2, 3, 2),
        input_type=U4,
        input_scale=1.0,
        nodes=[Flatten(name="flat"), Linear(name="fc", weights=weights)],
    )
    layer = plan_accelerator(maps, AcceleratorConfig(lanes=1)).units[0].layer
    assert layer.inputs.tolist() == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]
    assert layer.weights.tolist() == weights[:, layer.inputs].tolist()


def test_a_beat_stays_in_a_row_of_pixels() -> None:
    image = Network(
        input_shape=(2, 3, 6),
        input_type=U4,
        input_scale=1.0,
        nodes=[Flatten(name="flat"), Linear(name="fc", weights=np.ones((2, 36), np.int8))],
    )
    assert plan_accelerator(image, AcceleratorConfig(lanes=1, elements_per_beat=2)).units[0].beats == 18
    message = (
        r"^elements_per_beat must divide the 6 pixels of an input row, not 4: a beat holds neighbouring pixels of one "
        r"channel$"
    )
    with pytest.raises(ValueError, match=message):
        plan_accelerator(image, AcceleratorConfig(lanes=1, elements_per_beat=4))
