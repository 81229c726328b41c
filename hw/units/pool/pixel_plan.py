"""A pool of a map that comes pixel by pixel, before it is hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.outlet import Outlet
from sterna.hw.units.convolution import WindowSizes
from sterna.hw.units.logic import Parts, bits, count_fifo, total
from sterna.hw.units.memories import outlet_memories
from sterna.hw.units.one_node import OneNode
from sterna.hw.units.pool.layer import PoolLayer
from sterna.hw.units.pool.pixel_component import PixelPoolUnit
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.hw.units.summing.timing import WindowClockwork
from sterna.hw.units.summing.windows import Windows


@dataclass(frozen=True, eq=False, kw_only=True)
class PixelPoolPlan(OneNode):
    """A pool of maxima, all channels of a pixel at once; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer : PoolLayer
    stream : StreamType
        Input.
    windows : Windows
    """

    layer: PoolLayer
    stream: StreamType
    windows: Windows

    lanes = 0

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        sizes = self.windows.sizes
        return StreamType(
            element=self.stream.element,
            shape=(self.layer.total, sizes.rows, sizes.columns),
            order=self.stream.order,
            elements=self.stream.elements,
            by_pixel=True,
        )

    @cached_property
    def work(self) -> Work:
        return Work(steps=self.windows.steps(1), beats=self.stream.beats, results=self.output.beats)

    @property
    def levels(self) -> int:
        """Levels of comparisons, a cycle each."""
        return (self.windows.sizes.taps - 1).bit_length()

    @property
    def outlet(self) -> Outlet:
        """Behind the comparisons; the window's registers come before them."""
        return Outlet(
            shape=self.stream.element,
            tables=None,
            elements=len(self.stream.order),
            beats=1,
            pipeline=1 + self.levels,
        )

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        fifo = outlet_memories(None, depth=self.outlet.depth, width=self.windows.pixel)
        return (*self.windows.memories, *fifo)

    @property
    def logic(self) -> Parts:
        pixel, taps = self.windows.pixel, self.windows.sizes.taps
        own = Parts(
            {
                "window bit": taps * pixel,
                "maximum bit": (taps - 1) * pixel,
                "counter bit": bits(self.windows.height) + bits(self.windows.width) + bits(self.outlet.depth),
            }
        )
        return total([own, count_fifo(depth=self.outlet.depth, width=pixel)])

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> WindowClockwork:
        (beats,) = inputs
        return WindowClockwork(beats=beats, windows=self.windows, period=1, outlet=self.outlet, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        return PixelPoolUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "pool",
            "pool": "max",
            "kernel": list(self.layer.kernel),
            "stride": list(self.layer.stride),
            "padding": list(self.layer.padding),
            "table_bits": 0,
            "fifo_depth": self.outlet.depth,
            "constant_channels": {},
            "unused_channels": sorted(set(range(self.layer.total)) - set(self.stream.order)),
        }


def plan_pixel_pool(layer: PoolLayer, *, stream: StreamType) -> PixelPoolPlan:
    """Plans a pool of maxima behind a stream that comes pixel by pixel; padding never wins."""
    sizes = WindowSizes(
        height=stream.shape[1],
        width=stream.shape[2],
        kernel=layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
    )
    windows = Windows(sizes=sizes, stream=stream, fill=layer.input_type.min)
    windows.check(layer.name)
    return PixelPoolPlan(layer=layer, stream=stream, windows=windows)
