"""From a network to the layers that hardware is made for: what cannot change a result is left out, exactly."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from sterna.hw.units import KINDS
from sterna.hw.units.protocol import Layer, Lowering
from sterna.net import Flatten, Network, Node
from sterna.net.errors import InvalidValueError
from sterna.net.nodes import INPUT


class UnsupportedError(InvalidValueError):
    """A network that is valid, but that no unit exists for."""


@dataclass(eq=False)
class _Vertex:
    """A node on its way to a layer; ``source`` is what it reads, by name, any Flatten passed over."""

    lowering: Lowering
    source: str
    spread: int  # channels of the reader for each one of the source: pixels, where a Flatten lies between
    constants: dict[int, int] = field(default_factory=dict)
    kept: np.ndarray = field(default_factory=lambda: np.arange(0))

    @property
    def name(self) -> str:
        return self.lowering.node.name

    def inputs(self, channels: np.ndarray) -> np.ndarray:
        """The channels of the input that some of the source's are."""
        return (np.asarray(channels)[:, None] * self.spread + np.arange(self.spread)).reshape(-1)

    def seen(self, constants: dict[int, int]) -> dict[int, int]:
        """A source's constant channels, as channels of the input."""
        return {c * self.spread + k: code for c, code in constants.items() for k in range(self.spread)}

    def read(self, channels: int) -> np.ndarray:
        """Which of the source's channels are read for those that are kept; bool, (channels,)."""
        return np.asarray(self.lowering.reads(self.kept).reshape(channels, self.spread).any(axis=1))


def lower(network: Network) -> list[Layer]:
    """Layers of a network, in topological order.

    Channels whose code is constant, and channels that nothing reads, are left out: constants are folded into the
    layers that read them, as far as these can do without. Every hidden layer keeps at least one channel.

    Raises
    ------
    UnsupportedError
        If no kind of unit computes a node, or the nodes are no chain.
    """
    vertices = _chain(network)
    for before, vertex in zip([None, *vertices], vertices, strict=False):
        if before is not None:
            _leave_out_constants(before, vertex)
        if vertex is not vertices[-1]:
            vertex.constants = vertex.lowering.constants()
    vertices[-1].kept = np.arange(vertices[-1].lowering.channels)
    for vertex, reader in reversed(list(itertools.pairwise(vertices))):
        read = reader.read(vertex.lowering.channels)
        needed = [c for c in range(len(read)) if read[c]]  # what was folded is not
        if not needed:
            needed = [0]
            if 0 in vertex.constants:
                reader.lowering.unfold(reader.seen({0: vertex.constants.pop(0)}))
        vertex.kept = np.array(needed)
    kept = np.arange(network.input_shape[0])
    layers = []
    for vertex in vertices:
        dropped = set(range(vertex.lowering.channels)) - set(vertex.kept.tolist())
        layers.append(
            vertex.lowering.layer(
                sources=(vertex.source,),
                inputs=vertex.inputs(kept),
                kept=vertex.kept,
                constants={c: code for c, code in vertex.constants.items() if c in dropped},
                unused=tuple(sorted(dropped - set(vertex.constants))),
            )
        )
        kept = vertex.kept
    return layers


def _leave_out_constants(source: _Vertex, reader: _Vertex) -> None:
    """Folds those of a source's constants into its reader that the reader can do without, and forgets the others."""
    absorbed = reader.lowering.absorbs(reader.seen(source.constants))
    source.constants = {c: code for c, code in source.constants.items() if reader.seen({c: code}).keys() <= absorbed}
    reader.lowering.fold(reader.seen(source.constants))


def _chain(network: Network) -> list[_Vertex]:
    """The nodes that units compute; a Flatten is index arithmetic of the unit behind it."""
    vertices: list[_Vertex] = []
    previous, source, spread = INPUT, INPUT, 1
    for node in network.nodes:
        lowering = _lowering(network, node)
        flat = isinstance(node, Flatten) and node is not network.nodes[-1]
        if (lowering is None and not flat) or node.inputs != (previous,):
            raise UnsupportedError(
                f"node '{node.name}' ({type(node).__name__} of {', '.join(node.inputs)}) has no hardware yet: it is "
                f"made for chains of {_made()} nodes (a Flatten may come before the last)"
            )
        if lowering is not None:
            vertices.append(_Vertex(lowering, source, spread))
            source, spread = node.name, 1
        else:
            spread *= prod(network.shapes[previous][1:])
        previous = node.name
    if not vertices:
        raise UnsupportedError(f"the network has none of {_made()} nodes: there is nothing to make hardware for")
    _check_requantized(network, vertices[:-1])
    return vertices


def _made() -> str:
    """What there is hardware for."""
    return ", ".join(name for kind in KINDS for name in kind.makes)


def _lowering(network: Network, node: Node) -> Lowering | None:
    """By the first kind that computes the node."""
    return next((found for kind in KINDS if (found := kind.lower(network, node)) is not None), None)


def _check_requantized(network: Network, vertices: Sequence[_Vertex]) -> None:
    for vertex in vertices:
        if vertex.name in network.accumulators and network.types[vertex.name] is network.accumulators[vertex.name]:
            raise UnsupportedError(f"node '{vertex.name}' feeds another and needs a requantize")
