"""From a network to the layers that hardware is made for: what cannot change a result is left out, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from sterna.hw.config import ALL, FOLDED
from sterna.hw.units import KINDS
from sterna.hw.units.protocol import Layer, Lowering
from sterna.net import Flatten, Network, Node
from sterna.net.errors import InvalidValueError
from sterna.net.nodes import INPUT


class UnsupportedError(InvalidValueError):
    """A network that is valid, but that no unit exists for."""


@dataclass(frozen=True)
class _Edge:
    """What a node reads, any Flatten passed over.

    ``spread``: channels of the reader for each one of the source: pixels, where a Flatten lies between.
    """

    source: str
    spread: int = 1

    def inputs(self, channels: np.ndarray) -> np.ndarray:
        """The channels of the reader's input that some of the source's are."""
        return (np.asarray(channels)[:, None] * self.spread + np.arange(self.spread)).reshape(-1)

    def seen(self, constants: Mapping[int, int]) -> dict[int, int]:
        """A source's constant channels, as channels of the reader's input."""
        return {c * self.spread + k: code for c, code in constants.items() for k in range(self.spread)}


@dataclass(eq=False)
class _Vertex:
    """A node on its way to a layer."""

    lowering: Lowering
    edges: tuple[_Edge, ...]
    readers: list[tuple[_Edge, _Vertex]] = field(default_factory=list)
    constants: dict[int, int] = field(default_factory=dict)
    kept: np.ndarray = field(default_factory=lambda: np.arange(0))

    @property
    def name(self) -> str:
        return self.lowering.node.name

    def leave_out_constants(self) -> None:
        """Folds those of its constants into all its readers that they can do without, and forgets the others."""
        self.constants = self.lowering.constants() if self.readers else {}
        for edge, reader in self.readers:
            absorbed = reader.lowering.absorbs(edge.seen(self.constants))
            self.constants = {c: code for c, code in self.constants.items() if edge.seen({c: code}).keys() <= absorbed}
        for edge, reader in self.readers:
            reader.lowering.fold(edge.seen(self.constants))

    def keep_what_is_read(self) -> None:
        """The channels that a reader needs, but one at least; without readers, all."""
        channels = self.lowering.channels
        read = np.full(channels, not self.readers)
        for edge, reader in self.readers:
            read |= reader.lowering.reads(reader.kept).reshape(channels, edge.spread).any(axis=1)
        if not read.any():
            read[0] = True
            if 0 in self.constants:
                code = self.constants.pop(0)
                for edge, reader in self.readers:
                    reader.lowering.unfold(edge.seen({0: code}))
        self.kept = np.flatnonzero(read)

    def layer(self, given: Mapping[str, np.ndarray]) -> Layer:
        """The layer, where each source gives these of its channels."""
        dropped = set(range(self.lowering.channels)) - set(self.kept.tolist())
        return self.lowering.layer(
            sources=tuple(edge.source for edge in self.edges),
            inputs=self.edges[0].inputs(given[self.edges[0].source]),
            kept=self.kept,
            constants={c: code for c, code in self.constants.items() if c in dropped},
            unused=tuple(sorted(dropped - set(self.constants))),
        )


def lower(network: Network, units: Mapping[str, str] | None = None, *, complete: bool = False) -> list[Layer]:
    """Layers of a network, in topological order.

    Channels whose code is constant, and channels that nothing reads, are left out: constants are folded into the
    layers that read them, as far as these can do without. Every hidden layer keeps at least one channel.

    Parameters
    ----------
    network : Network
    units : mapping of str to str, optional
        Name of a kind of unit, by node: as :class:`~sterna.hw.config.AcceleratorConfig` has it.
    complete : bool
        Leave nothing out: other weights of these shapes may need it.

    Raises
    ------
    UnsupportedError
        If no kind of unit computes a node.
    ValueError
        If ``units`` names a node or a kind that is not there, or a kind that does not compute the node.
    """
    vertices = _vertices(network, units or {})
    if complete:
        for vertex in vertices:
            vertex.kept = np.arange(vertex.lowering.channels)
    else:
        for vertex in vertices:
            vertex.leave_out_constants()
        for vertex in reversed(vertices):
            vertex.keep_what_is_read()
    given = {INPUT: np.arange(network.input_shape[0])}
    layers = []
    for vertex in vertices:
        layers.append(vertex.layer(given))
        given[vertex.name] = layers[-1].channels
    return layers


def _vertices(network: Network, units: Mapping[str, str]) -> list[_Vertex]:
    """The nodes that units compute; a Flatten is index arithmetic of the unit behind it."""
    units = _chosen(network, units)
    vertices: dict[str, _Vertex] = {}
    edges = {INPUT: _Edge(INPUT)}
    for node in network.nodes:
        before = tuple(edges[name] for name in node.inputs)
        lowering = _lowering(network, node, units.get(node.name))
        if lowering is not None and (len(before) == 1 or all(edge.spread == 1 for edge in before)):
            vertices[node.name] = vertex = _Vertex(lowering, before)
            edges[node.name] = _Edge(node.name)
            for edge in before:
                if edge.source != INPUT:
                    vertices[edge.source].readers.append((edge, vertex))
        elif isinstance(node, Flatten) and node is not network.nodes[-1]:
            (edge,) = before
            edges[node.name] = _Edge(edge.source, edge.spread * prod(network.shapes[node.inputs[0]][1:]))
        else:
            raise UnsupportedError(
                f"node '{node.name}' ({type(node).__name__} of {', '.join(node.inputs)}) has no hardware yet: it is "
                f"made for {_made()} nodes (a Flatten may come before a Linear)"
            )
    if not vertices:
        raise UnsupportedError(f"the network has none of {_made()} nodes: there is nothing to make hardware for")
    return list(vertices.values())


def _made() -> str:
    """What there is hardware for."""
    return ", ".join(dict.fromkeys(name for kind in KINDS for name in kind.makes))


def _chosen(network: Network, units: Mapping[str, str]) -> dict[str, str]:
    """The kind of each node that is not to have the usual one."""
    chosen: dict[str, str] = {}
    nodes = {node.name: type(node).__name__ for node in network.nodes}
    for name, wanted in units.items():
        if name not in (*nodes, ALL):
            raise InvalidValueError(f"units names node {name!r}, and the network has {', '.join(nodes)}")
        makes = [make for kind in KINDS if kind.name == wanted for make in kind.makes]
        for node in nodes if name == ALL else [name]:
            if nodes[node] in makes:
                chosen[node] = wanted
            elif wanted == FOLDED:
                chosen.pop(node, None)
            elif name != ALL or not makes:
                able = [FOLDED, *[kind.name for kind in KINDS if nodes[node] in kind.makes][1:]]
                raise InvalidValueError(f"no unit {wanted!r} computes node '{node}': choose {' or '.join(able)}")
    return chosen


def _lowering(network: Network, node: Node, wanted: str | None) -> Lowering | None:
    """By the kind that is wanted, or the first that computes the node."""
    able = (kind.lower(network, node) for kind in KINDS if wanted in (None, kind.name))
    return next((found for found in able if found is not None), None)
