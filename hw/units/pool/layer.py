"""A pool as hardware computes it, and how it comes from a network's node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import select
from sterna.hw.units.passing import PassingLayer, PassingLowering
from sterna.hw.units.pool.geometry import Windows
from sterna.net import ActivationType, MaxPool2d, Requantization, SumPool2d

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolLayer(PassingLayer):
    """A pool.

    Attributes
    ----------
    name : str
        The node.
    sources : tuple of str
        What it reads.
    sums : bool
        Sums; else maxima.
    kernel, stride, padding : (vertical, horizontal)
    width : int
        Columns of the output map.
    total : int
        Channels of the network's node.
    channels : int64, (channels,)
        Network index of each channel that comes in.
    requantize : Thresholds, ShiftRound or None
        For these channels.
    input_type : ActivationType
    """

    name: str
    sources: tuple[str, ...]
    sums: bool
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    width: int
    total: int
    channels: np.ndarray
    requantize: Requantization | None
    input_type: ActivationType

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.pool.kind import POOL  # which imports this module

        return POOL

    @property
    def together(self) -> int:
        """Pixels from a window to the next; any beats go into a single one."""
        return self.stride[1] if self.width > 1 else 1

    def windows(self, stream: StreamType) -> Windows:
        """Over a stream."""
        return Windows(stream=stream, kernel=self.kernel, stride=self.stride, padding=self.padding)

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """It keeps up with any stream, but for the padding."""
        return max([1, *(self.windows(stream).slots for stream in inputs)])


class PoolLowering(PassingLowering):
    """A pool while channels are left out; see :class:`~sterna.hw.units.protocol.Lowering`."""

    def __init__(self, node: MaxPool2d | SumPool2d, input_type: ActivationType, output_shape: Sequence[int]) -> None:
        super().__init__(output_shape[0])
        self.node = node
        self._input_type = input_type
        self._width = output_shape[2]

    def reads(self, kept: np.ndarray) -> np.ndarray:
        read = np.zeros(self.channels, bool)
        read[kept] = True
        return read

    def layer(
        self,
        *,
        sources: tuple[str, ...],
        inputs: np.ndarray,
        kept: np.ndarray,
        constants: Mapping[int, int],
        unused: tuple[int, ...],
    ) -> PoolLayer:
        requantize = self.node.requantize if isinstance(self.node, SumPool2d) else None
        return PoolLayer(
            name=self.node.name,
            sources=sources,
            sums=isinstance(self.node, SumPool2d),
            kernel=self.node.kernel,
            stride=self.node.steps,
            padding=self.node.padding,
            width=self._width,
            total=self.channels,
            channels=inputs,
            requantize=select(requantize, inputs),
            input_type=self._input_type,
        )
