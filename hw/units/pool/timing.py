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
    """A slot a cycle: with the first beat that comes, or at once; but one that completes results waits for a place."""

    plan: PoolPlan
    beats: Channel
    results: Channel
    marks: Sequence[Marks] = ()
    waited: bool = True
    departures: Departures = field(init=False)
    _last: int = -1  # when the last slot was

    def __post_init__(self) -> None:
        self.departures = Departures(outlet=self.plan.outlet, results=self.results)

    def processes(self) -> Sequence[Process]:
        return [self._pool()]

    def state(self) -> tuple[int, ...]:
        return (self._last, *self.departures.state(self._last))

    def shift(self, cycles: int) -> None:
        self._last += cycles
        self.departures.shift(cycles)

    def _pool(self) -> Process:
        across, down = self.plan.windows.across, self.plan.windows.down
        completes = [across.completes(slot) for slot in range(across.slots)]
        channels = len(self.plan.stream.order)
        taken = 0
        while True:
            for row in range(down.slots):
                gives = down.completes(row)
                for _ in range(channels):
                    for slot, complete in enumerate(completes):
                        results = gives and complete
                        free = self._last + 1
                        if results:
                            free = max(self.departures.place(), free)
                        if row < down.inputs and slot < across.inputs:
                            self.beats.ready(free)
                            taken += 1
                            yield self.beats, taken
                            self.waited = True
                            free = self.beats.last
                        self._last = free
                        if results:
                            yield from self.departures.leave(self._last)
