"""How much there is of each part of a bit-serial unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.units.logic import Parts, bits, count_fifo, total
from sterna.hw.units.summing.levels import compared_levels
from sterna.net import Thresholds

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import BitserialPlan, BitserialStage


def count_bitserial(plan: BitserialPlan) -> Parts:
    """Bits of adders and of what waits between them, the registers of the inputs, and what reads the codes off."""
    first = plan.stages[0].layer
    used = int(np.count_nonzero(first.weights.any(axis=0)))
    width = first.input_type.width
    own = Parts(
        {
            "serial input bit": used * width,
            "serial held bit": used * width if plan.stream.beats > 1 and plan.windows is None else 0,
            "window bit": 0 if plan.windows is None else plan.windows.sizes.taps * plan.windows.pixel,
            "counter bit": bits(plan.period) + bits(plan.stream.beats) + bits(plan.outlet.depth),
        }
    )
    fifo = count_fifo(depth=plan.outlet.depth, width=plan.output.elements * plan.element.width)
    return total([own, *(_count_stage(stage, plan.period) for stage in plan.stages), fifo])


def _count_stage(stage: BitserialStage, cycles: int) -> Parts:
    layer, graph, digit = stage.layer, stage.graph, stage.digit
    rows, requantize = len(layer.weights), layer.requantize
    by_levels = isinstance(requantize, Thresholds)
    added = 0 if by_levels else rows
    return Parts(
        {
            "serial adder": graph.adders + added,
            "serial adder bit": (graph.adders + added) * digit,
            "serial delay bit": int(graph.waits(graph.depth).sum()) * digit,
            "serial result bit": rows * (cycles * digit if requantize is None else requantize.output.width),
            "serial level bit": int(compared_levels(layer).sum()) * digit,
            "counter bit": bits(cycles),
        }
    )
