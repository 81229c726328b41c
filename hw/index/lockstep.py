"""The walk that writes a schedule's words and its escapes: all lanes in lockstep."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence

from sterna.hw.index.walk import Ways, WordFormat

#: A time that is not known yet.
UNKNOWN = sys.maxsize
#: What a lane asks leave for: (time, escape or -1, weights left, turn of the row that the move ends or -1).
Request = tuple[int, int, int, int]


class Collector:
    """When sums are taken: one after the other, round by round, lane by lane, each after its end.

    Parameters
    ----------
    rows : int
    lanes : int
        Row ``turn`` of ``lane`` is the sum ``turn * lanes + lane``.
    held : sequence of int
        When each lane's last sum of the frame before is taken.
    hold : int
        Steps that a sum takes to leave its lane.
    """

    def __init__(self, rows: int, lanes: int, held: Sequence[int], hold: int = 1) -> None:
        self.ends: list[int | None] = [None] * rows
        self.taken: list[int] = []
        self._lanes = lanes
        self._held = held
        self._hold = hold
        self._waiting: dict[int, int] = {}

    def end(self, turn: int, lane: int, time: int) -> list[tuple[int, int]]:
        """Row ``turn`` of ``lane`` is complete; (lane, time) of those that wait for a sum whose time is known now."""
        self.ends[turn * self._lanes + lane] = time
        freed = []
        while len(self.taken) < len(self.ends) and (end := self.ends[len(self.taken)]) is not None:
            taken = max((self.taken[-1] if self.taken else max(self._held)), end) + self._hold
            waiting = self._waiting.pop(len(self.taken), None)
            if waiting is not None:
                freed.append((waiting, taken))
            self.taken.append(taken)
        return freed

    def free(self, turn: int, lane: int) -> int:
        """When the sum before row ``turn`` of ``lane`` is taken, or UNKNOWN."""
        if turn == 0:
            return self._held[lane]
        k = (turn - 1) * self._lanes + lane
        return self.taken[k] if k < len(self.taken) else UNKNOWN

    def wait(self, turn: int, lane: int) -> None:
        """The lane waits until the sum before its row ``turn`` is taken."""
        self._waiting[(turn - 1) * self._lanes + lane] = lane

    def still_held(self, steps: int) -> list[int]:
        """When, in the next frame's time, each lane's last sum is taken."""
        rows, lanes = len(self.taken), self._lanes
        turns = [(rows - 1 - lane) // lanes for lane in range(lanes)]  # the last one may not be all lanes'
        return [self.taken[turn * lanes + lane] - steps for lane, turn in enumerate(turns)]


class Walk:
    """Writes the words of all lanes; of a group's lanes, the one with most left to do escapes first.

    A lane that ends a row takes, of the next few of like length, the one that escapes when the others of its group do
    not. Its last row stays last: where it ends is where the next frame begins.

    A lane has to ask leave for moves that escape, enter a row or end its visits. All others are written at once, so
    that the work follows the former's number and not the steps.

    Parameters
    ----------
    fmt : WordFormat
    ways : Ways
        Of this format, or of one that differs in its groups.
    rows : sequence of sequences of int
        Each lane's, as :func:`deal_rows` deals them.
    held : sequence of int
        See :class:`Collector`.
    choices : int
        Rows that a lane chooses its next one from.
    hold : int
        See :class:`Collector`.

    Attributes
    ----------
    order : list of lists of int
        Rows of each lane, in the order that was chosen.
    columns : list of lists of int
        Each lane's words.
    escapes : list of lists of int
        Each group's.
    entry, steps : int
        See :class:`Schedule`.
    collector : Collector
    """

    def __init__(
        self,
        fmt: WordFormat,
        ways: Ways,
        rows: Sequence[Sequence[int]],
        *,
        held: Sequence[int],
        choices: int,
        hold: int = 1,
    ) -> None:
        lanes = len(rows)
        self.order = [list(lane) for lane in rows]
        self.columns: list[list[int]] = [[] for _ in rows]
        self.escapes: list[list[int]] = [[] for _ in range(fmt.groups)]
        self.entry = 0
        self.steps = 0
        self.collector = Collector(sum(map(len, rows)), lanes, held, hold)
        self._ways = ways
        self._wait = fmt.wait
        self._choices = choices
        self._groups = [fmt.group(lane) for lane in range(lanes)]
        self._time = 0
        self._due: dict[int, list[int]] = {}
        self._entered = 0
        # each lane's row as planned: bit k of `wanted` says that the lane escapes k steps after `since`
        self._wanted = [0] * lanes
        self._since = [0] * lanes
        self._stopped = [UNKNOWN] * lanes  # when a lane began to wait, or was done

    def run(self) -> None:
        """Walks all rows."""
        lanes = [self._lane(k) for k in range(len(self.order))]
        asked = [next(lane) for lane in lanes]
        for k, (time, *_) in enumerate(asked):
            self._wake(k, time)
        while self._due:
            now = sorted(self._due.pop(self._time, ()))
            refused = self._refused(now, asked)
            for k in now:
                if k in refused:
                    self._stopped[k] = min(self._stopped[k], self._time)
                    continue
                self._resume(k)
                if request := next(lanes[k], None):
                    asked[k] = request
                    self._wake(k, request[0])
            self._time += 1
        self._finish()

    def _wake(self, k: int, time: int) -> None:
        self._due.setdefault(time, []).append(k)

    def _resume(self, k: int) -> None:
        """Lane k has waited until now; its plans are as much later."""
        if (waited := self._time - self._stopped[k]) > 0:
            self.columns[k] += [self._wait] * waited
            self._since[k] += waited
        self._stopped[k] = UNKNOWN

    def _finish(self) -> None:
        """Ends all lanes' last rows, once the sums before them are taken."""
        last = [len(order) - 1 for order in self.order]
        before = [self.collector.free(turn, k) for k, turn in enumerate(last)]
        self.steps = max(*map(len, self.columns), *before)
        for k, turn in enumerate(last):
            self.collector.end(turn, k, self.steps)
            self.columns[k] += [self._wait] * (self.steps - len(self.columns[k]))

    def _refused(self, now: Sequence[int], asked: Sequence[Request]) -> set[int]:
        """Lanes that have to wait: another one of their group escapes, or the sum before is not taken yet."""
        refused = set()
        first: dict[int, int] = {}
        for k in now:
            _, escape, left, ends = asked[k]
            if ends >= 0 and not self._may_end(k, ends):
                refused.add(k)
            elif escape >= 0:
                other = first.setdefault(self._groups[k], k)
                if other != k:
                    later = other if left > asked[other][2] else k
                    refused.add(later)
                    first[self._groups[k]] = other if later == k else k
                    self._wake(later, self._time + 1)
        return refused

    def _may_end(self, k: int, turn: int) -> bool:
        """Whether lane k may end a row: once all lanes are in theirs, and its sum before is taken; or it waits."""
        free = self.collector.free(turn, k)
        if free == UNKNOWN:
            self.collector.wait(turn, k)
            return False
        if self._entered == len(self.order) and free <= self._time:
            return True
        self._wake(k, max(free, self._time + 1))
        return False

    def _lane(self, k: int) -> Iterator[Request]:
        """Lane k's walk: goes on when it has leave for what it asks."""
        ways, order = self._ways, self.order[k]
        left = sum(ways.weights[row] for row in order)
        position = ways.last[order[-1]]
        time = 0
        for turn in range(len(order)):
            row = order[turn]
            time = yield from self._enter(k, turn, position, left, time)
            left -= ways.weights[row]
            time = yield from self._pass(k, row, left, time)
            position = ways.last[row]
            if turn + 1 < len(order) and self._choices > 1:
                self._choose(k, turn, position, time)
        self._stopped[k] = time

    def _enter(self, k: int, turn: int, position: int, left: int, time: int) -> Generator[Request, None, int]:
        """To a row's first visit; leaving the window's end, lane k ends the row before."""
        ways, row = self._ways, self.order[k][turn]
        fillers, distance = ways.approach(position, row) if turn else ways.enter(position, row)
        crossing = ways.crossing(position, fillers) if turn else -1
        for move, (word, escape) in enumerate(ways.first_moves(fillers, distance, row)):
            ends = turn - 1 if move == crossing else -1
            yield time, escape, left, ends
            if ends >= 0:
                for lane, free in self.collector.end(ends, k, self._time):
                    self._wake(lane, free)
            time = self._write(k, word, escape)
        if not turn:
            self._entered += 1
            self.entry = time
        return time

    def _pass(self, k: int, row: int, left: int, time: int) -> Generator[Request, None, int]:
        """From a row's first visit to its last."""
        words, done = self._ways.words, self._ways.begin[row]
        for stop, escape, rest in self._ways.stops[row]:
            self.columns[k] += words[done:stop]
            yield time + stop - done, escape, left + rest, -1
            time = self._write(k, words[stop], escape)
            done = stop + 1
        return time

    def _write(self, k: int, word: int, escape: int) -> int:
        """Writes lane k's word of this step, and its escape; the next step's time."""
        self.columns[k].append(word)
        if escape >= 0:
            self.escapes[self._groups[k]].append(escape)
        return self._time + 1

    def _choose(self, k: int, turn: int, position: int, time: int) -> None:
        """Picks lane k's next row: the fewest fillers and waits, counting steps in which others of its group escape."""
        ways, order = self._ways, self.order[k]
        others = self._others(k, time)
        least, chosen, wanted = sys.maxsize, turn + 1, 0
        for candidate in range(turn + 1, max(min(turn + 1 + self._choices, len(order) - 1), turn + 2)):
            row = order[candidate]
            fillers, distance = ways.approach(position, row)
            lost = fillers + ways.fillers[row]
            if lost >= least:
                continue
            escaping = ways.first_escaping(fillers, distance) | ways.escaping[row] << fillers + 1
            while clash := escaping & others:
                lost += 1
                if lost >= least:
                    break
                escaping += escaping & -(clash & -clash)  # all from the first clash on is a step later
            else:
                least, chosen, wanted = lost, candidate, escaping
        order.insert(turn + 1, order.pop(chosen))
        self._wanted[k], self._since[k] = wanted, time

    def _others(self, k: int, time: int) -> int:
        """Bit i: whether another lane of k's group is thought to escape i steps after ``time``."""
        others = 0
        group = self._groups[k]
        for j, wanted in enumerate(self._wanted):
            if wanted and j != k and self._groups[j] == group:
                # what a lane that has stopped no longer does stays as far ahead as it was then
                others |= wanted >> min(time, self._stopped[j] + (j > k)) - self._since[j]
        return others


class Pace:
    """A walk in which each row takes the steps that it is said to, and nothing else but the collector takes time.

    Parameters
    ----------
    work : sequence of sequences of int
        Steps of each lane's rows.
    held, hold
        See :class:`Collector`.

    Attributes
    ----------
    steps : int
    collector : Collector
    """

    def __init__(self, work: Sequence[Sequence[int]], *, held: Sequence[int], hold: int = 1) -> None:
        self.steps = 0
        self.collector = Collector(sum(map(len, work)), len(work), held, hold)
        self._work = work

    def run(self) -> None:
        """Walks all rows."""
        done = [lane[0] for lane in self._work]
        for turn in range(1, len(self._work[0])):
            for k, lane in enumerate(self._work):
                if turn < len(lane):
                    done[k] = max(done[k], self.collector.free(turn - 1, k))
                    self.collector.end(turn - 1, k, done[k])
                    done[k] += lane[turn]
        last = [len(lane) - 1 for lane in self._work]
        self.steps = max(*done, *(self.collector.free(turn, k) for k, turn in enumerate(last)))
        for k, turn in enumerate(last):
            self.collector.end(turn, k, self.steps)
