"""When a convolution unit takes beats and gives results."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.index.emission import Delays, Emission
from sterna.hw.units.conv.pipeline import (
    ACCEPT_TO_ISSUE,
    ISSUE_TO_END,
    ISSUE_TO_RELEASE,
    LEVEL_TO_STALL,
    TAKE_TO_SUM,
)

if TYPE_CHECKING:
    from sterna.hw.units.conv.plan import ConvPlan


@dataclass(eq=False, kw_only=True)
class ConvClockwork:
    """Follows input rows into the ring and out of it, and one walk through the schedule for each output row."""

    plan: ConvPlan
    beats: Channel
    results: Channel
    loaded: Marks = field(default_factory=Marks)
    freed: Marks = field(default_factory=Marks)
    waited: bool = False
    emission: Emission = field(init=False)
    _loads: deque[int] = field(default_factory=deque)  # when rows that no output row has needed yet were complete
    _releases: deque[int] = field(init=False)  # when slots that no row has taken yet became free

    def __post_init__(self) -> None:
        self._releases = deque([0] * self.plan.slots)
        self.emission = Emission(
            schedule=self.plan.schedule,
            delays=Delays(
                issue_to_end=ISSUE_TO_END,
                take_to_push=TAKE_TO_SUM + self.plan.tables.latency,
                level_to_stall=LEVEL_TO_STALL,
            ),
            fifo_ahead=self.plan.fifo_ahead,
            results=self.results,
        )

    @property
    def marks(self) -> Sequence[Marks]:
        return (self.loaded, self.freed)

    def processes(self) -> Sequence[Process]:
        return [self._load(), self._compute()]

    def state(self) -> tuple[int, ...]:
        # a slot that was free before the last beat came holds nothing up any more
        return (*self.emission.state(), *(max(time, self.beats.last) for time in self._releases))

    def shift(self, cycles: int) -> None:
        self.emission.shift(cycles)
        self._releases = deque(time + cycles for time in self._releases)

    def _load(self) -> Process:
        """Takes a row's beats as soon as a slot is free."""
        stream = self.plan.stream
        beats = stream.beats // stream.shape[1]
        for row in itertools.count():
            yield self.freed, row - self.plan.slots + 1
            self.beats.ready(self._releases.popleft(), beats)
            yield self.beats, (row + 1) * beats
            self._loads.append(self.beats.last)
            self.loaded.mark(self.beats.last)

    def _compute(self) -> Process:
        """Computes an output row as soon as its input rows are there."""
        geometry = self.plan.layer.geometry
        for frame in itertools.count():
            there = 0
            used = frame * geometry.height
            for row in range(geometry.rows):
                needed = frame * geometry.height + geometry.loaded(row)
                yield self.loaded, needed
                for _ in range(needed - used):
                    there = self._loads.popleft() + ACCEPT_TO_ISSUE - 1
                used = max(used, needed)
                self.waited |= there > self.emission.last_issue
                yield from self.emission.walk(there)
                release = self.emission.last_issue + ISSUE_TO_RELEASE
                for _ in range(geometry.freed(row)):
                    self._releases.append(release)
                    self.freed.mark(release)
            yield self.results, (frame + 1) * self.plan.output.beats
