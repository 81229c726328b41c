"""Convolutions bit by bit and unrolled, and the pools behind them: exact whatever stalls, and timed to the cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bench import S1, S4, U4
from networks import check_accelerator, random_frames

from sterna.hw.config import AcceleratorConfig
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.hw.graph.timing import compute_timing, transfer_times
from sterna.hw.units.pool.pixel_plan import PixelPoolPlan
from sterna.hw.units.summing.plan import SumPlan
from sterna.hw.units.summing.windows import Windows
from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, Node, ShiftRound, SumPool2d
from sterna.sim.random_networks import random_map_network

SUMMING = ("bitserial", "unrolled")


def conv(name: str, source: str, weights: np.ndarray, code: ActivationType = U4, **options: Any) -> Conv2d:
    requantize = ShiftRound(output=code, bias=np.zeros(len(weights), np.int32), shift=1)
    return Conv2d(name=name, inputs=(source,), weights=weights, requantize=requantize, **options)


def network_of(nodes: list[Node], shape: tuple[int, int, int], code: ActivationType = U4) -> Network:
    """Some nodes over a map, and a dense layer that reads everything."""
    maps = Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=nodes)
    size = int(np.prod(maps.output_shape))
    weights = np.where(np.arange(3 * size).reshape(3, size) % 4 == 0, 1, -1).astype(np.int8)
    dense = [Flatten(name="flatten"), Linear(name="fc", weights=weights)]
    return Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=[*nodes, *dense])


def drawn_weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 0, 1], shape).astype(np.int8)


CASES: dict[str, tuple[tuple[int, int], dict[str, Any], tuple[int, int]]] = {
    # kernel, options, size of the input
    "one pixel": ((1, 1), {}, (3, 4)),
    "a row": ((1, 3), {}, (2, 5)),
    "a column": ((3, 1), {}, (5, 2)),
    "the whole map": ((4, 5), {}, (4, 5)),
    "a position a row": ((3, 2), {}, (6, 2)),
    "padding": ((3, 3), {"padding": (1, 1)}, (4, 5)),
    "padding wider than the map": ((5, 5), {"padding": (2, 2)}, (1, 2)),
    "stride": ((3, 3), {"stride": (2, 2)}, (7, 8)),
    "strides and padding": ((2, 3), {"stride": (1, 2), "padding": (0, 1)}, (4, 6)),
    "rows left over": ((2, 2), {"stride": (3, 3)}, (7, 7)),
}


@pytest.mark.parametrize("kind", SUMMING)
@pytest.mark.parametrize("code", [U4, S4], ids=str)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_convolution(case: tuple, code: ActivationType, kind: str) -> None:
    kernel, options, size = case
    first = conv("conv1", "input", drawn_weights(1, 3, 1, *kernel), code, **options)
    second = conv("conv2", "conv1", drawn_weights(2, 4, 3, 1, 1), code)
    plan = plan_of(network_of([first, second], (1, *size), code), {"conv1": kind, "conv2": kind})
    check(plan, seed=1)
    check(plan, seed=2, input_stall=0.4, output_stall=0.4)


@pytest.mark.parametrize("code", [U4, S4, S1], ids=str)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (2, 1, 0), (3, 2, 1), (3, 3, 1), (1, 2, 0), (3, 1, 1)]
)
def test_a_pool_of_maxima(kernel: int, stride: int, padding: int, code: ActivationType) -> None:
    """Padding never wins, whatever is beside it."""
    nodes = [
        conv("conv", "input", drawn_weights(3, 3, 1, 2, 2), code),
        MaxPool2d(name="pool", kernel=(kernel, kernel), stride=(stride, stride), padding=(padding, padding)),
    ]
    plan = plan_of(network_of(nodes, (1, 6, 7), code), {"conv": "unrolled"})
    assert isinstance(plan.units[1], PixelPoolPlan)
    check(plan, seed=4)
    check(plan, seed=5, input_stall=0.2, output_stall=0.5)


def plan_of(network: Network, units: dict[str, str], **options: Any) -> AcceleratorPlan:
    return plan_accelerator(network, AcceleratorConfig(units=units, **options))


def check(plan: AcceleratorPlan, *, seed: int, frames: int = 5, **stalls: Any) -> None:
    """Every result; if nothing stalls, every transfer in its cycle."""
    record = check_accelerator(plan, random_frames(plan, frames, seed), seed=seed, **stalls)
    if not stalls:
        inputs, outputs = transfer_times(plan.units, plan.sources, frames)
        began = record.sent[0]
        assert [time - began for time in record.sent] == inputs
        assert [time - began for time in record.received] == outputs
        assert compute_timing(plan).latency == outputs[plan.output.beats - 1]


@pytest.mark.parametrize(
    "seed", [*range(2, 9), *(pytest.param(k, marks=pytest.mark.slow) for k in (0, 1, *range(9, 20)))]
)
def test_networks(seed: int) -> None:
    """Kinds drawn for each layer, folded dense ones among them; whatever stalls, and timed to the cycle."""
    rng = np.random.default_rng(seed)
    network = random_map_network(rng, most_nodes=6, by_pixel=True)
    convs = [node.name for node in network.nodes if isinstance(node, Conv2d)]
    units = {name: str(rng.choice(SUMMING)) for name in convs} | {"fc": str(rng.choice(["folded", *SUMMING]))}
    plan = plan_of(network, units, argmax=units["fc"] != "folded", adder_levels=1 + seed % 3)
    check(plan, seed=seed, frames=4)
    check(plan, seed=seed, frames=4, input_stall=0.3, output_stall=0.4)


def test_a_pixel_every_period() -> None:
    """Three scans of a map of 4 x 5 with padding: positions that give nothing pass while a sum's bits are added."""
    nodes = [conv("conv", "input", drawn_weights(1, 2, 1, 3, 3), padding=(1, 1))]
    (serial, *_), (unrolled, *_) = (
        plan_of(network_of(nodes, (1, 4, 5)), {"conv": kind}).units for kind in ("bitserial", "unrolled")
    )
    assert isinstance(serial, SumPlan)
    assert isinstance(unrolled, SumPlan)
    assert unrolled.work.steps == 6 * 7
    # 20 pixels, and between a frame's last and the next one's first the two padding rows are longer than a period
    assert serial.work.steps == 19 * serial.period + (2 * 7 + 2 + 1)


def test_windows_of_a_scan() -> None:
    nodes = [conv("conv", "input", drawn_weights(1, 2, 1, 2, 3), stride=(2, 1), padding=(0, 1))]
    unit = plan_of(network_of(nodes, (1, 5, 3)), {"conv": "unrolled"}).units[0]
    assert isinstance(unit, SumPlan)
    assert isinstance(unit.windows, Windows)
    rows = [
        "".join(" .#"[inside + gives] for inside, gives in unit.windows.scanned[5 * y : 5 * y + 5]) for y in range(5)
    ]
    assert rows == [" ... ", " .##.", " ... ", " .##.", " ... "]


@pytest.mark.parametrize("columns", [1, 6])
def test_channels_that_nothing_reads_or_that_are_constant(columns: int) -> None:
    weights = drawn_weights(6, 5, 1, 2, 2)
    weights[1] = 0
    second = drawn_weights(7, 3, 5, 2, 2)
    second[:, 3] = 0
    nodes = [conv("conv1", "input", weights), conv("conv2", "conv1", second, padding=(1, 1))]
    plan = plan_of(network_of(nodes, (1, 4, 6)), {"all": "unrolled"}, argmax=True)
    assert len(plan.units[0].output.order) < 5
    check(plan, seed=columns)


def test_one_channel_goes_to_any_unit() -> None:
    nodes = [conv("conv1", "input", drawn_weights(8, 1, 1, 2, 2)), conv("conv2", "conv1", drawn_weights(9, 3, 1, 2, 2))]
    for units in ({"conv1": "unrolled"}, {"conv2": "bitserial"}):
        check(plan_of(network_of(nodes, (1, 5, 5)), units), seed=10)


TWO = [conv("conv1", "input", drawn_weights(1, 3, 1, 2, 2)), conv("conv2", "conv1", drawn_weights(2, 2, 3, 2, 2))]
SUMS = SumPool2d(name="pool", kernel=(2, 2), requantize=ShiftRound(output=U4, bias=np.zeros(3, np.int32), shift=2))


@pytest.mark.parametrize(
    ("nodes", "shape", "units", "message"),
    [
        (
            TWO,
            (1, 5, 5),
            {"conv1": "unrolled"},
            "layer 'conv2' takes its input row by row, and bit-serial and unrolled",
        ),
        (TWO, (1, 5, 5), {"conv2": "unrolled"}, "layer 'conv2' takes its input pixel by pixel, all channels in a beat"),
        ([TWO[0], SUMS], (1, 5, 5), {"conv1": "bitserial"}, "layer 'pool' takes its input row by row, and bit-serial"),
        (
            [conv("conv1", "input", drawn_weights(1, 2, 3, 2, 2))],
            (3, 4, 4),
            {"conv1": "unrolled"},
            "layer 'conv1' takes",
        ),
    ],
)
def test_orders_that_do_not_meet(
    nodes: list[Node], shape: tuple[int, int, int], units: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        plan_of(network_of(nodes, shape), units)


def test_beats_of_several_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"and to come one element a beat$"):
        plan_of(network_of(TWO, (1, 6, 6)), {"all": "unrolled"}, elements_per_beat=2)


def test_a_map_does_not_leave_pixel_by_pixel() -> None:
    network = Network(input_shape=(1, 5, 5), input_type=U4, input_scale=1.0, nodes=TWO[:1])
    with pytest.raises(ValueError, match=r"^the network's output comes from 'conv1' pixel by pixel"):
        plan_of(network, {"conv1": "unrolled"})
