"""When a dense unit takes beats and gives results."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.index.emission import Delays, Emission
from sterna.hw.units.dense.pipeline import (
    ACCEPT_TO_ISSUE,
    ISSUE_TO_END,
    ISSUE_TO_RELEASE,
    LEVEL_TO_STALL,
    TAKE_TO_SUM,
)

if TYPE_CHECKING:
    from sterna.hw.units.dense.plan import DensePlan

#: Frames that the input buffers hold.
BUFFERS = 2


@dataclass(eq=False, kw_only=True)
class DenseClockwork:
    """Follows the events that decide everything: when a frame's last beat is taken, when the steps that complete a row
    are issued, when sums are taken, pushed and popped, and when an input buffer is free again.
    """

    plan: DensePlan
    beats: Channel
    results: Channel
    accepted: Marks = field(default_factory=Marks)
    released: Marks = field(default_factory=Marks)
    waited: bool = False
    releases: deque[int] = field(default_factory=lambda: deque([0] * BUFFERS, maxlen=BUFFERS))
    emission: Emission = field(init=False)

    def __post_init__(self) -> None:
        latency = TAKE_TO_SUM + self.plan.tables.latency
        self.emission = Emission(
            schedule=self.plan.schedule,
            delays=Delays(issue_to_end=ISSUE_TO_END, take_to_push=latency, level_to_stall=LEVEL_TO_STALL),
            fifo_ahead=self.plan.fifo_ahead,
            results=self.results,
        )

    @property
    def marks(self) -> Sequence[Marks]:
        return (self.accepted, self.released)

    def processes(self) -> Sequence[Process]:
        return [self._load(), self._compute()]

    def state(self) -> tuple[int, ...]:
        return (*self.emission.state(), *self.releases)

    def shift(self, cycles: int) -> None:
        self.emission.shift(cycles)
        self.releases = deque((time + cycles for time in self.releases), maxlen=BUFFERS)

    def _load(self) -> Process:
        """Takes a frame's beats as soon as a buffer is free."""
        for frame in itertools.count():
            yield self.released, frame - BUFFERS + 1
            free = self.releases[frame - self.released.count]
            self.beats.ready(free, self.plan.beats)
            yield self.beats, (frame + 1) * self.plan.beats
            self.accepted.mark(self.beats.last)

    def _compute(self) -> Process:
        """Issues a frame's steps, and gives its results."""
        for frame in itertools.count():
            yield self.accepted, frame + 1
            # ACCEPT_TO_ISSUE is at least the one cycle that separates a frame's first step from the last one's
            there = self.accepted.last + ACCEPT_TO_ISSUE - 1
            self.waited |= there > self.emission.last_issue
            yield from self.emission.walk(there)
            release = self.emission.last_issue + ISSUE_TO_RELEASE
            self.releases.append(release)
            self.released.mark(release)
            yield self.results, (frame + 1) * self.plan.results
