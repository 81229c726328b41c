"""The lanes' walk as hw/index/schedule.py describes it, step by step and lane by lane: slow, and plain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sterna.hw.index.columns import Window
from sterna.hw.index.walk import WordFormat

Row = list[tuple[int, int]]


def plain_targets(weights: np.ndarray, window: Window) -> list[Row]:
    """(position, negative) of each row's nonzeros; an empty row visits the vacant position."""
    positions = window.positions()
    rows = [sorted((int(positions[c]), int(row[c] < 0)) for c in np.flatnonzero(row)) for row in weights]
    return [row or [(window.vacant, 0)] for row in rows]


@dataclass(frozen=True)
class Move:
    """By how much a lane moves, the sign of what it finds, whether it finds a weight, and whether it escapes."""

    distance: int
    negative: int
    hits: bool
    escapes: bool


class PlainLane:
    """One lane: its rows, the row and element that it visited last, and the times at which it wants to escape."""

    def __init__(self, order: Sequence[int], targets: Sequence[Row]) -> None:
        self.order = list(order)
        self.rows = [targets[row] for row in order]
        self.left = sum(map(len, self.rows))
        self.row = self.element = 0
        self.position = self.rows[-1][-1][0]
        self.entered = False
        self.wanted: set[int] = set()

    @property
    def ends_row(self) -> bool:
        return self.element == len(self.rows[self.row])

    @property
    def done(self) -> bool:
        return self.ends_row and self.row == len(self.rows) - 1


class PlainWalk:
    """All lanes in lockstep. ``words`` is a list of steps."""

    def __init__(
        self,
        fmt: WordFormat,
        window: Window,
        rows: Sequence[Sequence[int]],
        targets: Sequence[Row],
        *,
        held: Sequence[int],
        choices: int,
        hold: int = 1,
    ) -> None:
        self.fmt, self.window, self.held, self.choices, self.hold = fmt, window, held, choices, hold
        self.lanes = [PlainLane(lane, targets) for lane in rows]
        self.words: list[list[int]] = []
        self.escapes: list[list[int]] = [[] for _ in range(fmt.groups)]
        self.entry = 0
        self.sequence = [(r, k) for r in range(len(rows[0])) for k, lane in enumerate(rows) if r < len(lane)]
        self.ends: dict[tuple[int, int], int] = {}
        self.taken: dict[tuple[int, int], int] = {}

    def run(self) -> None:
        while not all(lane.done for lane in self.lanes):
            self._step(len(self.words))
        while not all(self._free(lane, k, len(self.words)) for k, lane in enumerate(self.lanes)):
            self.words.append([self.fmt.wait] * len(self.lanes))
        for k, lane in enumerate(self.lanes):
            self._end(lane, k, len(self.words))

    def _end(self, lane: PlainLane, k: int, time: int) -> None:
        """A row is complete; sums are taken in their sequence, each in ``hold`` steps."""
        self.ends[lane.row, k] = time
        for i, key in enumerate(self.sequence):
            if key not in self.ends:
                break
            if key not in self.taken:
                before = self.taken[self.sequence[i - 1]] if i else max(self.held)
                self.taken[key] = max(before, self.ends[key]) + self.hold

    def _free(self, lane: PlainLane, k: int, time: int) -> bool:
        """Whether a lane's sum before is taken."""
        if lane.row == 0:
            return self.held[k] <= time
        return self.taken.get((lane.row - 1, k), time + 1) <= time

    def _step(self, time: int) -> None:
        ready = all(lane.entered for lane in self.lanes)
        if not ready:
            self.entry = time + 1
        moves = {k: move for k, lane in enumerate(self.lanes) if (move := self._wish(lane, k, time, ready))}
        escaping: dict[int, int] = {}  # of each group, the lane with most left
        for k, move in moves.items():
            other = escaping.get(self.fmt.group(k))
            if move.escapes and (other is None or self.lanes[k].left > self.lanes[other].left):
                escaping[self.fmt.group(k)] = k
        words = [self.fmt.wait] * len(self.lanes)
        for k, lane in enumerate(self.lanes):
            if k in moves and (not moves[k].escapes or escaping[self.fmt.group(k)] == k):
                words[k] = self._word(k, moves[k])
                self._advance(lane, k, moves[k], time)
            else:
                lane.wanted = {t + 1 for t in lane.wanted}
        self.words.append(words)

    def _wish(self, lane: PlainLane, k: int, time: int, ready: bool) -> Move | None:
        if lane.done:
            return None
        target, negative = lane.rows[lane.row + 1][0] if lane.ends_row else lane.rows[lane.row][lane.element]
        around = self.window.size - self.window.offset if lane.ends_row or target <= lane.position else 0
        move = self._move(lane.position, target - lane.position + around, negative)
        crosses = lane.position + move.distance >= self.window.size
        if crosses and lane.ends_row and not (ready and self._free(lane, k, time)):
            return None
        return move

    def _move(self, position: int, gap: int, negative: int) -> Move:
        """To the weight if a word and an escape can say so, and a carry leaves no more than it may; or a filler."""
        distance = gap - (not negative)
        if distance < self.fmt.bound(negative) and position + gap - self.window.size < 2 << self.fmt.run_width:
            return Move(gap, negative, True, bool(self.fmt.escape_width) and distance >= self.fmt.direct)
        return Move(self.fmt.filler_move, 0, False, bool(self.fmt.escape_width))

    def _word(self, k: int, move: Move) -> int:
        fmt = self.fmt
        distance = move.distance - (not move.negative)
        if move.escapes:
            self.escapes[fmt.group(k)].append(fmt.escape(distance >> fmt.low_width) if move.hits else fmt.filler)
        if not move.hits:
            return fmt.filler_word
        if move.escapes:
            distance = distance % (1 << fmt.low_width) + fmt.direct
        return distance << 1 | move.negative

    def _advance(self, lane: PlainLane, k: int, move: Move, time: int) -> None:
        lane.position += move.distance
        if lane.position >= self.window.size:
            lane.position += self.window.offset - self.window.size
            if lane.ends_row:
                self._end(lane, k, time)
                lane.row += 1
                lane.element = 0
        if move.hits:
            lane.entered = True
            lane.element += 1
            lane.left -= 1
            if lane.ends_row and not lane.done:
                self._choose(lane, k, time + 1)

    def _choose(self, lane: PlainLane, k: int, time: int) -> None:
        """The next row: the one that loses the fewest steps, as far as the others' wishes are known."""
        others = set[int]()
        for j, other in enumerate(self.lanes):
            if j != k and self.fmt.group(j) == self.fmt.group(k):
                others |= other.wanted
        following = lane.row + 1
        candidates = range(following, max(min(following + self.choices, len(lane.rows) - 1), following + 1))
        plans = [(*self._plan(lane.position, lane.rows[row], time, others), row) for row in candidates]
        _, wanted, row = min(plans, key=lambda plan: (plan[0], plan[2]))
        lane.rows.insert(following, lane.rows.pop(row))
        lane.order.insert(following, lane.order.pop(row))
        lane.wanted = wanted

    def _plan(self, position: int, row: Row, time: int, others: set[int]) -> tuple[int, set[int]]:
        """Steps that a row would lose from ``time`` on, and those in which it would escape."""
        lost, wanted = 0, set()
        for move in self._way(position, row):
            while move.escapes and time in others:
                lost += 1
                time += 1
            if move.escapes:
                wanted.add(time)
            lost += not move.hits
            time += 1
        return lost, wanted

    def _way(self, position: int, row: Row) -> Iterator[Move]:
        gap = self.window.size - self.window.offset
        for target, negative in row:
            gap += target - position
            while True:
                move = self._move(position, gap, negative)
                yield move
                gap -= move.distance
                position += move.distance
                if position >= self.window.size:
                    position += self.window.offset - self.window.size
                if move.hits:
                    break
