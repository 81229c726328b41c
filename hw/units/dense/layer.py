"""A dense layer as hardware computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.weighted import WeightedLayer

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseLayer(WeightedLayer):
    """A dense layer before lanes are chosen: weights are int8, (rows, columns), columns in the order of ``inputs``."""

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.dense.kind import DENSE  # which imports this module

        return DENSE

    @property
    def takes_weights(self) -> bool:
        """Any: its lanes follow words, and its requantizer tables."""
        return True

    @property
    def lane_grain(self) -> int:
        """Any number of lanes will do."""
        return 1

    @property
    def most_lanes(self) -> int:
        """A lane needs a row."""
        return len(self.weights)

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """One result and one beat a cycle."""
        return max([len(self.weights), *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """A lane adds one weight a cycle; a row without weights takes a step too."""
        return max(-(-self.least_steps // max(cycles, 1)), 1)
