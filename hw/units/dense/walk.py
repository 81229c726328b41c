"""The walk that writes a schedule's words and its escapes: all lanes in lockstep, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sterna.hw.units.dense.columns import Window, carry_width

#: Leading ones of a distance that make it an escape: with an entry's bit, one table of four inputs merges them.
MARK_WIDTH = 3


@dataclass(frozen=True, kw_only=True)
class WordFormat:
    """Bits of one step's index word, and of the escapes.

    Parameters
    ----------
    lanes : int
        Lanes that share the step.
    run_width : int
        Bits of a distance.
    escape_width : int
        Bits of an escape, 2 or more; 0 if there are none: every distance stands for itself, and the word of only
        ones is a filler.
    groups : int
        Groups of neighbouring lanes, each with its own escapes. A lane of each may escape in a step.
    """

    lanes: int
    run_width: int
    escape_width: int = 0
    groups: int = 1

    @property
    def lane_width(self) -> int:
        """Bits of one lane: distance and sign."""
        return self.run_width + 1

    @property
    def width(self) -> int:
        """Bits of a step."""
        return self.lanes * self.lane_width

    @property
    def memories(self) -> int:
        """Streams of escapes."""
        return self.groups if self.escape_width else 0

    @cached_property
    def mark_width(self) -> int:
        """Leading bits of a distance whose ones say that an escape replaces them."""
        return min(MARK_WIDTH, self.run_width) if self.escape_width else 0

    @cached_property
    def low_width(self) -> int:
        """Bits of a distance that an escape leaves."""
        return self.run_width - self.mark_width

    @cached_property
    def mark(self) -> int:
        """The leading bits of a distance that escapes; an escape stands for this, or for more."""
        return (1 << self.mark_width) - 1

    @property
    def high_width(self) -> int:
        """Bits of what an escape stands for, up to ``mark - 2 + 2**escape_width``."""
        return (self.mark - 2 + (1 << self.escape_width)).bit_length() if self.escape_width else 0

    @cached_property
    def filler(self) -> int:
        """The escape that adds nothing and moves as if it stood for ``mark - 1``."""
        return self.escape(self.mark - 1)

    @cached_property
    def direct(self) -> int:
        """Distances below stand for themselves."""
        return self.mark << self.low_width if self.escape_width else 1 << self.run_width

    @cached_property
    def limit(self) -> int:
        """Distances below can be said, with an escape or without."""
        return self.mark - 1 + (1 << self.escape_width) << self.low_width if self.escape_width else self.direct

    @cached_property
    def filler_move(self) -> int:
        """By how much a filler moves; less than by any distance that cannot be said, so that no gap is used up."""
        return self.direct if self.escape_width else self.direct - 1

    def says(self, distance: int, negative: int) -> bool:
        """Whether there is a word for a weight at a distance; without escapes, the furthest +1's is the filler."""
        return distance < self.limit - (not self.escape_width and not negative)

    def escape(self, high: int) -> int:
        """The escape that stands for some leading bits, by its own lowest ones."""
        return high % (1 << self.escape_width)

    @property
    def wait(self) -> int:
        """A lane's word that does nothing: a weight of -1 at no distance."""
        return 1

    @property
    def filler_word(self) -> int:
        """A filler; where there are escapes, with an escape that says so."""
        return (1 << self.lane_width) - 2

    def group(self, lane: int) -> int:
        """The group that a lane belongs to."""
        return lane * self.groups // self.lanes


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


@dataclass(frozen=True)
class Move:
    """What a lane does in a step.

    Attributes
    ----------
    distance : int
        By how much its position grows.
    negative : int
        Whether the weight found there is -1.
    hits : bool
        Whether a weight is found there.
    escapes : bool
        Whether an escape is taken.
    """

    distance: int
    negative: int
    hits: bool
    escapes: bool


class Walk:
    """Writes the words of all lanes, step by step; of a group's lanes, the one with most left to do escapes first.

    A lane that ends a row takes, of the next few of like length, the one that escapes when the others of its group do
    not. Its last row stays last: where it ends is where the next frame begins.
    """

    def __init__(
        self, fmt: WordFormat, window: Window, lanes: Sequence[Walker], held: Sequence[int], choices: int
    ) -> None:
        self.format = fmt
        self.window = window
        self.lanes = lanes
        self.collector = Collector([len(lane.rows) for lane in lanes], held)
        self.words: list[list[int]] = []
        self.escapes: list[list[int]] = [[] for _ in range(fmt.groups)]
        self.entry = 0
        self.choices = choices
        self.wanted = [set[int]() for _ in lanes]

    def run(self) -> None:
        while not all(lane.done for lane in self.lanes):
            self._step(len(self.words))
        while not all(self.collector.free(len(lane.rows) - 1, k, self.steps) for k, lane in enumerate(self.lanes)):
            self.words.append([self.format.wait] * len(self.lanes))
        for k, lane in enumerate(self.lanes):
            self.collector.end(len(lane.rows) - 1, k, self.steps)

    @property
    def steps(self) -> int:
        return len(self.words)

    def _step(self, time: int) -> None:
        ready = all(lane.entered for lane in self.lanes)
        if not ready:
            self.entry = time + 1
        moves = {k: move for k, lane in enumerate(self.lanes) if (move := self._wish(k, lane, time, ready)) is not None}
        escaping = self._escaping(moves)
        words = [self.format.wait] * len(self.lanes)
        for k, lane in enumerate(self.lanes):
            move = moves.get(k)
            if move is None or (move.escapes and k not in escaping):
                self.wanted[k] = {t + 1 for t in self.wanted[k]}
                continue
            words[k] = self._write(k, move)
            self._advance(k, lane, move, time)
        self.words.append(words)

    def _wish(self, k: int, lane: Walker, time: int, ready: bool) -> Move | None:
        """What a lane would do next, None if there is nothing that it may."""
        if lane.done:
            return None
        target, negative = lane.next_target()
        around = self.window.size - self.window.offset if lane.ends_row or target <= lane.position else 0
        move = self._move(lane.position, target - lane.position + around, negative)
        crosses = lane.position + move.distance >= self.window.size
        if crosses and lane.ends_row and not (ready and self.collector.free(lane.row, k, time)):
            return None
        return move

    def _move(self, position: int, gap: int, negative: int) -> Move:
        """To the weight, if a word and an escape can say so, or a filler."""
        fmt = self.format
        distance = gap - (not negative)
        beyond = position + gap - self.window.size
        if fmt.says(distance, negative) and beyond < 1 << carry_width(fmt.run_width):
            return Move(distance=gap, negative=negative, hits=True, escapes=distance >= fmt.direct)
        return Move(distance=fmt.filler_move, negative=0, hits=False, escapes=fmt.escape_width > 0)

    def _escaping(self, moves: dict[int, Move]) -> set[int]:
        """The lanes that may escape, one a group."""
        best: dict[int, int] = {}
        for k, move in moves.items():
            group = self.format.group(k)
            if move.escapes and (group not in best or self.lanes[k].left > self.lanes[best[group]].left):
                best[group] = k
        return set(best.values())

    def _write(self, k: int, move: Move) -> int:
        """A lane's word; its escape goes to its group."""
        fmt = self.format
        distance = move.distance - (not move.negative)
        if move.escapes:
            self.escapes[fmt.group(k)].append(fmt.escape(distance >> fmt.low_width) if move.hits else fmt.filler)
        if not move.hits:
            return fmt.filler_word
        if not move.escapes:
            return distance << 1 | move.negative
        return (distance & (1 << fmt.low_width) - 1 | fmt.direct) << 1 | move.negative

    def _advance(self, k: int, lane: Walker, move: Move, time: int) -> None:
        lane.position += move.distance
        if lane.position >= self.window.size:
            lane.position += self.window.offset - self.window.size
            if lane.ends_row:
                self.collector.end(lane.row, k, time)
                lane.row += 1
                lane.element = 0
        if move.hits:
            lane.entered = True
            lane.element += 1
            lane.left -= 1
            if lane.ends_row and not lane.done:
                self._choose(k, lane, time + 1)

    def _choose(self, k: int, lane: Walker, time: int) -> None:
        """Picks lane k's next row: the fewest fillers and waits, counting steps in which others of its group escape."""
        group = self.format.group(k)
        neighbours = [j for j in range(len(self.lanes)) if j != k and self.format.group(j) == group]
        others = set[int]().union(*(self.wanted[j] for j in neighbours))
        candidates = range(lane.row + 1, max(min(lane.row + 1 + self.choices, len(lane.rows) - 1), lane.row + 2))
        plans = [(self._demand(lane, lane.rows[row], time, others), row) for row in candidates]
        (_, wanted), row = min(plans, key=lambda plan: (plan[0][0], plan[1]))
        lane.bring_forward(row)
        self.wanted[k] = wanted

    def _demand(
        self, lane: Walker, row: Sequence[tuple[int, int]], time: int, others: set[int]
    ) -> tuple[int, set[int]]:
        """Steps that a row would lose from ``time`` on, and those in which it would escape."""
        lost, wanted = 0, set()
        for move in self._moves(lane.position, row):
            while move.escapes and time in others:
                lost += 1
                time += 1
            if move.escapes:
                wanted.add(time)
            lost += not move.hits
            time += 1
        return lost, wanted

    def _moves(self, position: int, row: Sequence[tuple[int, int]]) -> Iterator[Move]:
        """The way through a row, from a position in the row before."""
        gap = self.window.size - self.window.offset
        for target, negative in row:
            gap += target - position
            hits = False
            while not hits:
                move = self._move(position, gap, negative)
                yield move
                hits = move.hits
                gap -= move.distance
                position += move.distance
                if position >= self.window.size:
                    position += self.window.offset - self.window.size
