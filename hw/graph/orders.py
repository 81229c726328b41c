"""In which order and width results have to leave their units, where others depend on it.

Units without lanes let channels pass as they come; so what they read, and what they give, has one order, and units that
read several streams need all of them in one. The first unit with lanes whose results are of such an order chooses it,
and how many elements a beat has, and the others follow. The network's input and output have the network's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.protocol import Delivery, Layer
from sterna.net import Network
from sterna.net.nodes import INPUT


class _Classes:
    """Names that belong together."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The name that stands for all that belong together with this one."""
        while name != (parent := self._parents.get(name, name)):
            name = parent
        return name

    def join(self, name: str, other: str) -> None:
        """These belong together, and with them what belongs to each."""
        self._parents[self.find(name)] = self.find(other)


class Orders:
    """What is agreed upon; planning tells it what units choose.

    Parameters
    ----------
    network : Network
    layers : sequence of Layer
        In topological order.
    stream : StreamType
        The network's input.
    """

    def __init__(self, network: Network, layers: Sequence[Layer], stream: StreamType) -> None:
        self._shapes = network.shapes
        self._classes = _Classes()
        for layer in layers:
            if not layer.lane_grain:
                for source in layer.sources:
                    self._classes.join(source, layer.name)
        self._together = _together(layers)
        last = layers[-1]
        self._output = self._classes.find(last.name)
        self._orders = {self._output: tuple(sorted(last.channels.tolist()))}
        self._elements: dict[tuple[str, tuple[int, ...]], int] = {}
        self.settle(INPUT, stream)

    def delivery(self, layer: Layer) -> Delivery:
        """How a layer's results have to leave; those of the network one a beat."""
        together, its = self._together[layer.name], self._classes.find(layer.name)
        elements = 1 if its == self._output else self._elements.get((its, self._shapes[layer.name]))
        if elements is not None and elements % together:
            elements = 1
        return Delivery(order=self._orders.get(its), elements=elements, together=together)

    def settle(self, name: str, output: StreamType) -> None:
        """Results of this name leave as the stream says: what belongs to it and is planned later follows."""
        its = self._classes.find(name)
        self._orders.setdefault(its, output.order)
        self._elements.setdefault((its, output.shape), output.elements)


def _together(layers: Sequence[Layer]) -> dict[str, int]:
    """Of each layer, how many neighboring results the units behind it take at once, through those without lanes."""
    together = {layer.name: 1 for layer in layers}
    for layer in reversed(layers):
        if not layer.lane_grain:
            for source in layer.sources:
                if source != INPUT:
                    together[source] = lcm(together[source], layer.together * together[layer.name])
    return together
