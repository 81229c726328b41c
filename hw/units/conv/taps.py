"""Weights as the index stream sees them: one column for each tap and channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sterna.hw.index.columns import Window


@dataclass(frozen=True, kw_only=True)
class TapOrder:
    """How positions are numbered: tap by tap, the kernel's rows from the top; in each, channel by channel.

    A tap has a power of two of places, so that a position's upper bits say the tap and its lower ones the channel. A
    channel without weights visits the vacant tap, which comes first and adds nothing.

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
    def channel_width(self) -> int:
        """Bits of a channel."""
        return (self.channels - 1).bit_length()

    @property
    def taps(self) -> int:
        """Taps, the vacant one counted."""
        return self.kernel[0] * self.kernel[1] + self.vacant

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """int8, (rows, taps * places of a tap): weights by position, each row with one at least.

        Parameters
        ----------
        weights : int8, (rows, channels, kernel_h, kernel_w)
        """
        rows = len(weights)
        matrix = np.zeros((rows, self.taps, 1 << self.channel_width), np.int8)
        by_tap = weights.reshape(rows, self.channels, -1).transpose(0, 2, 1)
        matrix[:, int(self.vacant) :, : self.channels] = by_tap
        empty = ~by_tap.any(axis=(1, 2))
        matrix[empty, 0, 0] = 1
        return matrix.reshape(rows, -1)

    def decoded(self, window: Window) -> list[tuple[int, int, int] | None]:
        """For each value of a position's upper bits: the kernel's row and column there, and 1 where it adds.

        None where no position is.
        """
        fields = 1 << (window.address_width - self.channel_width)
        table: list[tuple[int, int, int] | None] = [None] * (fields - self.taps)
        if self.vacant:
            table.append((0, 0, 0))
        for row in range(self.kernel[0]):
            table += [(row, column, 1) for column in range(self.kernel[1])]
        return table
