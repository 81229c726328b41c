"""An addition unit before it is hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import numpy as np
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import select
from sterna.hw.parts.outlet import Outlet
from sterna.hw.parts.tables import Tables, plan_tables
from sterna.hw.units.add.component import PIPELINE, AddUnit
from sterna.hw.units.add.layer import AddLayer
from sterna.hw.units.add.logic import count_add
from sterna.hw.units.add.timing import AddClockwork
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import outlet_memories
from sterna.hw.units.one_node import OneNode
from sterna.hw.units.protocol import MemoryUse, Work


@dataclass(frozen=True, eq=False, kw_only=True)
class AddPlan(OneNode):
    """An addition unit; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer : AddLayer
    inputs : tuple of StreamType
        Of one order, and as many elements a beat.
    tables : Tables
        What the requantizers store.
    """

    layer: AddLayer
    inputs: tuple[StreamType, ...]
    tables: Tables

    lanes = 0

    @property
    def output(self) -> StreamType:
        return replace(self.inputs[0], element=self.tables.output_shape)

    @property
    def work(self) -> Work:
        beats = self.output.beats
        return Work(steps=beats, beats=beats, results=beats)

    @property
    def outlet(self) -> Outlet:
        """Where results leave."""
        stream = self.inputs[0]
        return Outlet(
            shape=self.tables.sum_shape,
            tables=self.tables,
            elements=stream.elements,
            beats=-(-stream.run // stream.elements) if len(stream.shape) == 3 else 1,
            pipeline=PIPELINE,
        )

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        width = self.output.elements * self.output.element.width
        return outlet_memories(self.tables, depth=self.outlet.depth, width=width, sums=self.output.elements)

    @property
    def logic(self) -> Parts:
        return count_add(self)

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> AddClockwork:
        return AddClockwork(inputs=inputs, outlet=self.outlet, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        if framed:
            raise RuntimeError("frames are guarded before an addition, not in it")
        return AddUnit(self)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "add",
            "shifts": list(self.layer.shifts),
            "requantizer": type(self.tables).__name__.removesuffix("Tables").lower(),
            "table_bits": self.tables.bits,
            "fifo_depth": self.outlet.depth,
            "constant_channels": {},
            "unused_channels": [],
        }


def plan_add(layer: AddLayer, *, streams: Sequence[StreamType]) -> AddPlan:
    """Plans an addition of streams that have one order.

    A beat has as many elements as go into each stream's beats; of a vector one, since every feature has an entry of its
    own in the tables. Whoever joins the streams makes them narrower (``graph/joins.py``).
    """
    first = streams[0]
    if any((stream.order, stream.shape) != (first.order, first.shape) for stream in streams):
        raise RuntimeError(f"inputs of '{layer.name}' come in different orders")
    elements = gcd(*(stream.elements for stream in streams)) if len(first.shape) == 3 else 1
    order = np.array(first.order)
    every = np.ones(len(order), np.int64)
    low, high = layer.bounds
    tables = plan_tables(select(layer.requantize, order), offset=0 * every, low=low * every, high=high * every)
    inputs = tuple(replace(stream, elements=elements) for stream in streams)
    return AddPlan(layer=layer, inputs=inputs, tables=tables)
