"""What kinds without lanes have in common: their channels leave as they come, the constant ones too."""

from __future__ import annotations

from collections.abc import Mapping


class PassingLayer:
    """Part of a layer without lanes; see :class:`~sterna.hw.units.protocol.Layer`."""

    lane_grain = 0
    has_words = False
    takes_weights = False
    most_lanes = 0

    def least_lanes(self, cycles: int) -> int:
        """None."""
        return 0


class PassingLowering:
    """Part of the lowering of such a node; see :class:`~sterna.hw.units.protocol.Lowering`.

    Constant channels stay: others may see them beside padding, or add them to what is not constant.

    Parameters
    ----------
    channels : int
        Of the output.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels

    @property
    def channels(self) -> int:
        """Of the output."""
        return self._channels

    def absorbs(self, constants: Mapping[int, int]) -> set[int]:
        """None."""
        return set()

    def fold(self, constants: Mapping[int, int]) -> None:
        """Nothing is folded."""

    def unfold(self, constants: Mapping[int, int]) -> None:
        """Nothing was."""

    def constants(self) -> dict[int, int]:
        """None."""
        return {}
