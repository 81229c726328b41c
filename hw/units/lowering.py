"""A node with weights on its way to a layer, while channels are left out, whatever kind of unit computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.hw.parts.codes import codes_of, select, sum_bounds
from sterna.net import ActivationType, WeightNode

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Layer


class WeightedLowering:
    """See :class:`~sterna.hw.units.protocol.Lowering`.

    Parameters
    ----------
    node : WeightNode
    input_type : ActivationType
    weights : int8, (rows, input channels, ...)
        The node's, of every row and input channel.
    made : callable
        What the node becomes, of ``more`` and what every layer with weights has.
    """

    def __init__(
        self,
        node: WeightNode,
        input_type: ActivationType,
        weights: np.ndarray,
        made: Callable[..., Layer],
        **more: Any,
    ) -> None:
        self.node = node
        self._made = made
        self._more = more
        self._input_type = input_type
        self._all = weights
        self._weights = weights.copy()  # without the channels that are folded
        self._offset = np.zeros(self.channels, np.int64) if node.bias is None else node.bias.astype(np.int64)

    @property
    def channels(self) -> int:
        return len(self._all)

    def absorbs(self, constants: Mapping[int, int]) -> set[int]:
        return set(constants)

    def fold(self, constants: Mapping[int, int]) -> None:
        for channel, code in constants.items():
            self._offset = self._offset + self._sums(channel) * code
            self._weights[:, channel] = 0

    def unfold(self, constants: Mapping[int, int]) -> None:
        for channel, code in constants.items():
            self._offset = self._offset - self._sums(channel) * code
            self._weights[:, channel] = self._all[:, channel]

    def _sums(self, channel: int) -> np.ndarray:
        """Of each row's weights of an input channel."""
        return np.asarray(self._all[:, channel].reshape(self.channels, -1).sum(axis=1, dtype=np.int64))

    def constants(self) -> dict[int, int]:
        if self.node.requantize is None:
            return {}
        low, high = sum_bounds(self._weights.reshape(self.channels, -1), self._input_type)
        at_low = codes_of(self.node.requantize, low + self._offset)
        at_high = codes_of(self.node.requantize, high + self._offset)
        return {int(c): int(at_low[c]) for c in np.flatnonzero(at_low == at_high)}

    def reads(self, kept: np.ndarray) -> np.ndarray:
        read = self._weights[kept].any(axis=0)
        return np.asarray(read.reshape(len(read), -1).any(axis=1))

    def layer(
        self,
        *,
        sources: tuple[str, ...],
        inputs: np.ndarray,
        kept: np.ndarray,
        constants: Mapping[int, int],
        unused: tuple[int, ...],
    ) -> Layer:
        return self._made(
            **self._more,
            name=self.node.name,
            sources=sources,
            weights=self._all[np.ix_(kept, inputs)],
            inputs=inputs,
            channels=kept,
            constants=dict(constants),
            unused=unused,
            offset=self._offset[kept],
            requantize=select(self.node.requantize, kept),
            input_type=self._input_type,
        )
