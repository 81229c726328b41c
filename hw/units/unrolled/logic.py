"""How much there is of each part of an unrolled unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.units.logic import Parts, bits, count_fifo, total
from sterna.hw.units.summing.levels import compared_levels
from sterna.net import ShiftRound, Thresholds, bits_for_range

if TYPE_CHECKING:
    from sterna.hw.units.unrolled.plan import UnrolledPlan, UnrolledStage


def count_unrolled(plan: UnrolledPlan) -> Parts:
    """Adders and the registers between them, those of the inputs, and what reads the codes off."""
    first = plan.first
    used = int(np.count_nonzero(first.weights.any(axis=0)))
    width = first.input_type.width
    own = Parts(
        {
            "unrolled input bit": used * width,
            "serial held bit": used * width if plan.stream.beats > 1 and plan.windows is None else 0,
            "window bit": 0 if plan.windows is None else plan.windows.sizes.taps * plan.windows.pixel,
            "counter bit": bits(plan.stream.beats) + bits(plan.outlet.depth),
        }
    )
    fifo = count_fifo(depth=plan.outlet.depth, width=plan.output.elements * plan.element.width)
    return total([own, *(_count_stage(stage) for stage in plan.stages), fifo])


def _count_stage(stage: UnrolledStage) -> Parts:
    graph, requantize = stage.graph, stage.layer.requantize
    low, high = stage.ranges
    widths = np.array([bits_for_range(int(least), int(most)) for least, most in zip(low, high, strict=True)])
    rows = graph.outputs[graph.outputs >= 0]
    last = stage.cycles.copy()  # in which each term is read
    for terms in (graph.left, graph.right):
        np.maximum.at(last, terms, stage.cycles[graph.inputs :])
    np.maximum.at(last, rows, stage.ends[graph.outputs >= 0])
    sums = int(widths[rows].sum())
    own = Parts(
        {
            "unrolled sum bit": int(widths[graph.inputs :].sum()),
            "unrolled register bit": int(((last - stage.cycles) * widths).sum()),
        }
    )
    if isinstance(requantize, Thresholds):
        # two bits of the code a cycle, by three comparisons
        compared = np.minimum(compared_levels(stage.layer), 3 * -(-requantize.output.width // 2))
        own["unrolled search bit"] = int((compared[graph.outputs >= 0] * widths[rows]).sum())
        return own
    own["bias bit"] = sums
    if isinstance(requantize, ShiftRound):
        own["clamp bit"] = sums + len(rows) * requantize.output.width
    return own
