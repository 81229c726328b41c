"""A bit-serial unit before it is hardware: its layers' adders, and how long their sums are on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
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
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.net import Thresholds


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage:
    """One layer of a bit-serial unit.

    Attributes
    ----------
    layer : BitserialLayer
        Its inputs in the order in which they come, its rows in that of the results.
    graph : SumGraph
        Its adders.
    """

    layer: BitserialLayer
    graph: SumGraph

    def until_codes(self, bits: int) -> int:
        """Cycles from the inputs' lowest bits to the cycle in which all codes are known."""
        return self.graph.depth + bits + isinstance(self.layer.requantize, Thresholds)

    def until_next(self, bits: int) -> int:
        """Cycles from the inputs' lowest bits to those of the next layer's inputs."""
        return self.graph.depth + bits + 2

    def describe(self) -> dict[str, Any]:
        """What NAME.json says of it."""
        layer = self.layer
        return {
            "node": layer.name,
            "rows": len(layer.weights),
            "columns": layer.weights.shape[1],
            "nonzeros": int(np.count_nonzero(layer.weights)),
            "adders": self.graph.adders,
            "depth": self.graph.depth,
            "constant_channels": {str(c): v for c, v in sorted(layer.constants.items())},
            "unused_channels": list(layer.unused),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialPlan:
    """A bit-serial unit; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    stream : StreamType
        Input.
    stages : tuple of Stage
        Layers, each of which reads the one before.
    """

    stream: StreamType
    stages: tuple[Stage, ...]

    lanes = 1

    @property
    def name(self) -> str:
        return self.last.name

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(stage.layer.name for stage in self.stages)

    @property
    def last(self) -> BitserialLayer:
        """The layer that gives the results."""
        return self.stages[-1].layer

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        order = tuple(int(channel) for channel in self.last.channels)
        return StreamType(element=self.element, shape=(self.last.all_channels,), order=order, elements=len(order))

    @cached_property
    def element(self) -> Shape:
        """Of a result."""
        if self.last.requantize is not None:
            return code_shape(self.last.requantize.output)
        low, high = self.last.bounds
        return shape_of(int((low + self.last.offset).min()), int((high + self.last.offset).max()))

    @cached_property
    def bits(self) -> int:
        """Bits of every sum that are computed, a cycle each."""
        return max(stage.layer.bits for stage in self.stages)

    @property
    def work(self) -> Work:
        return Work(steps=self.bits, beats=self.stream.beats, results=1)

    @property
    def begins(self) -> list[int]:
        """Cycles from a frame's last beat to the lowest bits of each layer's inputs."""
        return list(accumulate((stage.until_next(self.bits) for stage in self.stages[:-1]), initial=1))

    @property
    def latency(self) -> int:
        """Cycles from a frame's last beat to its results."""
        return self.begins[-1] + self.stages[-1].until_codes(self.bits)

    @property
    def outlet(self) -> Outlet:
        """Where results leave: all of a frame at once."""
        return Outlet(
            shape=self.element,
            tables=None,
            elements=len(self.last.channels),
            beats=1,
            pipeline=self.latency,
            spacing=self.bits,
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
            beats=beats, count=self.stream.beats, bits=self.bits, outlet=self.outlet, results=output
        )

    def component(self, *, framed: bool) -> wiring.Component:
        return BitserialUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        layers = [stage.describe() for stage in self.stages]
        totals = {key: sum(layer[key] for layer in layers) for key in ("nonzeros", "adders")}
        left_out = {key: layers[-1][key] for key in ("constant_channels", "unused_channels")}
        return {
            "kind": self.last.kind.name,
            "bits": self.bits,
            **totals,
            "layers": layers,
            "fifo_depth": self.outlet.depth,
            **left_out,
        }


def plan_bitserial(
    layer: BitserialLayer, *, stream: StreamType, order: Sequence[int] | None = None, effort: int = 1
) -> BitserialPlan:
    """Finds the sums that a layer's rows share.

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
    return BitserialPlan(stream=stream, stages=(Stage(layer=layer, graph=share_sums(layer.weights, effort=effort)),))


def chained(before: BitserialPlan, behind: BitserialPlan) -> BitserialPlan:
    """One unit for two, of which the second alone reads the first: bits pass from layer to layer without a stream."""
    return replace(before, stages=(*before.stages, *behind.stages))
