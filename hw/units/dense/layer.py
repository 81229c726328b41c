"""A dense layer as hardware computes it, and how it comes from a network's node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import codes_of, select, sum_bounds
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ActivationType, Linear

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Kind


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseLayer(WeightedLayer):
    """A dense layer before lanes are chosen: weights are int8, (rows, columns), columns in the order of ``inputs``."""

    @property
    def kind(self) -> Kind:
        from sterna.hw.units.dense.kind import DENSE  # which imports this module

        return DENSE

    @property
    def lane_grain(self) -> int:
        """Any number of lanes will do."""
        return 1

    @property
    def most_lanes(self) -> int:
        """A lane needs a row."""
        return len(self.weights)

    def least_interval(self, inputs: Sequence[StreamType]) -> int:
        """One result and one beat a cycle."""
        return max([len(self.weights), *(stream.beats for stream in inputs)])

    def least_lanes(self, cycles: int) -> int:
        """A lane adds one weight a cycle; a row without weights takes a step too."""
        return max(-(-self.least_steps // max(cycles, 1)), 1)


class DenseLowering:
    """A Linear node while channels are left out; see :class:`~sterna.hw.units.protocol.Lowering`."""

    def __init__(self, node: Linear, input_type: ActivationType) -> None:
        self.node = node
        self._input_type = input_type
        self._weights = node.weights.astype(np.int64)  # without the columns that are folded
        self._offset = np.zeros(self.channels, np.int64) if node.bias is None else node.bias.astype(np.int64)

    @property
    def channels(self) -> int:
        return len(self.node.weights)

    def absorbs(self, constants: Mapping[int, int]) -> set[int]:
        return set(constants)

    def fold(self, constants: Mapping[int, int]) -> None:
        for channel, code in constants.items():
            self._offset = self._offset + self.node.weights[:, channel].astype(np.int64) * code
            self._weights[:, channel] = 0

    def unfold(self, constants: Mapping[int, int]) -> None:
        for channel, code in constants.items():
            self._offset = self._offset - self.node.weights[:, channel].astype(np.int64) * code
            self._weights[:, channel] = self.node.weights[:, channel]

    def constants(self) -> dict[int, int]:
        if self.node.requantize is None:
            return {}
        low, high = sum_bounds(self._weights, self._input_type)
        at_low = codes_of(self.node.requantize, low + self._offset)
        at_high = codes_of(self.node.requantize, high + self._offset)
        return {int(c): int(at_low[c]) for c in np.flatnonzero(at_low == at_high)}

    def reads(self, kept: np.ndarray) -> np.ndarray:
        return np.asarray(self._weights[kept].any(axis=0))

    def layer(
        self,
        *,
        sources: tuple[str, ...],
        inputs: np.ndarray,
        kept: np.ndarray,
        constants: Mapping[int, int],
        unused: tuple[int, ...],
    ) -> DenseLayer:
        return DenseLayer(
            name=self.node.name,
            sources=sources,
            weights=self.node.weights[np.ix_(kept, inputs)],
            inputs=inputs,
            channels=kept,
            constants=dict(constants),
            unused=unused,
            offset=self._offset[kept],
            requantize=select(self.node.requantize, kept),
            input_type=self._input_type,
        )
