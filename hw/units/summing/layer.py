"""A dense layer of which every nonzero weight is an adder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import rounded_bias
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ShiftRound


@dataclass(frozen=True, eq=False, kw_only=True)
class SumLayer(WeightedLayer):
    """A dense layer whose sums are all computed at once: weights are int8, (rows, columns)."""

    @property
    @abstractmethod
    def period(self) -> int:
        """Cycles from a frame to the next one, if its beats come fast enough."""

    @property
    def lane_grain(self) -> int:
        """Lanes are sums' bits that are added in a cycle."""
        return 1

    @property
    def most_lanes(self) -> int:
        """The kind says how many bits these are."""
        return 1

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
        """Its period, and a cycle for each beat."""
        return max([self.period, *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """One will do."""
        return 1
