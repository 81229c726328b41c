"""A dense layer as bit-serial hardware computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import rounded_bias
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ShiftRound, bits_for_range

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialLayer(WeightedLayer):
    """A dense layer whose sums are computed bit by bit: weights are int8, (rows, columns)."""

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.bitserial.kind import BITSERIAL  # which imports this module

        return BITSERIAL

    @property
    def lane_grain(self) -> int:
        """Lanes are bits a cycle."""
        return 1

    @property
    def most_lanes(self) -> int:
        """One bit of every sum a cycle."""
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

    @cached_property
    def bits(self) -> int:
        """Bits of every sum that are computed: all sums and their negatives in two's complement, and one bit above each
        code."""
        low, high = self.bounds
        ends = np.concatenate([low, high, low + self.added, high + self.added])
        most = max(int(np.abs(ends).max()), 1)
        least = self.input_type.width + 1
        if isinstance(self.requantize, ShiftRound):
            least = max(least, int(self.requantize.shift.max()) + self.requantize.output.width + 1)
        return max(bits_for_range(-most, most), least)

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """A cycle for each bit, and one for each beat."""
        return max([self.bits, *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """One will do."""
        return 1
