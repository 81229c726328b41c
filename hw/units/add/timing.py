"""When an addition unit takes beats and gives results."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.parts.outlet import Outlet
from sterna.hw.units.departures import Departures


@dataclass(eq=False, kw_only=True)
class AddClockwork:
    """Takes a beat of every input in one cycle: as soon as all are there, and a place for the results."""

    inputs: Sequence[Channel]
    outlet: Outlet
    results: Channel
    waited: bool = True
    departures: Departures = field(init=False)

    def __post_init__(self) -> None:
        self.departures = Departures(outlet=self.outlet, results=self.results)

    @property
    def marks(self) -> Sequence[Marks]:
        return ()

    def processes(self) -> Sequence[Process]:
        return [self._add()]

    def state(self) -> tuple[int, ...]:
        return self.departures.state(self.inputs[0].last)

    def shift(self, cycles: int) -> None:
        self.departures.shift(cycles)

    def _add(self) -> Process:
        for beat in itertools.count():
            for channel in self.inputs:
                yield channel.offered, beat + 1
            time = max(self.departures.place(), *(channel.there for channel in self.inputs))
            for channel in self.inputs:
                channel.ready(time)
            yield from self.departures.leave(time)
