"""How much there is of each part of a bit-serial unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.units.logic import Parts, bits, count_fifo, total
from sterna.net import Thresholds

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import BitserialPlan


def count_bitserial(plan: BitserialPlan) -> Parts:
    """Adders and what waits between them, the registers of the inputs, and what reads the codes off."""
    layer, graph = plan.layer, plan.graph
    rows = len(layer.weights)
    used = int(np.count_nonzero(layer.weights.any(axis=0)))
    held = used if plan.stream.beats > 1 else 0
    width = plan.element.width
    levels = layer.requantize.levels.shape[1] if isinstance(layer.requantize, Thresholds) else 0
    own = Parts(
        {
            "serial adder": graph.adders + rows * (levels == 0),
            "serial delay": int(graph.waits(graph.depth).sum()),
            "serial input bit": used * layer.input_type.width,
            "serial held bit": held * layer.input_type.width,
            "serial result bit": rows * width,
            "serial level": rows * levels,
            "counter bit": bits(layer.bits) + bits(plan.stream.beats) + bits(plan.outlet.depth),
        }
    )
    return total([own, count_fifo(depth=plan.outlet.depth, width=rows * width)])
