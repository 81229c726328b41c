"""Which input rows an output row needs, and how the ring of rows follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sterna.hw.units.convolution import WindowSizes


@dataclass(frozen=True, kw_only=True)
class Geometry(WindowSizes):
    """A convolution whose rows lie in a ring."""

    def top(self, row: int) -> int:
        """The input row under the kernel's first one; negative in the padding."""
        return row * self.stride[0] - self.padding[0]

    def column(self, lane: int, tap: int) -> int:
        """The input column under a kernel's column, for an output column; in the padding, outside the map."""
        return lane * self.stride[1] - self.padding[1] + tap

    def valid(self, row: int) -> tuple[bool, ...]:
        """Whether each of the kernel's rows lies in the map."""
        return tuple(0 <= self.top(row) + k < self.height for k in range(self.kernel[0]))

    def _first(self, row: int) -> int:
        """Input rows of the frame that are no longer needed."""
        return self.height if row == self.rows else min(max(self.top(row), 0), self.height)

    def freed(self, row: int) -> int:
        """Input rows that nothing needs any more once an output row is computed."""
        return self._first(row + 1) - self._first(row)

    def loaded(self, row: int) -> int:
        """Input rows of the frame that must be there before an output row is computed: those that it reads or frees.

        A frame's first row needs one at least, so that nothing is computed before a frame comes.
        """
        bottom = min(max(self.top(row) + self.kernel[0], 0), self.height)
        return max(bottom, self._first(row + 1), int(row == 0))

    def stock(self, row: int) -> int:
        """Of these, those that are not freed yet."""
        return self.loaded(row) - self._first(row)

    def stock_behind(self, row: int) -> int:
        """What the next output row needs, counted before this one frees anything."""
        if row == self.rows - 1:
            return self.freed(row) + self.stock(0)
        return self.freed(row) + self.stock(row + 1)

    @cached_property
    def slots(self) -> int:
        """Rows that the ring holds: those that an output row needs, while all that the next one needs are loaded."""
        return max(max(self.stock(row), self.stock_behind(row)) for row in range(self.rows))

    @property
    def around(self) -> int:
        """Input rows from the kernel's place at a frame's last output row to that at the next one's first."""
        return self.height - (self.rows - 1) * self.stride[0]
