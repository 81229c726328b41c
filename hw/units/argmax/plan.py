"""The index of the highest score, as a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import wiring

from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.units.argmax.component import Argmax
from sterna.hw.units.argmax.timing import ArgmaxClockwork
from sterna.hw.units.logic import Parts, bits
from sterna.hw.units.protocol import MemoryUse, Work


@dataclass(frozen=True, eq=False, kw_only=True)
class ArgmaxPlan:
    """One comparator behind the scores, which come one a beat, by index.

    Attributes
    ----------
    scores : StreamType
    """

    scores: StreamType

    name = "argmax"
    nodes: tuple[str, ...] = ()
    lanes = 0
    memories: tuple[MemoryUse, ...] = ()

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.scores,)

    @property
    def output(self) -> StreamType:
        return whole((1,), unsigned(max((self.scores.beats - 1).bit_length(), 1)))

    @property
    def work(self) -> Work:
        return Work(steps=0, beats=self.scores.beats, results=1)

    @property
    def logic(self) -> Parts:
        return Parts({"argmax": 1, "argmax bit": self.scores.element.width, "counter bit": bits(self.scores.beats)})

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> ArgmaxClockwork:
        (scores,) = inputs
        return ArgmaxClockwork(scores=scores, indices=output, count=self.scores.beats)

    def component(self, *, framed: bool) -> wiring.Component:
        if framed:
            raise ValueError("nothing comes before argmax that could drop a frame")
        return Argmax(count=self.scores.beats, shape=self.scores.element)

    def describe(self) -> dict[str, Any]:
        return {"kind": "argmax", "scores": self.scores.beats}
