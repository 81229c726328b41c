"""How much there is of each part of a dense unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.hw.units.dense.pipeline import LOAD_LATENCY
from sterna.hw.units.logic import Parts, bits, count_fifo, count_requantizer, count_walks, total

if TYPE_CHECKING:
    from sterna.hw.units.dense.plan import DensePlan


def count_dense(plan: DensePlan) -> Parts:
    """Its lanes, its loader and collector, and what every unit has."""
    lanes, sums, window = plan.lanes, plan.tables.sum_shape.width, plan.schedule.window
    code, word = plan.layer.input_type.width, plan.elements * plan.layer.input_type.width
    own = Parts(
        {
            "dense": 1,
            "lane": lanes,
            "lane sum bit": lanes * sums,
            "lane choice bit": lanes * (word - code),
            "lane word bit": lanes * word,
            "written bit": LOAD_LATENCY * word,
            "stride bit": 0 if window.plain else window.address_width,
            "counter bit": bits(plan.beats) + bits(plan.results),
        }
    )
    code_width = plan.tables.output_shape.width
    return total(
        [
            own,
            count_walks(plan.schedule),
            count_requantizer(plan.tables),
            count_fifo(depth=plan.fifo_depth, width=code_width),
        ]
    )
