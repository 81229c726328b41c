"""When the steps of a schedule are issued, and when results come out of the FIFO behind them."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from sterna.hw.graph.events import Channel, Process
from sterna.hw.index.schedule import Schedule
from sterna.hw.parts.fifo import FIFO_LATENCY


@dataclass(frozen=True, kw_only=True)
class Delays:
    """Cycles between a unit's events; its components declare them.

    Attributes
    ----------
    issue_to_end : int
        From the issue of the step at whose time a row ends to the cycle before its sum can be taken.
    take_to_push : int
        From a sum's taking to its result's arrival at the FIFO.
    level_to_stall : int
        From the FIFO's level to the stop of issue.
    """

    issue_to_end: int
    take_to_push: int
    level_to_stall: int


@dataclass(eq=False, kw_only=True)
class Emission:
    """One walk through a schedule after the other. Steps run one a cycle but in the cycles in which the output FIFO
    holds more than ``fifo_ahead`` results; sums are taken in turn.

    Attributes
    ----------
    last_issue : int
        When the last step was issued.
    """

    schedule: Schedule
    delays: Delays
    fifo_ahead: int
    results: Channel
    last_issue: int = -1
    _last_take: int = -1
    _last_pop: int = -1
    _pops: deque[int] = field(default_factory=deque)
    _blocked: deque[tuple[int, int]] = field(default_factory=deque)
    _causes: list[tuple[int, int]] = field(init=False)
    _ends: list[int] = field(init=False)

    def __post_init__(self) -> None:
        last_step = self.schedule.steps - 1
        self._ends = self.schedule.ends.tolist()
        self._causes = sorted((min(end, last_step), k) for k, end in enumerate(self._ends))

    def state(self) -> tuple[int, ...]:
        """All times that later walks may depend on."""
        while self._blocked and self._blocked[0][1] <= self.last_issue:
            self._blocked.popleft()
        stalls = itertools.chain.from_iterable(self._blocked)
        return (self.last_issue, self._last_take, self._last_pop, *self._pops, *stalls)

    def shift(self, cycles: int) -> None:
        """Moves all of them."""
        self.last_issue += cycles
        self._last_take += cycles
        self._last_pop += cycles
        self._pops = deque(time + cycles for time in self._pops)
        self._blocked = deque((begin + cycles, end + cycles) for begin, end in self._blocked)

    def walk(self, there: int) -> Process:
        """Issues all steps, in the cycles behind ``there`` and behind the last one, and offers the results."""
        step, time = -1, max(there, self.last_issue)
        complete: dict[int, int] = {}
        taken = 0
        for cause, k in self._causes:
            time = self._advance(time, cause - step)
            step = cause
            complete[k] = time + self.delays.issue_to_end + (self._ends[k] - cause)
            while taken in complete:
                end = complete.pop(taken)
                for _ in range(self.schedule.hold):
                    yield self.results, self.results.count + len(self.results.offers)
                    self._give(end)
                taken += 1
        self.last_issue = time

    def _advance(self, time: int, steps: int) -> int:
        """Cycle of the step that is ``steps`` after the one issued in ``time``."""
        while steps:
            while self._blocked and self._blocked[0][1] <= time:
                self._blocked.popleft()
            if not self._blocked or time + steps < self._blocked[0][0]:
                return time + steps
            begin, end = self._blocked[0]
            if time < begin:
                steps -= begin - 1 - time
            time = end
        return time

    def _give(self, complete: int) -> None:
        """Takes a sum, or a part of it, the result before having left, and offers its result."""
        self._last_take = max(self._last_take, complete) + 1
        pushed = self._last_take + self.delays.take_to_push
        # the output register takes a result from the FIFO in the cycle in which it gives the one before away
        self._last_pop = max(pushed + 1, self._last_pop + 1, self.results.last)
        self.results.offer(self._last_pop + FIFO_LATENCY - 1)
        self._pops.append(self._last_pop)
        if len(self._pops) > self.fifo_ahead:
            waited = self._pops.popleft()
            if waited > pushed:
                self._blocked.append((pushed + 1 + self.delays.level_to_stall, waited + self.delays.level_to_stall))
