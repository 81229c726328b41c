"""How much there is of each part of an addition unit's logic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.hw.units.logic import Parts, bits, count_fifo, count_requantizer, total

if TYPE_CHECKING:
    from sterna.hw.units.add.plan import AddPlan


def count_add(plan: AddPlan) -> Parts:
    """Its adders, which cost what those of a bias do, and what every unit has."""
    outlet, elements = plan.outlet, plan.output.elements
    own = Parts(
        {
            "bias bit": (len(plan.inputs) - 1) * elements * outlet.shape.width,
            "read bit": elements * sum(stream.element.width for stream in plan.inputs),
            "counter bit": bits(outlet.depth),
        }
    )
    fifo = count_fifo(depth=outlet.depth, width=elements * plan.output.element.width)
    return total([own, count_requantizer(plan.tables, width=elements, beats=outlet.beats), fifo])
