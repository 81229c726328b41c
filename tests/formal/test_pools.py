# amaranth: UnusedElaboratable=no
"""Pooling units: frame after frame, the results of the pixels that were taken come out, in order, whatever pauses."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal, Value
from prove import RefutedError, clocked, prove_bounded, stays

from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.pool.component import PoolUnit
from sterna.hw.units.pool.plan import PoolPlan, plan_pool
from sterna.net import ActivationType, MaxPool2d, Network, SumPool2d

#: Frames on their way, a power of two.
FRAMES = 4


def plan_of(
    make: type[MaxPool2d] | type[SumPool2d], code: ActivationType, shape: tuple[int, int], **window: Any
) -> PoolPlan:
    """A pool of one channel, a pixel a beat."""
    node = make(name="pool", **window)
    (layer,) = lower(Network(input_shape=(1, *shape), input_type=code, input_scale=1.0, nodes=[node]))
    return plan_pool(layer, stream=whole((1, *shape), code_shape(code)))


def windows_of(plan: PoolPlan) -> list[list[int]]:
    """The pixels of each window, in the order of results."""
    spans = [
        [range(max(k, 0), min(k + kernel, size)) for k in range(-margin, size + margin - kernel + 1, stride)]
        for size, kernel, stride, margin in zip(
            plan.stream.shape[1:], plan.layer.kernel, plan.layer.stride, plan.layer.padding, strict=True
        )
    ]
    return [[y * plan.stream.run + x for y in rows for x in columns] for rows in spans[0] for columns in spans[1]]


def pool_spec(plan: PoolPlan, *, lossy: bool = False) -> tuple[Module, list[Signal]]:
    """Each result is that of its window's pixels, and none comes before these."""
    m, clock = clocked()
    m.submodules.unit = unit = PoolUnit(plan)
    shape, pixels, windows = plan.stream.element, plan.stream.beats, windows_of(plan)
    valid, code, ready = Signal(name="valid"), Signal(shape, name="code"), Signal(name="ready")
    steal = Signal(name="steal")
    taken, given = valid & unit.i.ready, unit.o.valid & ready
    frames = [Array(Signal(shape, name=f"frame_{k}_{pixel}") for k in range(FRAMES)) for pixel in range(pixels)]
    head, tail = Signal(range(FRAMES)), Signal(range(FRAMES))
    pixel, window, there = Signal(range(pixels)), Signal(range(len(windows))), Signal(range(FRAMES * pixels))
    m.d.comb += [
        unit.i.valid.eq(valid),
        Value.cast(unit.i.payload).eq(code),
        unit.o.ready.eq(ready | (steal if lossy else 0)),
        Assume(there < (FRAMES - 1) * pixels),
    ]
    with m.If(taken):
        with m.Switch(pixel):
            for k, frame in enumerate(frames):
                with m.Case(k):
                    m.d.sync += frame[tail].eq(code)
        m.d.sync += pixel.eq(pixel + 1)
        with m.If(pixel == pixels - 1):
            m.d.sync += [pixel.eq(0), tail.eq(tail + 1)]
    ends = given & (window == len(windows) - 1)
    with m.If(given):
        m.d.sync += window.eq(window + 1)
        with m.If(ends):
            m.d.sync += [window.eq(0), head.eq(head + 1)]
    m.d.sync += there.eq(there + taken - Mux(ends, pixels, 0))

    def result(places: list[int]) -> Value:
        codes = [frames[place][head] for place in places]
        return reduce(lambda a, b: a + b if plan.layer.sums else Mux(a > b, a, b), codes)

    with m.If(unit.o.valid):
        m.d.comb += [
            Assert(there > Array(Const(max(places), range(pixels)) for places in windows)[window]),
            Assert(unit.o.payload == Array(map(result, windows))[window]),
        ]
    stays(m, unit.o, ready)
    return m, [clock, valid, code, ready, steal]


U1, S1 = ActivationType(1, False), ActivationType(1, True)

#: Up to the second frame's first results.
PLANS = {
    "apart": (plan_of(MaxPool2d, S1, (2, 2), kernel=2), 17),
    "overlap": (plan_of(MaxPool2d, S1, (2, 3), kernel=2, stride=1), 18),
    "padding": (plan_of(MaxPool2d, S1, (2, 2), kernel=2, stride=1, padding=1), 17),
    "sums": (plan_of(SumPool2d, U1, (2, 2), kernel=3, stride=1, padding=1), 21),
}


@pytest.mark.parametrize(("plan", "cycles"), PLANS.values(), ids=PLANS)
def test_pool(plan: PoolPlan, cycles: int) -> None:
    prove_bounded(*pool_spec(plan), cycles=cycles)


def test_a_pool_that_loses_a_result_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*pool_spec(PLANS["overlap"][0], lossy=True), cycles=16)
