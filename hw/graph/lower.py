"""From a network to the layers that hardware is made for: what cannot change a result is left out, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sterna.net import (
    ActivationType,
    Flatten,
    Linear,
    Network,
    Requantization,
    ShiftRound,
    Thresholds,
    shift_round,
    thresholds,
)
from sterna.net.errors import InvalidValueError


class UnsupportedError(InvalidValueError):
    """A network that is valid, but that no unit exists for."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseLayer:
    """A dense layer as hardware computes it.

    Attributes
    ----------
    name : str
        The node.
    weights : int8, (rows, columns)
        Columns in the order of ``inputs``.
    inputs : int64, (columns,)
        Network index of each column (for the first layer: in stream order).
    channels : int64, (rows,)
        Network index of each row.
    constants : mapping of int to int
        Channels left out because their code never changes, and that code.
    unused : tuple of int
        Channels left out because nothing reads them.
    offset : int64, (rows,)
        What the node's bias and the constant channels before it add to a row's sum.
    requantize : Thresholds, ShiftRound or None
        For the rows that are kept.
    input_type : ActivationType
    """

    name: str
    weights: np.ndarray
    inputs: np.ndarray
    channels: np.ndarray
    constants: Mapping[int, int]
    unused: tuple[int, ...]
    offset: np.ndarray
    requantize: Requantization | None
    input_type: ActivationType

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest sum of each row, without the offset; int64, (rows,)."""
        return sum_bounds(self.weights, self.input_type)


def sum_bounds(weights: np.ndarray, input_type: ActivationType) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sum that each row can have; int64, (rows,)."""
    plus = np.count_nonzero(weights > 0, axis=1).astype(np.int64)
    minus = np.count_nonzero(weights < 0, axis=1).astype(np.int64)
    return plus * input_type.min - minus * input_type.max, plus * input_type.max - minus * input_type.min


def select(requantize: Requantization | None, rows: np.ndarray) -> Requantization | None:
    """The requantization of some rows, in a new order."""
    if isinstance(requantize, Thresholds):
        return Thresholds(output=requantize.output, levels=requantize.levels[rows])
    if isinstance(requantize, ShiftRound):
        return ShiftRound(output=requantize.output, bias=requantize.bias[rows], shift=requantize.shift[rows])
    return None


def apply_requantization(requantize: Requantization, acc: np.ndarray) -> np.ndarray:
    """Codes of one sum a channel; int64, (channels,)."""
    if isinstance(requantize, Thresholds):
        return thresholds(acc[None, :], requantize.levels, requantize.output.min)[0]
    return shift_round(acc[None, :], requantize.bias, requantize.shift, requantize.output)[0]


def lower(network: Network) -> list[DenseLayer]:
    """Dense layers of a network, in order.

    Channels whose code is constant, and channels that nothing reads, are left out: constants move into the next
    layer's offset. Every hidden layer keeps at least one channel.

    Raises
    ------
    UnsupportedError
        If the network is no chain of Linear nodes (a Flatten may lead it), or a hidden one has no requantization.
    """
    nodes, order = _chain(network)
    kept = [np.arange(node.weights.shape[0]) for node in nodes]
    constants: list[dict[int, int]] = [{} for _ in nodes]
    offsets = []
    for i, node in enumerate(nodes):
        input_type = _input_type(network, node)
        weights = node.weights.astype(np.int64)
        offset = np.zeros(len(weights), np.int64) if node.bias is None else node.bias.astype(np.int64)
        if i:
            for channel, code in constants[i - 1].items():
                offset = offset + weights[:, channel] * code
                weights[:, channel] = 0
        offsets.append(offset)
        if i < len(nodes) - 1:
            constants[i] = _constant_channels(node, weights, offset, input_type)
    for i in reversed(range(len(nodes) - 1)):
        read = np.asarray(nodes[i + 1].weights[kept[i + 1]].any(axis=0))
        live = [c for c in range(len(read)) if read[c] and c not in constants[i]]
        if not live:
            live = [0]
            _restore(nodes[i + 1], constants[i], offsets[i + 1])
        kept[i] = np.array(live)
    layers = []
    for i, node in enumerate(nodes):
        inputs = kept[i - 1] if i else order
        dropped = set(range(node.weights.shape[0])) - set(kept[i].tolist())
        layers.append(
            DenseLayer(
                name=node.name,
                weights=node.weights[np.ix_(kept[i], inputs)],
                inputs=inputs,
                channels=kept[i],
                constants={c: v for c, v in constants[i].items() if c in dropped},
                unused=tuple(sorted(dropped - set(constants[i]))),
                offset=offsets[i][kept[i]],
                requantize=select(node.requantize, kept[i]),
                input_type=_input_type(network, node),
            )
        )
    return layers


def _restore(reader: Linear, constants: dict[int, int], offset: np.ndarray) -> None:
    """Takes channel 0 back from the constants."""
    if 0 in constants:
        offset -= reader.weights[:, 0].astype(np.int64) * constants.pop(0)


def _constant_channels(
    node: Linear, weights: np.ndarray, offset: np.ndarray, input_type: ActivationType
) -> dict[int, int]:
    assert node.requantize is not None  # held by _chain
    low, high = sum_bounds(weights, input_type)
    at_low = apply_requantization(node.requantize, low + offset)
    at_high = apply_requantization(node.requantize, high + offset)
    return {int(c): int(at_low[c]) for c in np.flatnonzero(at_low == at_high)}


def _input_type(network: Network, node: Linear) -> ActivationType:
    value_type = network.types[node.inputs[0]]
    assert isinstance(value_type, ActivationType)  # held by Network
    return value_type


def _chain(network: Network) -> tuple[list[Linear], np.ndarray]:
    """The Linear nodes, and the network's input index of each element in stream order."""
    shape = network.input_shape
    index = np.arange(int(np.prod(shape)))
    if len(shape) == 3:  # maps run row, then channel, then pixel
        index = index.reshape(shape).transpose(1, 0, 2).reshape(-1)
    nodes: list[Linear] = []
    previous = "input"
    for node in network.nodes:
        fits = isinstance(node, Linear) or (isinstance(node, Flatten) and not nodes)
        if not fits or node.inputs != (previous,):
            raise UnsupportedError(
                f"node '{node.name}' ({type(node).__name__} of {', '.join(node.inputs)}) has no hardware yet: it is "
                "made for chains of Linear nodes (a Flatten may come first)"
            )
        if isinstance(node, Linear):
            nodes.append(node)
        previous = node.name
    if not nodes:
        raise UnsupportedError("the network has no Linear node: there is nothing to make hardware for")
    for node in nodes[:-1]:
        if node.requantize is None:
            raise UnsupportedError(f"node '{node.name}' feeds another and needs a requantize")
    return nodes, index
