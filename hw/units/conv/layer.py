"""A convolution as folded hardware computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.conv.geometry import Geometry
from sterna.hw.units.convolution import WindowSizes
from sterna.hw.units.weighted import WeightedLayer

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvLayer(WeightedLayer):
    """A convolution before lanes are chosen.

    Weights are int8, (rows, input channels, kernel_h, kernel_w), 0 between channels of different groups.

    Attributes
    ----------
    geometry : Geometry
    """

    geometry: Geometry

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.conv.kind import CONV  # which imports this module

        return CONV

    @property
    def lane_grain(self) -> int:
        """Lanes come in rows of the output map."""
        return self.geometry.columns

    @property
    def most_lanes(self) -> int:
        """A stream for every channel."""
        return len(self.weights) * self.geometry.columns

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """A channel of a row takes a step at least, and a beat a cycle comes in."""
        return max([len(self.weights) * self.geometry.rows, *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """A lane adds one weight a cycle; a channel without weights takes a step too."""
        work = self.least_steps * self.geometry.rows
        return min(max(-(-work // max(cycles, 1)), 1), len(self.weights)) * self.geometry.columns


def conv_layer(*, sizes: WindowSizes, **parts: Any) -> ConvLayer:
    """The layer that a node becomes; see :class:`~sterna.hw.units.convolution.ConvLowering`."""
    return ConvLayer(geometry=Geometry(**asdict(sizes)), **parts)
