"""When a pooling unit takes beats and gives results."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.parts.fifo import FIFO_LATENCY

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
    _last_pop: int = -1
    _left: deque[int] = field(default_factory=deque)  # when results left whose room nothing has taken yet

    def __post_init__(self) -> None:
        self._left.extend([-1] * self.plan.fifo_depth)

    def processes(self) -> Sequence[Process]:
        return [self._pool()]

    def state(self) -> tuple[int, ...]:
        # what left before the last beat came holds nothing up any more
        return (self._last_pop, *(max(time, self.beats.last) for time in self._left))

    def shift(self, cycles: int) -> None:
        self._last_pop += cycles
        self._left = deque(time + cycles for time in self._left)

    def _pool(self) -> Process:
        plan, windows = self.plan, self.plan.windows
        completes = [windows.completes(beat) for beat in range(windows.input_beats)]
        channels, rows = len(plan.stream.order), plan.stream.shape[1]
        taken = given = 0
        while True:
            for row in range(rows):
                gives = windows.gives(row)
                for _ in range(channels):
                    for complete in completes:
                        results = gives and complete
                        free = self.beats.last + 1
                        if results:
                            free = max(self._left.popleft() + 1, free)
                        self.beats.ready(free)
                        taken += 1
                        yield self.beats, taken
                        self.waited = True
                        if results:
                            self._give(self.beats.last + plan.latency)
                            given += 1
                            yield self.results, given
                            self._left.append(self.results.last)

    def _give(self, pushed: int) -> None:
        """Offers a result that arrives at the FIFO."""
        self._last_pop = max(pushed + 1, self._last_pop + 1, self.results.last)
        self.results.offer(self._last_pop + FIFO_LATENCY - 1)
