"""How much there is of each part of a pooling unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.hw.units.logic import Parts, bits, count_fifo, count_requantizer, total

if TYPE_CHECKING:
    from sterna.hw.units.pool.plan import PoolPlan


def count_pool(plan: PoolPlan) -> Parts:
    """What reduces along the row and down the columns, its counters, and what every unit has."""
    windows, stream, width = plan.windows, plan.stream, plan.pooled.width
    across = windows.elements * min(windows.kernel[1], stream.elements) - windows.elements + (windows.span > 1)
    down = windows.elements if windows.kernel[0] > 1 else 0
    own = Parts(
        {
            "pool": 1,
            "pool across bit": across * width,
            "pool down bit": down * width,
            "pool result bit": windows.elements * width,
            "counter bit": sum(map(bits, (len(stream.order), stream.shape[1], windows.input_beats, plan.words))),
        }
    )
    fifo = count_fifo(depth=plan.fifo_depth, width=windows.elements * plan.output.element.width)
    requantizers = (
        Parts() if plan.tables is None else count_requantizer(plan.tables, width=windows.elements, beats=windows.beats)
    )
    return total([own, requantizers, fifo])
