"""The index of the highest of scores that come all in one beat, as a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.parts.outlet import Outlet
from sterna.hw.units.argmax.tree import ArgmaxTree
from sterna.hw.units.logic import Parts, bits, count_fifo, total
from sterna.hw.units.memories import outlet_memories
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.hw.units.summing.timing import SumClockwork


@dataclass(frozen=True, eq=False, kw_only=True)
class ArgmaxTreePlan:
    """A tree of comparators behind scores that come all in one beat, by index.

    Attributes
    ----------
    scores : StreamType
    """

    scores: StreamType

    name = "argmax"
    nodes: tuple[str, ...] = ()
    lanes = 0

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.scores,)

    @property
    def count(self) -> int:
        """Scores of a frame."""
        return len(self.scores.order)

    @property
    def levels(self) -> int:
        """Levels of comparators, a cycle each; an index has as many bits."""
        return (self.count - 1).bit_length()

    @property
    def output(self) -> StreamType:
        return whole((1,), unsigned(self.levels))

    @property
    def outlet(self) -> Outlet:
        """Behind the tree."""
        return Outlet(shape=unsigned(self.levels), tables=None, elements=1, beats=1, pipeline=self.levels)

    @property
    def work(self) -> Work:
        return Work(steps=1, beats=1, results=1)

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        return outlet_memories(None, depth=self.outlet.depth, width=self.levels)

    @property
    def logic(self) -> Parts:
        own = Parts(
            {
                "maximum bit": (self.count - 1) * (self.scores.element.width + self.levels),
                "counter bit": bits(self.outlet.depth),
            }
        )
        return total([own, count_fifo(depth=self.outlet.depth, width=self.levels)])

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> SumClockwork:
        (scores,) = inputs
        return SumClockwork(beats=scores, count=1, period=1, outlet=self.outlet, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        if framed:
            raise ValueError("nothing comes before argmax that could drop a frame")
        return ArgmaxTree(self)

    def describe(self) -> dict[str, Any]:
        return {"kind": "argmax", "scores": self.count}
