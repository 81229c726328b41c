"""A layer as bit-serial hardware computes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.units.summing.layer import SumLayer
from sterna.net import ShiftRound, bits_for_range

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialLayer(SumLayer):
    """A layer whose sums are computed bit by bit."""

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.bitserial.kind import BITSERIAL  # which imports this module

        return BITSERIAL

    @cached_property
    def period(self) -> int:
        """A cycle for each bit of every sum: all sums and their negatives in two's complement, and one bit above each
        code."""
        low, high = self.bounds
        ends = np.concatenate([low, high, low + self.added, high + self.added])
        most = max(int(np.abs(ends).max()), 1)
        least = self.input_type.width + 1
        if isinstance(self.requantize, ShiftRound):
            least = max(least, int(self.requantize.shift.max()) + self.requantize.output.width + 1)
        return max(bits_for_range(-most, most), least)
