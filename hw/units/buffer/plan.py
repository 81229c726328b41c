"""A buffer before it is hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.units.buffer.component import BufferUnit
from sterna.hw.units.buffer.timing import BufferClockwork
from sterna.hw.units.logic import Parts, bits, count_fifo, total
from sterna.hw.units.protocol import MemoryUse, Work


@dataclass(frozen=True, eq=False, kw_only=True)
class BufferPlan:
    """A buffer, which may make beats narrower; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    name : str
    stream : StreamType
        Input.
    elements : int
        In a beat of the output; divides those of the input.
    depth : int or None
        Beats of the input that its memory holds, a power of two above 1; None while it is found out how many it needs.
    """

    name: str
    stream: StreamType
    elements: int
    depth: int | None

    lanes = 0
    nodes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        return replace(self.stream, elements=self.elements)

    @property
    def work(self) -> Work:
        return Work(steps=self.stream.beats, beats=self.stream.beats, results=self.output.beats)

    @cached_property
    def whole_parts(self) -> int:
        """Output beats of an input beat that is full."""
        return self.stream.elements // self.elements

    @cached_property
    def run_beats(self) -> int:
        """Input beats of a run of neighbors."""
        return -(-self.stream.run // self.stream.elements)

    @cached_property
    def last_parts(self) -> int:
        """Output beats of a run's last input beat, which may be full in part only."""
        return -(-self.stream.run // self.elements) - (self.run_beats - 1) * self.whole_parts

    def parts(self, beat: int) -> int:
        """Output beats of an input beat, by its number."""
        return self.last_parts if beat % self.run_beats == self.run_beats - 1 else self.whole_parts

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        width = self.stream.elements * self.stream.element.width
        return (MemoryUse(name="fifo", depth=self.depth or 0, width=width, writable=True),)

    @property
    def logic(self) -> Parts:
        counters = Parts({"counter bit": bits(self.whole_parts) + bits(self.run_beats)})
        fifo = count_fifo(depth=self.depth or 0, width=self.stream.elements * self.stream.element.width)
        return fifo if self.whole_parts == 1 else total([counters, fifo])

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> BufferClockwork:
        (beats,) = inputs
        return BufferClockwork(plan=self, beats=beats, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        if framed or self.depth is None:
            raise RuntimeError("a buffer has no frames, and a depth before it is hardware")
        return BufferUnit(self)

    def describe(self) -> dict[str, Any]:
        return {"kind": "buffer", "fifo_depth": self.depth, "table_bits": 0}
