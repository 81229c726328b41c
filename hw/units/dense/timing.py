"""When a dense unit takes beats and gives results."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.parts.fifo import FIFO_LATENCY
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
    are issued, when sums are taken, pushed and popped, and when an input buffer is free again. Steps run one a cycle
    but in the cycles in which the output FIFO holds more than ``fifo_ahead`` results.
    """

    plan: DensePlan
    beats: Channel
    results: Channel
    accepted: Marks = field(default_factory=Marks)
    released: Marks = field(default_factory=Marks)
    waited: bool = False
    last_issue: int = -1
    last_take: int = -1
    last_pop: int = -1
    releases: deque[int] = field(default_factory=lambda: deque([0] * BUFFERS, maxlen=BUFFERS))
    pops: deque[int] = field(default_factory=deque)
    blocked: deque[tuple[int, int]] = field(default_factory=deque)

    @property
    def marks(self) -> Sequence[Marks]:
        return (self.accepted, self.released)

    def processes(self) -> Sequence[Process]:
        return [self._load(), self._compute()]

    def state(self) -> tuple[int, ...]:
        while self.blocked and self.blocked[0][1] <= self.last_issue:
            self.blocked.popleft()
        stalls = itertools.chain.from_iterable(self.blocked)
        return (self.last_issue, self.last_take, self.last_pop, *self.releases, *self.pops, *stalls)

    def shift(self, cycles: int) -> None:
        self.last_issue += cycles
        self.last_take += cycles
        self.last_pop += cycles
        self.releases = deque((time + cycles for time in self.releases), maxlen=BUFFERS)
        self.pops = deque(time + cycles for time in self.pops)
        self.blocked = deque((begin + cycles, end + cycles) for begin, end in self.blocked)

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
        schedule = self.plan.schedule
        last_step = schedule.steps - 1
        ends = schedule.ends.tolist()
        causes = sorted((min(end, last_step), k) for k, end in enumerate(ends))
        for frame in itertools.count():
            yield self.accepted, frame + 1
            # ACCEPT_TO_ISSUE is at least the one cycle that separates a frame's first step from the last one's
            there = self.accepted.last + ACCEPT_TO_ISSUE - 1
            self.waited |= there > self.last_issue
            step, time = -1, max(there, self.last_issue)
            complete: dict[int, int] = {}
            taken = 0
            for cause, k in causes:
                time = self._advance(time, cause - step)
                step = cause
                complete[k] = time + ISSUE_TO_END + (ends[k] - cause)
                while taken in complete:
                    yield self.results, self.results.count + len(self.results.offers)
                    self._give(complete.pop(taken))
                    taken += 1
            self.last_issue = time
            self.releases.append(time + ISSUE_TO_RELEASE)
            self.released.mark(time + ISSUE_TO_RELEASE)
            yield self.results, (frame + 1) * self.plan.results

    def _advance(self, time: int, steps: int) -> int:
        """Cycle of the step that is ``steps`` after the one issued in ``time``."""
        while steps:
            while self.blocked and self.blocked[0][1] <= time:
                self.blocked.popleft()
            if not self.blocked or time + steps < self.blocked[0][0]:
                return time + steps
            begin, end = self.blocked[0]
            if time < begin:
                steps -= begin - 1 - time
            time = end
        return time

    def _give(self, complete: int) -> None:
        """Takes a sum, the result before it having left, and offers its result."""
        self.last_take = max(self.last_take, complete) + 1
        pushed = self.last_take + TAKE_TO_SUM + self.plan.tables.latency
        # the output register takes a result from the FIFO in the cycle in which it gives the one before away
        self.last_pop = max(pushed + 1, self.last_pop + 1, self.results.last)
        self.results.offer(self.last_pop + FIFO_LATENCY - 1)
        self.pops.append(self.last_pop)
        if len(self.pops) > self.plan.fifo_ahead:
            waited = self.pops.popleft()
            if waited > pushed:
                self.blocked.append((pushed + 1 + LEVEL_TO_STALL, waited + LEVEL_TO_STALL))
