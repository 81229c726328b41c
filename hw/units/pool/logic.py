"""How much there is of each part of a pooling unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.hw.units.logic import Parts, bits, count_fifo, count_requantizer, total

if TYPE_CHECKING:
    from sterna.hw.units.pool.plan import PoolPlan


def count_pool(plan: PoolPlan) -> Parts:
    """What reduces along the row and down the columns, its counters, and what every unit has."""
    across, down, width = plan.windows.across, plan.windows.down, plan.pooled.width
    channels = len(plan.stream.order)
    terms = min(across.kernel, across.elements) - 1 + (across.span > 1) if across.apart else across.kernel - 1
    before = 0 if across.gathers else across.before * plan.stream.element.width
    own = Parts(
        {
            "pool": 1,
            "pool across bit": across.results * terms * width,
            "pool down bit": across.results * down.kept * width,
            "pool result bit": across.results * width + before,
            "counter bit": sum(map(bits, (channels, down.slots, across.slots, plan.words))),
        }
    )
    results = across.results
    fifo = count_fifo(depth=plan.fifo_depth, width=results * plan.output.element.width)
    requantizers = count_requantizer(plan.tables, width=results, beats=across.outputs)
    return total([own, requantizers, fifo])
