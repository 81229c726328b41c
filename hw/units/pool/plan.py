"""A pooling unit before it is hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.codes import select
from sterna.hw.parts.outlet import Outlet
from sterna.hw.parts.tables import Tables, code_shape, plan_tables, shape_of
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import outlet_memories
from sterna.hw.units.one_node import OneNode
from sterna.hw.units.pool.component import PoolUnit, latency_of
from sterna.hw.units.pool.geometry import Windows
from sterna.hw.units.pool.layer import PoolLayer
from sterna.hw.units.pool.logic import count_pool
from sterna.hw.units.pool.timing import PoolClockwork
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolPlan(OneNode):
    """A pooling unit; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer : PoolLayer
    stream : StreamType
        Input.
    windows : Windows
    pooled : Shape
        Of a maximum or a sum.
    tables : Tables or None
        What the requantizers of sums store; None for maxima.
    """

    layer: PoolLayer
    stream: StreamType
    windows: Windows
    pooled: Shape
    tables: Tables | None

    lanes = 0

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        return StreamType(
            element=self.outlet.element,
            shape=(self.layer.total, self.windows.down.windows, self.windows.across.windows),
            order=self.stream.order,
            elements=self.windows.across.results,
        )

    @property
    def work(self) -> Work:
        return Work(steps=self.windows.slots, beats=self.stream.beats, results=self.output.beats)

    @property
    def outlet(self) -> Outlet:
        """Behind the windows."""
        across = self.windows.across
        return Outlet(
            shape=self.pooled,
            tables=self.tables,
            elements=across.results,
            beats=across.outputs,
            pipeline=latency_of(across),
        )

    @property
    def fifo_depth(self) -> int:
        """Beats that the output FIFO holds."""
        return self.outlet.depth

    @property
    def words(self) -> int:
        """Words of the memory for rows that are not complete."""
        return len(self.stream.order) * self.windows.across.outputs if self.windows.down.kept else 0

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        results, kept, element = self.windows.across.results, self.windows.down.kept, self.outlet.element
        rows = MemoryUse(name="rows", depth=self.words, width=results * kept * self.pooled.width, writable=True)
        outlet = outlet_memories(self.tables, depth=self.fifo_depth, width=results * element.width, sums=results)
        return (*([rows] if self.words else []), *outlet)

    @property
    def logic(self) -> Parts:
        return count_pool(self)

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> PoolClockwork:
        (beats,) = inputs
        return PoolClockwork(plan=self, beats=beats, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        return PoolUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        unused = sorted(set(range(self.layer.total)) - set(self.stream.order))
        return {
            "kind": "pool",
            "pool": "sum" if self.layer.sums else "max",
            "kernel": list(self.layer.kernel),
            "stride": list(self.layer.stride),
            "padding": list(self.layer.padding),
            "table_bits": 0 if self.tables is None else self.tables.bits,
            "fifo_depth": self.fifo_depth,
            "constant_channels": {},
            "unused_channels": unused,
        }


def plan_pool(layer: PoolLayer, *, stream: StreamType) -> PoolPlan:
    """Plans a pool behind a stream.

    Raises
    ------
    ValueError
        If its windows and the stream's beats do not go into each other.
    """
    windows = layer.windows(stream)
    if not windows.across.fit:
        raise InvalidValueError(
            f"layer '{layer.name}' pools with a horizontal stride of {layer.stride[1]}, and its input comes "
            f"{stream.elements} pixels a beat: one has to divide the other; give elements_per_beat=1"
        )
    code = code_shape(layer.input_type)
    if not layer.sums:
        return PoolPlan(layer=layer, stream=stream, windows=windows, pooled=code, tables=None)
    # every type has the code 0, so that the same bounds hold where windows have fewer pixels
    low, high = layer.input_type.min * windows.taps, layer.input_type.max * windows.taps
    place = {int(channel): k for k, channel in enumerate(layer.channels)}
    order = np.array([place[channel] for channel in stream.order])
    every = np.ones(len(order), np.int64)
    tables = plan_tables(select(layer.requantize, order), offset=0 * every, low=low * every, high=high * every)
    return PoolPlan(layer=layer, stream=stream, windows=windows, pooled=shape_of(low, high), tables=tables)
