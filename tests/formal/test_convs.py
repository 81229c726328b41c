# amaranth: UnusedElaboratable=no
"""Convolution units, whatever pauses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const, Module, Mux, Signal, Value
from frames import Result, frames_spec
from prove import RefutedError, prove_bounded

from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.bitserial.plan import plan_bitserial
from sterna.hw.units.conv.plan import ConvPlan, plan_conv
from sterna.hw.units.summing.plan import SumPlan
from sterna.hw.units.unrolled.plan import plan_unrolled
from sterna.net import ActivationType, Conv2d, Network, ShiftRound

U1 = ActivationType(1, False)


def node_of(weights: list[Any], **window: Any) -> Conv2d:
    """A convolution of one input channel."""
    return Conv2d(name="conv", weights=np.array(weights, np.int8)[:, None], **window)


def plan_of(node: Conv2d, shape: tuple[int, int], *, compact: bool = False) -> ConvPlan:
    """Its unit: a stream of index words for all channels, and a pixel a beat."""
    (layer,) = lower(Network(input_shape=(1, *shape), input_type=U1, input_scale=1.0, nodes=[node]))
    stream = whole((1, *shape), code_shape(U1))
    return plan_conv(layer, lanes=layer.geometry.columns, stream=stream, compact=compact)


def summing_plan(node: Conv2d, shape: tuple[int, int], kind: str) -> SumPlan[Any]:
    """Its unit with an adder for every nonzero weight: a pixel a beat."""
    (layer,) = lower(Network(input_shape=(1, *shape), input_type=U1, input_scale=1.0, nodes=[node]), {"conv": kind})
    stream = whole((1, *shape), code_shape(U1))
    if kind == "unrolled":
        return plan_unrolled(layer, stream=stream, adder_levels=2)
    return plan_bitserial(layer, stream=stream)


def result_of(node: Conv2d, stream_shape: tuple[int, ...], channel: int, y: int, x: int) -> Result:
    """The sum of a window, rounded where the convolution requantizes; from the node's weights, not from the plan."""
    _, rows, columns = stream_shape
    terms: list[tuple[int, int]] = []
    for (row, column), weight in np.ndenumerate(node.weights[channel, 0]):
        inside = (y * node.stride[0] + row - node.padding[0], x * node.stride[1] + column - node.padding[1])
        if 0 <= inside[0] < rows and 0 <= inside[1] < columns:
            terms.append((inside[0] * columns + inside[1], int(weight)))

    def total(pixels: Sequence[Value], terms: list[tuple[int, int]]) -> Value:
        value = sum((pixels[place] * weight for place, weight in terms), start=Value.cast(Const(0)))
        if node.requantize is None:
            return value
        assert isinstance(node.requantize, ShiftRound)
        rounded = (value + int(node.requantize.bias[channel]) + 1) >> 1
        return Mux(rounded > 1, 1, Mux(rounded < 0, 0, rounded))

    return max((place for place, weight in terms if weight), default=0), partial(total, terms=terms)


def conv_spec(node: Conv2d, plan: ConvPlan | SumPlan[Any], *, lossy: bool = False) -> tuple[Module, list[Signal]]:
    """Results come row by row, in each row channel by channel."""
    _, rows, columns = plan.output.shape
    results = [
        result_of(node, plan.stream.shape, channel, y, x)
        for y in range(rows)
        for channel in plan.output.order
        for x in range(columns)
    ]
    return frames_spec(plan.component(framed=False), plan.stream, results, lossy=lossy)


HALVED = ShiftRound(output=U1, bias=[0, 1], shift=[1, 1])
NODES = {
    "one window": (node_of([[[1, -1], [0, 1]]]), (2, 2)),
    "two rows": (node_of([[[1], [-1]]]), (3, 1)),
    "padding": (node_of([[[1], [-1], [1]]], padding=(1, 0)), (2, 1)),
    "two channels": (node_of([[[1, -1]], [[1, 1]]], requantize=HALVED), (2, 2)),
}
#: Up to the second frame's results, or, where that takes the prover too long, to the last of the first frame.
CYCLES = {"one window": 29, "two rows": 23, "padding": 25, "two channels": 31}


CASES = [
    pytest.param(name, compact, marks=[] if name == "one window" else pytest.mark.slow)
    for name in NODES
    for compact in (False, True)
]


@pytest.mark.parametrize(("name", "compact"), CASES)
def test_conv(name: str, compact: bool) -> None:
    node, shape = NODES[name]
    prove_bounded(*conv_spec(node, plan_of(node, shape, compact=compact)), cycles=CYCLES[name])


SUMMING_CASES = [
    pytest.param(kind, name, marks=[] if (kind, name) == ("unrolled", "one window") else pytest.mark.slow)
    for kind in ("unrolled", "bitserial")
    for name in ("one window", "two rows", "padding")
]
#: Up to the second frame's results, with some stalls.
SUMMING_CYCLES = {"unrolled": 18, "bitserial": 24}


@pytest.mark.parametrize(("kind", "name"), SUMMING_CASES)
def test_a_convolution_of_adders(kind: str, name: str) -> None:
    node, shape = NODES[name]
    prove_bounded(*conv_spec(node, summing_plan(node, shape, kind)), cycles=SUMMING_CYCLES[kind])


def test_a_convolution_of_adders_that_loses_a_result_is_refuted() -> None:
    node, shape = NODES["two rows"]
    with pytest.raises(RefutedError):
        prove_bounded(*conv_spec(node, summing_plan(node, shape, "unrolled"), lossy=True), cycles=20)


def test_a_convolution_that_loses_a_result_is_refuted() -> None:
    node, shape = NODES["two rows"]
    with pytest.raises(RefutedError):
        prove_bounded(*conv_spec(node, plan_of(node, shape), lossy=True), cycles=25)
