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

#: Bits of a sum that may be added in a cycle: they are one carry chain.
MOST_BITS = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialLayer(SumLayer):
    """A layer whose sums are computed digit by digit: one bit or a few a cycle."""

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.bitserial.kind import BITSERIAL  # which imports this module

        return BITSERIAL

    @property
    def most_lanes(self) -> int:
        """Bits of a sum that may be added in a cycle."""
        return MOST_BITS

    @property
    def least_period(self) -> int:
        return self.cycles(self.most_lanes)

    def cycles(self, digit: int) -> int:
        """Cycles of every sum, ``digit`` bits in each; a code ends before the last digit."""
        cycles = -(-self._bits // digit)
        if isinstance(self.requantize, ShiftRound):
            code = int(self.requantize.shift.max()) + self.requantize.output.width
            cycles = max(cycles, (code - 1) // digit + 2)
        return cycles

    @cached_property
    def _bits(self) -> int:
        """All sums and their negatives in two's complement, and one bit above each input."""
        low, high = self.bounds
        ends = np.concatenate([low, high, low + self.added, high + self.added])
        most = max(int(np.abs(ends).max()), 1)
        return max(bits_for_range(-most, most), self.input_type.width + 1)
