"""Plans of convolutional networks: lanes in rows of a map, layers without lanes, beats that pools can take."""

from __future__ import annotations

import numpy as np
import pytest

from sterna.hw import AcceleratorConfig
from sterna.hw.graph.plan import plan_accelerator
from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, ShiftRound

U4 = ActivationType(width=4, signed=False)


def network(*pools: int, channels: int = 8) -> Network:
    """A 1 x 1 convolution, whose results come faster than one a cycle; then pools, then a layer."""
    side = 18 // int(np.prod(pools))
    weights = np.random.default_rng(0).integers(-1, 2, (3, channels * side * side)).astype(np.int8)
    shift = ShiftRound(output=U4, bias=0, shift=1)
    return Network(
        input_shape=(1, 18, 18),
        input_type=U4,
        input_scale=1.0,
        nodes=[
            Conv2d(name="conv", weights=np.ones((channels, 1, 1, 1), np.int8), requantize=shift),
            *(MaxPool2d(name=f"pool{k}", kernel=size) for k, size in enumerate(pools)),
            Flatten(name="flatten"),
            Linear(name="fc", weights=weights),
        ],
    )


@pytest.mark.parametrize("pools", [(2,), (3,), (2, 3), (3, 2), (9,)], ids=str)
@pytest.mark.parametrize("lanes", [None, (18, 1)], ids=["derived", "given"])
def test_pools_can_take_the_beats_before_them(pools: tuple[int, ...], lanes: tuple[int, int] | None) -> None:
    plan = plan_accelerator(network(*pools), AcceleratorConfig(lanes=lanes))
    conv, *rest = plan.units
    assert conv.output.elements > 1
    for unit, stride in zip(rest, pools, strict=False):
        (stream,) = unit.inputs
        assert stream.elements % stride == 0 or stride % stream.elements == 0


@pytest.mark.parametrize("stride", [1, 9, 18])
def test_any_beats_go_into_a_single_window(stride: int) -> None:
    """They need not have a multiple of its stride."""
    nodes = list(network(9).nodes)
    nodes[1] = MaxPool2d(name="pool0", kernel=18, stride=stride)
    nodes[-1] = Linear(name="fc", weights=np.ones((3, 8), np.int8))
    single = Network(input_shape=(1, 18, 18), input_type=U4, input_scale=1.0, nodes=nodes)
    conv, pool, _ = plan_accelerator(single, AcceleratorConfig(fps=1e6, clock_hz=1e6 * 8 * 18 * 4)).units
    assert conv.output.elements == 8
    assert pool.output.elements == 1


def test_lanes_are_given_for_layers_that_have_them() -> None:
    plan = plan_accelerator(network(2), AcceleratorConfig(lanes=(36, 2)))
    assert [unit.lanes for unit in plan.units] == [36, 0, 2]
    with pytest.raises(ValueError, match=r"^lanes must be given for each of the 2 layers \(conv, fc\), not for 3$"):
        plan_accelerator(network(2), AcceleratorConfig(lanes=(36, 1, 2)))


def test_one_number_of_lanes_is_cut_to_whole_rows() -> None:
    plan = plan_accelerator(network(2, channels=4), AcceleratorConfig(lanes=3))
    assert [unit.lanes for unit in plan.units] == [18, 0, 3]


def test_given_lanes_have_no_more_requantizers_than_the_cycles_ask_for() -> None:
    given = network(2)
    fast, slow = (plan_accelerator(given, AcceleratorConfig(lanes=(72, 1), cycles=cycles)) for cycles in (None, 5000))
    assert [plan.units[0].lanes for plan in (fast, slow)] == [72, 72]
    assert fast.units[0].output.elements > slow.units[0].output.elements == 1


@pytest.mark.parametrize("lanes", [1, 17, 19, 8 * 18 + 18])
def test_lanes_that_a_convolution_cannot_use(lanes: int) -> None:
    message = (
        rf"layer 'conv' computes 18 pixels of a row at once and cannot use {lanes} lanes: give it a multiple of 18"
    )
    with pytest.raises(ValueError, match=message + " up to 144$"):
        plan_accelerator(network(2), AcceleratorConfig(lanes=(lanes, 1)))


def test_derived_lanes_reach_the_rate_with_as_few_rows_and_requantizers_as_do() -> None:
    """A frame of the convolution is 8 channels x 18 rows = 144 steps of one group; its results need 8 x 18 beats."""
    cycles = [8 * 18, 8 * 18 * 4, 8 * 18 * 18]
    plans = [plan_accelerator(network(2), AcceleratorConfig(fps=1e6, clock_hz=1e6 * each)) for each in cycles[1:]]
    assert [plan.units[0].lanes for plan in plans] == [18, 18]
    assert [plan.units[0].output.elements for plan in plans] == [8, 1]
    with pytest.raises(ValueError, match=r"324.*lower fps"):
        plan_accelerator(network(2), AcceleratorConfig(fps=1e6, clock_hz=1e6 * cycles[0]))


def test_layers_with_index_words_can_load_them() -> None:
    for load, numbers in ((("fc",), [2]), (("fc", "conv"), [0, 2]), (("all",), [0, 2]), ((), [])):
        plan = plan_accelerator(network(2), AcceleratorConfig(lanes=(18, 2), load=load))
        assert [number for number, _ in plan.images] == numbers
        for number, image in plan.images:
            schedule = plan.units[number].schedule
            assert image.words == tuple(schedule.packed())
            assert schedule.format.escape_width == 0
    for name in ("pool0", "fc1"):
        message = rf"^load must be 'all' or name layers with index words \(conv, fc\), not '{name}'$"
        with pytest.raises(ValueError, match=message):
            plan_accelerator(network(2), AcceleratorConfig(lanes=(18, 2), load=("conv", name)))


def test_a_last_pool_gives_channels_in_their_order() -> None:
    weights = np.random.default_rng(1).integers(-1, 2, (5, 1, 3, 3)).astype(np.int8)
    shift = ShiftRound(output=U4, bias=0, shift=1)
    last = Network(
        input_shape=(1, 6, 6),
        input_type=U4,
        input_scale=1.0,
        nodes=[Conv2d(name="conv", weights=weights, requantize=shift), MaxPool2d(name="pool", kernel=2)],
    )
    plan = plan_accelerator(last, AcceleratorConfig(lanes=8))
    assert plan.output.order == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("elements", [7, 128])
def test_a_beat_of_a_map_is_a_power_of_two(elements: int) -> None:
    """However many pixels a row has."""
    node = Conv2d(name="conv", weights=np.ones((1, 1, 1, 1), np.int8))
    made = Network(input_shape=(1, 1, elements), input_type=U4, input_scale=1.0, nodes=[node])
    with pytest.raises(
        ValueError, match=rf"^elements_per_beat of a map must be a power of two up to 64, not {elements}$"
    ):
        plan_accelerator(made, AcceleratorConfig(elements_per_beat=elements))
