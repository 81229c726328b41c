"""A Linear node on its way to a layer, whatever kind of unit computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.lowering import WeightedLowering
from sterna.hw.units.weighted import WeightedLayer
from sterna.net import ActivationType, Linear, Network, Node

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Layer, Lowering

LayerT = TypeVar("LayerT", bound=WeightedLayer)


def lower_linear(network: Network, node: Node, made: Callable[..., Layer]) -> Lowering | None:
    """A Linear node's lowering; None for another node.

    ``made`` takes weights of int8, (rows, columns), columns in the order of ``inputs``.
    """
    if not isinstance(node, Linear):
        return None
    input_type = network.types[node.inputs[0]]
    assert isinstance(input_type, ActivationType)  # held by Network
    return WeightedLowering(node, input_type, node.weights, made)


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
