"""An addition as hardware computes it, and how it comes from a network's node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.passing import PassingLayer, PassingLowering
from sterna.net import Add, Requantization
from sterna.net.types import ValueType

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class AddLayer(PassingLayer):
    """A sum of several inputs, each shifted to the left.

    Attributes
    ----------
    name : str
        The node.
    sources : tuple of str
        What it reads.
    shifts : tuple of int
        One an input.
    channels : int64, (channels,)
        Network index of each channel: all of them.
    requantize : Thresholds, ShiftRound or None
    input_types : tuple of ValueType
        One an input.
    """

    name: str
    sources: tuple[str, ...]
    shifts: tuple[int, ...]
    channels: np.ndarray
    requantize: Requantization | None
    input_types: tuple[ValueType, ...]

    #: It takes elements as they come.
    together = 1

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.add.kind import ADD  # which imports this module

        return ADD

    @property
    def bounds(self) -> tuple[int, int]:
        """Smallest and largest sum."""
        shifted = [
            (each.min << shift, each.max << shift) for each, shift in zip(self.input_types, self.shifts, strict=True)
        ]
        return sum(low for low, _ in shifted), sum(high for _, high in shifted)

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """It keeps up with any stream."""
        return max([1, *(stream.beats for stream in inputs)])


class AddLowering(PassingLowering):
    """An addition while channels are left out; see :class:`~sterna.hw.units.protocol.Lowering`.

    Its inputs keep all their channels, so that all have the same.
    """

    def __init__(self, node: Add, input_types: tuple[ValueType, ...], channels: int) -> None:
        super().__init__(channels)
        self.node = node
        self._input_types = input_types

    def reads(self, kept: np.ndarray) -> np.ndarray:
        return np.ones(self.channels, bool)

    def layer(
        self,
        *,
        sources: tuple[str, ...],
        inputs: np.ndarray,
        kept: np.ndarray,
        constants: Mapping[int, int],
        unused: tuple[int, ...],
    ) -> AddLayer:
        return AddLayer(
            name=self.node.name,
            sources=sources,
            shifts=self.node.shifts,
            channels=inputs,
            requantize=self.node.requantize,
            input_types=self._input_types,
        )
