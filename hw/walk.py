"""The walk that writes a schedule's words: all lanes in lockstep, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sterna.hw.columns import Window


@dataclass(frozen=True, kw_only=True)
class WordFormat:
    """Bits of one step's index word.

    Parameters
    ----------
    lanes : int
        Lanes that share the step.
    run_width : int
        Bits of a distance.
    extended : bool
        Whether the step has an extension field.
    """

    lanes: int
    run_width: int
    extended: bool

    @property
    def lane_width(self) -> int:
        """Bits of one lane: distance and sign."""
        return self.run_width + 1

    @property
    def extension_width(self) -> int:
        """Bits of the extension field: 0 means none, k the lane k - 1."""
        return self.lanes.bit_length() if self.extended else 0

    @property
    def width(self) -> int:
        """Bits of a step."""
        return self.lanes * self.lane_width + self.extension_width

    @property
    def filler(self) -> int:
        """Distance that a filler moves; the longest to a weight is one less."""
        return (1 << self.run_width) - 1

    @property
    def wait(self) -> int:
        """A lane's word that does nothing."""
        return self.filler << 1 | 1


class Walker:
    """One lane's walk over its rows: where it is and what it visits next."""

    def __init__(self, rows: Sequence[int], targets: Sequence[Sequence[tuple[int, int]]]) -> None:
        self.order = list(rows)
        self.rows = [targets[row] for row in rows]
        self.left = sum(len(row) for row in self.rows)
        self.row = 0
        self.element = 0
        self.position = self.rows[-1][-1][0]
        self.entered = False

    @property
    def ends_row(self) -> bool:
        """Whether the next weight belongs to the next row."""
        return self.element == len(self.rows[self.row])

    @property
    def done(self) -> bool:
        return self.ends_row and self.row == len(self.rows) - 1

    def bring_forward(self, row: int) -> None:
        """Makes a later row the next one."""
        self.rows.insert(self.row + 1, self.rows.pop(row))
        self.order.insert(self.row + 1, self.order.pop(row))

    def next_target(self) -> tuple[int, int]:
        """(position, negative) of the next weight."""
        return self.rows[self.row + 1][0] if self.ends_row else self.rows[self.row][self.element]


class Collector:
    """When sums are taken: one a step, in a fixed order, each after its end."""

    def __init__(self, rows: Sequence[int], held: Sequence[int]) -> None:
        rounds = max(rows)
        self.sequence = [(r, lane) for r in range(rounds) for lane, count in enumerate(rows) if r < count]
        self.index = {key: k for k, key in enumerate(self.sequence)}
        self.ends: list[int | None] = [None] * len(self.sequence)
        self.taken: list[int] = []
        self.held = held

    def end(self, row: int, lane: int, time: int) -> None:
        """Row ``row`` of ``lane`` is complete."""
        self.ends[self.index[row, lane]] = time
        while len(self.taken) < len(self.ends) and (end := self.ends[len(self.taken)]) is not None:
            self.taken.append(max((self.taken[-1] if self.taken else max(self.held)), end) + 1)

    def free(self, row: int, lane: int, time: int) -> bool:
        """Whether the sum before ``row`` of ``lane`` is taken by ``time``."""
        if row == 0:
            return self.held[lane] <= time
        k = self.index[row - 1, lane]
        return k < len(self.taken) and self.taken[k] <= time

    def still_held(self, steps: int) -> list[int]:
        """When, in the next frame's time, each lane's last sum is taken."""
        last = {lane: self.taken[k] for k, (_, lane) in enumerate(self.sequence)}
        return [last[lane] - steps for lane in range(len(last))]


class Walk:
    """Writes the words of all lanes, step by step; the extension goes to the lane that has most left to do.

    A lane that ends a row takes, of the next few of like length, the one that wants the extension when the others'
    rows do not. Its last row stays last: where it ends is where the next frame begins.
    """

    def __init__(
        self, fmt: WordFormat, window: Window, lanes: Sequence[Walker], held: Sequence[int], choices: int
    ) -> None:
        self.format = fmt
        self.window = window
        self.lanes = lanes
        self.collector = Collector([len(lane.rows) for lane in lanes], held)
        self.words: list[list[int]] = []
        self.extension: list[int] = []
        self.entry = 0
        self.choices = choices
        self.wanted = [set[int]() for _ in lanes]

    def run(self) -> None:
        while not all(lane.done for lane in self.lanes):
            self._step(len(self.words))
        while not all(self.collector.free(len(lane.rows) - 1, k, self.steps) for k, lane in enumerate(self.lanes)):
            self._append([self.format.wait] * len(self.lanes), 0)
        for k, lane in enumerate(self.lanes):
            self.collector.end(len(lane.rows) - 1, k, self.steps)

    @property
    def steps(self) -> int:
        return len(self.words)

    def _append(self, words: list[int], extension: int) -> None:
        self.words.append(words)
        self.extension.append(extension)

    def _step(self, time: int) -> None:
        fmt = self.format
        ready = all(lane.entered for lane in self.lanes)
        if not ready:
            self.entry = time + 1
        words = [fmt.wait] * len(self.lanes)
        gaps = [self._gap(lane) for lane in self.lanes]
        granted = self._grant(gaps) if fmt.extended else None
        for k, lane in enumerate(self.lanes):
            gap = gaps[k]
            if gap is None:
                continue
            bonus = 1 << fmt.run_width if k == granted else 0
            hit = bonus <= gap < bonus + fmt.filler
            move = gap if hit else bonus + fmt.filler
            crosses = lane.position + move >= self.window.size
            if crosses and lane.ends_row and not (ready and self.collector.free(lane.row, k, time)):
                if k == granted:
                    granted = None
                self.wanted[k] = {t + 1 for t in self.wanted[k]}
                continue
            expected = gap < fmt.filler or time in self.wanted[k]
            if not hit and expected:
                self.wanted[k] = {t + 1 for t in self.wanted[k]}
            words[k] = (move - bonus) << 1 | (lane.next_target()[1] if hit else 0)
            self._advance(k, move, time, hit=hit)
        self._append(words, 0 if granted is None else granted + 1)

    def _gap(self, lane: Walker) -> int | None:
        """Distance to the lane's next weight, None if it has none left."""
        if lane.done:
            return None
        target, _ = lane.next_target()
        wraps = lane.ends_row or target < lane.position
        return target - lane.position + (self.window.size - self.window.offset if wraps else 0)

    def _grant(self, gaps: Sequence[int | None]) -> int | None:
        """The lane whose distance grows: before others one that reaches its weight by it."""
        bonus = 1 << self.format.run_width
        best: tuple[bool, int, int] | None = None
        for k, gap in enumerate(gaps):
            if gap is None or gap < bonus:
                continue
            hit = gap < bonus + self.format.filler
            move = gap if hit else bonus + self.format.filler
            if move <= gap:
                best = max(best or (False, -1, 0), (hit, self.lanes[k].left, -k))
        return None if best is None else -best[2]

    def _advance(self, k: int, move: int, time: int, *, hit: bool) -> None:
        lane = self.lanes[k]
        lane.position += move
        if lane.position >= self.window.size:
            lane.position += self.window.offset - self.window.size
            if lane.ends_row:
                self.collector.end(lane.row, k, time)
                lane.row += 1
                lane.element = 0
        if hit:
            lane.entered = True
            lane.element += 1
            lane.left -= 1
            if lane.ends_row and not lane.done:
                self._choose(k, time + 1)

    def _choose(self, k: int, time: int) -> None:
        """Picks lane k's next row: the fewest fillers, counting steps whose extension another lane wants."""
        lane = self.lanes[k]
        others = set[int]().union(*(wanted for j, wanted in enumerate(self.wanted) if j != k))
        candidates = range(lane.row + 1, max(min(lane.row + 1 + self.choices, len(lane.rows) - 1), lane.row + 2))
        plans = [(self._demand(lane, lane.rows[row], time, others), row) for row in candidates]
        (_, wanted), row = min(plans, key=lambda plan: (plan[0][0], plan[1]))
        lane.bring_forward(row)
        self.wanted[k] = wanted

    def _demand(
        self, lane: Walker, row: Sequence[tuple[int, int]], time: int, others: set[int]
    ) -> tuple[int, set[int]]:
        """Fillers that a row would take from ``time`` on, and the steps in which it would be extended."""
        bonus = 1 << self.format.run_width
        position = lane.position - (self.window.size - self.window.offset)
        fillers, wanted = 0, set()
        for target, _ in row:
            gap = target - position
            while gap >= self.format.filler:
                if self.format.extended and bonus <= gap < bonus + self.format.filler and time not in others:
                    wanted.add(time)
                    break
                gap -= self.format.filler
                fillers += 1
                time += 1
            position = target
            time += 1
        return fillers, wanted
