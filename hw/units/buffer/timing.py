"""When a buffer takes beats and gives them."""

from __future__ import annotations

import bisect
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.parts.fifo import FIFO_LATENCY

if TYPE_CHECKING:
    from sterna.hw.units.buffer.plan import BufferPlan


@dataclass(eq=False, kw_only=True)
class BufferClockwork:
    """A beat is taken while the memory has room, and moves to the output once the one before has left.

    Attributes
    ----------
    pushes, moves, lefts : list of int
        When every beat came, when it went to the output, and when it left; kept where the memory has no end.
    """

    plan: BufferPlan
    beats: Channel
    results: Channel
    pushed: Marks = field(default_factory=Marks)
    moved: Marks = field(default_factory=Marks)
    waited: bool = True
    pushes: list[int] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)
    lefts: list[int] = field(default_factory=list)
    _held: deque[int] = field(default_factory=deque)  # when beats came that have not moved
    _room: deque[int] = field(init=False)  # when places became free that no beat has taken
    _last_move: int = -1

    def __post_init__(self) -> None:
        self._room = deque([-1] * (self.plan.depth or 0))

    @property
    def marks(self) -> Sequence[Marks]:
        return (self.pushed, self.moved)

    def processes(self) -> Sequence[Process]:
        return [self._take(), self._give()]

    def state(self) -> tuple[int, ...]:
        # a place that was free before the last beat came holds nothing up any more
        return (self._last_move, *(max(time, self.beats.last) for time in self._room))

    def shift(self, cycles: int) -> None:
        self._last_move += cycles
        self._room = deque(time + cycles for time in self._room)

    @property
    def needed(self) -> int:
        """Words that the memory must have so that no beat so far had to wait for room; 0: none waited at all."""
        if all(left == push + FIFO_LATENCY for push, left in zip(self.pushes, self.lefts, strict=True)):
            return 0
        return max(k + 1 - bisect.bisect_left(self.moves, push) for k, push in enumerate(self.pushes))

    def _take(self) -> Process:
        depth = self.plan.depth
        for beat in itertools.count():
            free = self.beats.last + 1
            if depth is not None:
                yield self.moved, beat - depth + 1
                free = max(free, self._room.popleft() + 1)
            self.beats.ready(free)
            yield self.beats, beat + 1
            self._held.append(self.beats.last)
            self.pushed.mark(self.beats.last)

    def _give(self) -> Process:
        given = 0
        for beat in itertools.count():
            yield self.pushed, beat + 1
            push = self._held.popleft()
            self._last_move = max(push + 1, self._last_move + 1, self.results.last)
            if self.plan.depth is None:
                self.pushes.append(push)
                self.moves.append(self._last_move)
            else:
                self._room.append(self._last_move)
            self.moved.mark(self._last_move)
            parts = self.plan.parts(beat)
            for _ in range(parts):
                self.results.offer(self._last_move + FIFO_LATENCY - 1)
            given += parts
            yield self.results, given
            if self.plan.depth is None:
                self.lefts.append(self.results.last)
