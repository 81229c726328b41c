# amaranth: UnusedElaboratable=no
"""Pooling units, whatever pauses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import pytest
from amaranth.hdl import Module, Mux, Signal, Value
from frames import frames_spec
from prove import RefutedError, prove_bounded

from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.pool.component import PoolUnit
from sterna.hw.units.pool.plan import PoolPlan, plan_pool
from sterna.net import ActivationType, MaxPool2d, Network, SumPool2d


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
    """Each result is that of its window's pixels."""

    def reduced(pixels: Sequence[Value], places: list[int]) -> Value:
        codes = [pixels[place] for place in places]
        return reduce(lambda a, b: a + b if plan.layer.sums else Mux(a > b, a, b), codes)

    results = [(max(places), partial(reduced, places=places)) for places in windows_of(plan)]
    return frames_spec(PoolUnit(plan), plan.stream, results, lossy=lossy)


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
