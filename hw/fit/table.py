"""A design that fits, layer by layer: what each computes, what it takes up, and what keeps it from being faster."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sterna.hw.fit.search import Fit
from sterna.hw.graph.lower import lower

#: Share by which a layer's beats or results may be fewer than its cycles, and still be what limits it.
NEAR = 0.03


@dataclass(frozen=True, kw_only=True)
class Row:
    """A unit of a design that fits.

    Attributes
    ----------
    name : str
    kind : str
    adds : int
        Weights added or subtracted in a frame.
    lanes, cycles : int
    utilization : float or None
        Share of the lanes' cycles, at the design's pace, that add or subtract; None of a unit whose lanes are no
        adders.
    index_bits : int
    ram_blocks : int
    slots : int
        Estimated.
    limit : str
        What keeps the unit from taking fewer cycles; empty where others are slower.
    """

    name: str
    kind: str
    adds: int
    lanes: int
    cycles: int
    utilization: float | None
    index_bits: int
    ram_blocks: int
    slots: int
    limit: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rows(fit: Fit) -> list[Row]:
    """One for each unit."""
    most = {layer.name: layer.most_lanes for layer in lower(fit.plan.network, fit.config.units)}
    made = []
    for unit, use in zip(fit.plan.units, fit.uses, strict=True):
        described, work = unit.describe(), unit.work
        used = described.get("utilization")
        adds = described.get("nonzeros", 0) * work.results if used is None else round(used * unit.lanes * work.steps)
        limit = ""
        if work.interval * (1 + NEAR) >= fit.cycles:
            if work.beats * (1 + NEAR) >= work.interval:
                limit = "input beats"
            elif work.results * (1 + NEAR) >= work.interval:
                limit = "results"
            else:
                limit = "lanes" if unit.lanes == most.get(unit.name) else fit.limit
        made.append(
            Row(
                name=", ".join(unit.nodes) or unit.name,
                kind=described["kind"],
                adds=adds,
                lanes=unit.lanes,
                cycles=work.interval,
                utilization=None if used is None else adds / (unit.lanes * fit.cycles),
                index_bits=described.get("index_bits", 0),
                ram_blocks=use.ram_blocks,
                slots=round(use.slots),
                limit=limit,
            )
        )
    return made
