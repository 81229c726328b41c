"""A layer of which every nonzero weight is an adder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import rounded_bias
from sterna.hw.units.convolution import WindowSizes
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ShiftRound


@dataclass(frozen=True, eq=False, kw_only=True)
class SumLayer(WeightedLayer):
    """A layer whose sums are all computed at once; of a convolution, those of a pixel.

    Weights are int8, (rows, columns), or (rows, input channels, kernel_h, kernel_w).

    Attributes
    ----------
    sizes : WindowSizes or None
        Of a convolution.
    """

    sizes: WindowSizes | None = None

    @property
    @abstractmethod
    def least_period(self) -> int:
        """Cycles from a frame, or a pixel, to the next one, if its beats come fast enough, with the most lanes."""

    @property
    def lane_grain(self) -> int:
        """Lanes are sums' bits that are added in a cycle."""
        return 1

    @property
    @abstractmethod
    def most_lanes(self) -> int:
        """Of these bits; 1 where a kind has no choice."""

    @property
    def has_words(self) -> bool:
        """Its weights are adders."""
        return False

    @property
    def added(self) -> np.ndarray:
        """What is added to each row's sum before its code is read off; int64, (rows,)."""
        if isinstance(self.requantize, ShiftRound):
            return np.asarray(self.offset + rounded_bias(self.requantize))
        return self.offset

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """Its least period for each frame or pixel, and a cycle for each beat."""
        pixels = 1 if self.sizes is None else self.sizes.rows * self.sizes.columns
        return max([pixels * self.least_period, *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """One will do."""
        return 1
