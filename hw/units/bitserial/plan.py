"""A bit-serial unit before it is hardware: its adders, and how long its sums are on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import in_order
from sterna.hw.parts.outlet import Outlet
from sterna.hw.parts.tables import code_shape, shape_of
from sterna.hw.sums.graph import SumGraph
from sterna.hw.sums.sharing import share_sums
from sterna.hw.units.bitserial.component import BitserialUnit
from sterna.hw.units.bitserial.layer import BitserialLayer
from sterna.hw.units.bitserial.logic import count_bitserial
from sterna.hw.units.bitserial.timing import BitserialClockwork
from sterna.hw.units.linear import permuted
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import outlet_memories
from sterna.hw.units.one_node import OneNode
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.net import Thresholds


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialPlan(OneNode):
    """A bit-serial unit; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer : BitserialLayer
        What is computed, its inputs in the order of the stream, its rows in that of the results.
    stream : StreamType
        Input.
    graph : SumGraph
        The adders.
    """

    layer: BitserialLayer
    stream: StreamType
    graph: SumGraph

    lanes = 1

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        order = tuple(int(channel) for channel in self.layer.channels)
        return StreamType(element=self.element, shape=(self.layer.all_channels,), order=order, elements=len(order))

    @cached_property
    def element(self) -> Shape:
        """Of a result."""
        if self.layer.requantize is not None:
            return code_shape(self.layer.requantize.output)
        low, high = self.layer.bounds
        return shape_of(int((low + self.layer.offset).min()), int((high + self.layer.offset).max()))

    @property
    def work(self) -> Work:
        return Work(steps=self.layer.bits, beats=self.stream.beats, results=1)

    @property
    def depth(self) -> int:
        """Adders on the way of every sum; short ways wait."""
        return self.graph.depth

    @property
    def latency(self) -> int:
        """Cycles from a frame's last beat to its results: through the adders, the last bit, and the codes."""
        return self.depth + self.layer.bits + (2 if isinstance(self.layer.requantize, Thresholds) else 1)

    @property
    def outlet(self) -> Outlet:
        """Where results leave: all of a frame at once."""
        return Outlet(
            shape=self.element,
            tables=None,
            elements=len(self.layer.channels),
            beats=1,
            pipeline=self.latency,
            spacing=self.layer.bits,
        )

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        return outlet_memories(None, depth=self.outlet.depth, width=self.output.elements * self.element.width)

    @property
    def logic(self) -> Parts:
        return count_bitserial(self)

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> BitserialClockwork:
        (beats,) = inputs
        return BitserialClockwork(
            beats=beats, count=self.stream.beats, bits=self.layer.bits, outlet=self.outlet, results=output
        )

    def component(self, *, framed: bool) -> wiring.Component:
        return BitserialUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        layer = self.layer
        return {
            "kind": layer.kind.name,
            "rows": len(layer.weights),
            "columns": layer.weights.shape[1],
            "nonzeros": int(np.count_nonzero(layer.weights)),
            "adders": self.graph.adders,
            "depth": self.depth,
            "bits": layer.bits,
            "fifo_depth": self.outlet.depth,
            "constant_channels": {str(c): v for c, v in sorted(layer.constants.items())},
            "unused_channels": list(layer.unused),
        }


def plan_bitserial(
    layer: BitserialLayer, *, stream: StreamType, order: Sequence[int] | None = None, effort: int = 1
) -> BitserialPlan:
    """Finds the sums that rows share.

    Parameters
    ----------
    layer : BitserialLayer
    stream : StreamType
        What comes in.
    order : sequence of int, optional
        The layer's channels in the order in which results leave; without it, the layer's own.
    effort : int
        As in :func:`~sterna.hw.sums.sharing.share_sums`.
    """
    if order is not None:
        layer = in_order(layer, order)
    layer = permuted(layer, stream)
    return BitserialPlan(layer=layer, stream=stream, graph=share_sums(layer.weights, effort=effort))
