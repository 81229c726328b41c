"""A layer as unrolled hardware computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sterna.hw.units.summing.layer import SumLayer

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class UnrolledLayer(SumLayer):
    """A layer whose sums are computed with all bits at once."""

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.unrolled.kind import UNROLLED  # which imports this module

        return UNROLLED

    @property
    def most_lanes(self) -> int:
        return 1

    @property
    def least_period(self) -> int:
        """A frame, or a pixel, every cycle."""
        return 1
