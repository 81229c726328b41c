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
from sterna.hw.parts.fifo import FIFO_LATENCY
from sterna.hw.parts.tables import Tables, code_shape, plan_tables, shape_of
from sterna.hw.units.logic import Parts, table_memories
from sterna.hw.units.pool.component import PIPELINE, PoolUnit
from sterna.hw.units.pool.geometry import Windows
from sterna.hw.units.pool.layer import PoolLayer
from sterna.hw.units.pool.logic import count_pool
from sterna.hw.units.pool.timing import PoolClockwork
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class PoolPlan:
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
    def name(self) -> str:
        return self.layer.name

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.layer.name,)

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        return StreamType(
            element=self.pooled if self.tables is None else self.tables.output_shape,
            shape=(self.layer.total, self.windows.rows, self.windows.columns),
            order=self.stream.order,
            elements=self.windows.elements,
        )

    @property
    def work(self) -> Work:
        return Work(steps=self.stream.beats, beats=self.stream.beats, results=self.output.beats)

    @property
    def latency(self) -> int:
        """Cycles from an input beat that completes results to their arrival at the FIFO."""
        return PIPELINE + (0 if self.tables is None else self.tables.latency)

    @property
    def fifo_depth(self) -> int:
        """Beats that the output FIFO holds, a power of two: as many as may be on their way at full rate."""
        return 1 << (self.latency + FIFO_LATENCY + 2 - 1).bit_length()

    @property
    def words(self) -> int:
        """Words of the memory for rows that are not complete."""
        return len(self.stream.order) * self.windows.beats if self.layer.kernel[0] > 1 else 0

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        windows = self.windows
        rows = MemoryUse(name="rows", depth=self.words, width=windows.elements * self.pooled.width, writable=True)
        tables = [] if self.tables is None else table_memories(self.tables, width=windows.elements)
        width = windows.elements * self.output.element.width
        fifo = MemoryUse(name="fifo", depth=self.fifo_depth, width=width, writable=True)
        return (*([rows] if self.words else []), *tables, fifo)

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
    windows = Windows(stream=stream, kernel=layer.kernel, stride=layer.stride)
    if not windows.fit:
        raise InvalidValueError(
            f"layer '{layer.name}' pools with a horizontal stride of {layer.stride[1]}, and its input comes "
            f"{stream.elements} pixels a beat: one has to divide the other; give elements_per_beat=1"
        )
    code = code_shape(layer.input_type)
    if not layer.sums:
        return PoolPlan(layer=layer, stream=stream, windows=windows, pooled=code, tables=None)
    size = layer.kernel[0] * layer.kernel[1]
    low, high = layer.input_type.min * size, layer.input_type.max * size
    place = {int(channel): k for k, channel in enumerate(layer.channels)}
    order = np.array([place[channel] for channel in stream.order])
    every = np.ones(len(order), np.int64)
    tables = plan_tables(select(layer.requantize, order), offset=0 * every, low=low * every, high=high * every)
    return PoolPlan(layer=layer, stream=stream, windows=windows, pooled=shape_of(low, high), tables=tables)
