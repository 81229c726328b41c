"""A convolution as hardware computes it, and how it comes from a network's node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import codes_of, select, sum_bounds
from sterna.hw.units.conv.geometry import Geometry
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ActivationType, Conv2d

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvLayer(WeightedLayer):
    """A convolution before lanes are chosen.

    Weights are int8, (rows, input channels, kernel_h, kernel_w), 0 between channels of different groups.

    Attributes
    ----------
    geometry : Geometry
    """

    geometry: Geometry

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.conv.kind import CONV  # which imports this module

        return CONV

    @property
    def lane_grain(self) -> int:
        """Lanes come in rows of the output map."""
        return self.geometry.columns

    @property
    def most_lanes(self) -> int:
        """A stream for every channel."""
        return len(self.weights) * self.geometry.columns

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """A channel of a row takes a step at least, and a beat a cycle comes in."""
        return max([len(self.weights) * self.geometry.rows, *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """A lane adds one weight a cycle; a channel without weights takes a step too."""
        work = self.least_steps * self.geometry.rows
        return min(max(-(-work // max(cycles, 1)), 1), len(self.weights)) * self.geometry.columns


class ConvLowering:
    """A Conv2d node while channels are left out; see :class:`~sterna.hw.units.protocol.Lowering`."""

    def __init__(self, node: Conv2d, input_type: ActivationType, shape: tuple[int, ...]) -> None:
        self.node = node
        self._input_type = input_type
        self._geometry = Geometry(
            height=shape[1], width=shape[2], kernel=node.kernel, stride=node.stride, padding=node.padding
        )
        self._all = ungrouped(node.weights, node.groups)
        self._weights = self._all.copy()  # without the channels that are folded
        self._offset = np.zeros(self.channels, np.int64) if node.bias is None else node.bias.astype(np.int64)

    @property
    def channels(self) -> int:
        return len(self.node.weights)

    def absorbs(self, constants: Mapping[int, int]) -> set[int]:
        """All; behind padding, where the border sees another code, only those that are 0 as the border is."""
        return {channel for channel, code in constants.items() if code == 0 or not any(self._geometry.padding)}

    def fold(self, constants: Mapping[int, int]) -> None:
        for channel, code in constants.items():
            self._offset = self._offset + self._all[:, channel].sum(axis=(1, 2), dtype=np.int64) * code
            self._weights[:, channel] = 0

    def unfold(self, constants: Mapping[int, int]) -> None:
        for channel, code in constants.items():
            self._offset = self._offset - self._all[:, channel].sum(axis=(1, 2), dtype=np.int64) * code
            self._weights[:, channel] = self._all[:, channel]

    def constants(self) -> dict[int, int]:
        if self.node.requantize is None:
            return {}
        low, high = sum_bounds(self._weights.reshape(self.channels, -1), self._input_type)
        at_low = codes_of(self.node.requantize, low + self._offset)
        at_high = codes_of(self.node.requantize, high + self._offset)
        return {int(c): int(at_low[c]) for c in np.flatnonzero(at_low == at_high)}

    def reads(self, kept: np.ndarray) -> np.ndarray:
        return np.asarray(self._weights[kept].any(axis=(0, 2, 3)))

    def layer(
        self,
        *,
        sources: tuple[str, ...],
        inputs: np.ndarray,
        kept: np.ndarray,
        constants: Mapping[int, int],
        unused: tuple[int, ...],
    ) -> ConvLayer:
        return ConvLayer(
            name=self.node.name,
            sources=sources,
            geometry=self._geometry,
            weights=self._all[np.ix_(kept, inputs)],
            inputs=inputs,
            channels=kept,
            constants=dict(constants),
            unused=unused,
            offset=self._offset[kept],
            requantize=select(self.node.requantize, kept),
            input_type=self._input_type,
        )


def ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """int8, (out, in, kernel_h, kernel_w): the same weights, with 0 between channels of different groups."""
    out, inside, *kernel = weights.shape
    whole = np.zeros((out, inside * groups, *kernel), np.int8)
    for group in range(groups):
        rows = slice(group * (out // groups), (group + 1) * (out // groups))
        whole[rows, group * inside : (group + 1) * inside] = weights[rows]
    return whole
