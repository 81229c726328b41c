"""When a pooling unit takes beats and gives results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.units.departures import Departures

if TYPE_CHECKING:
    from sterna.hw.units.pool.plan import PoolPlan


@dataclass(eq=False, kw_only=True)
class PoolClockwork:
    """Every beat is taken at once, but one that completes results waits until so many have left that they fit."""

    plan: PoolPlan
    beats: Channel
    results: Channel
    marks: Sequence[Marks] = ()
    waited: bool = True
    departures: Departures = field(init=False)

    def __post_init__(self) -> None:
        self.departures = Departures(outlet=self.plan.outlet, results=self.results)

    def processes(self) -> Sequence[Process]:
        return [self._pool()]

    def state(self) -> tuple[int, ...]:
        return self.departures.state(self.beats.last)

    def shift(self, cycles: int) -> None:
        self.departures.shift(cycles)

    def _pool(self) -> Process:
        plan, windows = self.plan, self.plan.windows
        completes = [windows.completes(beat) for beat in range(windows.input_beats)]
        channels, rows = len(plan.stream.order), plan.stream.shape[1]
        taken = 0
        while True:
            for row in range(rows):
                gives = windows.gives(row)
                for _ in range(channels):
                    for complete in completes:
                        results = gives and complete
                        free = self.beats.last + 1
                        if results:
                            free = max(self.departures.place(), free)
                        self.beats.ready(free)
                        taken += 1
                        yield self.beats, taken
                        self.waited = True
                        if results:
                            yield from self.departures.leave(self.beats.last)
