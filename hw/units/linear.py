"""A Linear node on its way to a layer, whatever kind of unit computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import codes_of, select, sum_bounds
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ActivationType, Linear, Network, Node

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Layer, Lowering

LayerT = TypeVar("LayerT", bound=WeightedLayer)


class LinearLowering:
    """A Linear node while channels are left out; see :class:`~sterna.hw.units.protocol.Lowering`.

    Parameters
    ----------
    node : Linear
    input_type : ActivationType
    made : callable
        What it becomes; its weights are int8, (rows, columns), columns in the order of ``inputs``.
    """

    def __init__(self, node: Linear, input_type: ActivationType, made: Callable[..., Layer]) -> None:
        self.node = node
        self._made = made
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
    ) -> Layer:
        return self._made(
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


def lower_linear(network: Network, node: Node, made: Callable[..., Layer]) -> Lowering | None:
    """A Linear node's lowering; None for another node."""
    if not isinstance(node, Linear):
        return None
    input_type = network.types[node.inputs[0]]
    assert isinstance(input_type, ActivationType)  # held by Network
    return LinearLowering(node, input_type, made)


def permuted(layer: LayerT, stream: StreamType) -> LayerT:
    """The layer with its columns in the order in which the stream brings them.

    What the layer does not read, and the padding between runs of neighbours, has columns without weights.
    """
    column = {int(index): k for k, index in enumerate(layer.inputs)}
    places = stream.places()
    if len(stream.shape) == 1:
        places = places[: stream.run]  # the last beat's padding comes after all columns
    order = np.array([column.get(int(index), len(column)) for index in places])
    weights = np.pad(layer.weights, ((0, 0), (0, 1)))
    moved: LayerT = replace(layer, weights=weights[:, order], inputs=places)
    return moved
