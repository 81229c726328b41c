"""When a unit that computes all sums of a frame at once takes beats and gives results."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.parts.outlet import Outlet
from sterna.hw.units.departures import Departures

if TYPE_CHECKING:
    from sterna.hw.units.summing.windows import Windows


@dataclass(eq=False, kw_only=True)
class SumClockwork:
    """Takes a frame's last beat once the frame before is ``period`` cycles old, and its results have a place.

    The beats before it are held, and are taken as they come.
    """

    beats: Channel
    count: int
    period: int
    outlet: Outlet
    results: Channel
    waited: bool = True
    begun: int = -1
    departures: Departures = field(init=False)

    def __post_init__(self) -> None:
        self.begun = -self.period
        self.departures = Departures(outlet=self.outlet, results=self.results)

    @property
    def marks(self) -> Sequence[Marks]:
        return ()

    def processes(self) -> Sequence[Process]:
        return [self._run()]

    def state(self) -> tuple[int, ...]:
        return (self.begun, *self.departures.state(self.begun))

    def shift(self, cycles: int) -> None:
        self.begun += cycles
        self.departures.shift(cycles)

    def _run(self) -> Process:
        for frame in itertools.count():
            self.beats.ready(self.begun + 1, self.count - 1)
            self.beats.ready(max(self.begun + self.period, self.departures.place()))
            yield self.beats, (frame + 1) * self.count
            self.begun = self.beats.last
            yield from self.departures.leave(self.begun)


@dataclass(eq=False, kw_only=True)
class WindowClockwork:
    """Scans a map, a position a cycle: with the pixel that comes, or at once in the padding.

    A position that completes a window waits until the window before is ``period`` cycles old, and for a place.
    """

    beats: Channel
    windows: Windows
    period: int
    outlet: Outlet
    results: Channel
    marks: Sequence[Marks] = ()
    waited: bool = True
    moved: int = -1
    begun: int = -1
    departures: Departures = field(init=False)

    def __post_init__(self) -> None:
        self.begun = -self.period
        self.departures = Departures(outlet=self.outlet, results=self.results)

    def processes(self) -> Sequence[Process]:
        return [self._scan()]

    def state(self) -> tuple[int, ...]:
        return (self.moved, max(self.begun, self.moved - self.period), *self.departures.state(self.moved))

    def shift(self, cycles: int) -> None:
        self.moved += cycles
        self.begun += cycles
        self.departures.shift(cycles)

    def _scan(self) -> Process:
        taken = 0
        while True:
            for inside, gives in self.windows.scanned:
                free = self.moved + 1
                if gives:
                    free = max(free, self.begun + self.period, self.departures.place())
                if inside:
                    self.beats.ready(free)
                    taken += 1
                    yield self.beats, taken
                    self.waited = True
                    free = self.beats.last
                self.moved = free
                if gives:
                    self.begun = free
                    yield from self.departures.leave(free)
