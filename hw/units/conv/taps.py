"""Weights as the index stream sees them: one column for each tap and channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sterna.hw.index.columns import Window


@dataclass(frozen=True, kw_only=True)
class TapOrder:
    """How positions are numbered: ``[tap | channel]`` or ``[channel | tap]``.

    The lower field has a power of two of places, so that a position's bits say tap and channel. Of the two orders, the
    one that leaves fewer places unused is taken: they lengthen the distances between weights. A channel without
    weights visits the vacant tap, which comes first and adds nothing.

    Attributes
    ----------
    kernel : (vertical, horizontal)
    channels : int
        Input channels, in the order in which they come.
    vacant : bool
        Whether there is a vacant tap.
    """

    kernel: tuple[int, int]
    channels: int
    vacant: bool

    @property
    def taps(self) -> int:
        """Taps, the vacant one counted."""
        return self.kernel[0] * self.kernel[1] + self.vacant

    @property
    def by_channel(self) -> bool:
        """Whether the taps of one channel lie side by side; else the channels of one tap do."""
        return self.channels << (self.taps - 1).bit_length() < self.taps << (self.channels - 1).bit_length()

    @property
    def low_width(self) -> int:
        """Bits of the lower field."""
        return ((self.taps if self.by_channel else self.channels) - 1).bit_length()

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """int8, (rows, columns): weights by position, each row with one at least.

        Parameters
        ----------
        weights : int8, (rows, channels, kernel_h, kernel_w)
        """
        rows = len(weights)
        by_tap = np.zeros((rows, self.taps, self.channels), np.int8)
        by_tap[:, int(self.vacant) :] = weights.reshape(rows, self.channels, -1).transpose(0, 2, 1)
        by_tap[~by_tap.any(axis=(1, 2)), 0, 0] = 1
        high_low = by_tap.transpose(0, 2, 1) if self.by_channel else by_tap
        unused = (1 << self.low_width) - high_low.shape[2]
        return np.pad(high_low, ((0, 0), (0, 0), (0, unused))).reshape(rows, -1)

    def first_channel(self, window: Window) -> int:
        """What the channel's field of a position says for channel 0."""
        return window.offset >> self.low_width if self.by_channel else 0

    def decoded(self, window: Window) -> list[tuple[int, int, int] | None]:
        """For each value of the tap's field: the kernel's row and column there, and 1 where it adds.

        None where no position is.
        """
        entries: list[tuple[int, int, int] | None] = [(0, 0, 0)] if self.vacant else []
        for row in range(self.kernel[0]):
            entries += [(row, column, 1) for column in range(self.kernel[1])]
        width = self.low_width if self.by_channel else window.address_width - self.low_width
        unused: list[tuple[int, int, int] | None] = [None] * ((1 << width) - self.taps)
        return [*entries, *unused] if self.by_channel else [*unused, *entries]
