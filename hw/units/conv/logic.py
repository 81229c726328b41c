"""How much there is of each part of a convolution unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.hw.units.conv.pipeline import LOAD_LATENCY
from sterna.hw.units.logic import Parts, bits, count_fifo, count_requantizer, count_walks, total

if TYPE_CHECKING:
    from sterna.hw.units.conv.plan import ConvPlan


def count_conv(plan: ConvPlan) -> Parts:
    """Its groups and their pixels, its rows and collector, and what every unit has."""
    geometry, stream, hold = plan.layer.geometry, plan.stream, plan.schedule.hold
    groups, lanes, sums = plan.schedule.lanes, plan.lanes, plan.tables.sum_shape.width
    code, address = plan.layer.input_type.width, bits(plan.slots * plan.taps.channels)
    word = stream.run * code
    own = Parts(
        {
            "conv": 1,
            "group": groups,
            "group address bit": groups * address,
            "group tap": groups * plan.taps.taps,
            "group word bit": groups * word,
            "pixel": lanes,
            "pixel sum bit": lanes * sums,
            "pixel choice bit": lanes * code * (geometry.kernel[1] - 1),
            "pixel shift bit": lanes * sums if hold > 1 else 0,
            "collected bit": groups * plan.elements * sums,
            "row bit": word,
            "written bit": LOAD_LATENCY * stream.elements * code,
            "map row": geometry.rows,
            "counter bit": bits(stream.beats // geometry.height) + 2 * bits(geometry.rows) + address,
        }
    )
    fifo = count_fifo(depth=plan.fifo_depth, width=plan.elements * plan.tables.output_shape.width)
    return total(
        [own, count_walks(plan.schedule), count_requantizer(plan.tables, width=plan.elements, beats=hold), fifo]
    )
