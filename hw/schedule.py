"""Compiles a sparse ternary matrix into one stream of index words for lanes that run in lockstep.

A word moves a lane's position forward and names the sign of the weight found there, so zeros are neither stored nor
visited. Positions run through a window ``[offset, 2**n)``; a step that carries out of ``n`` bits ends the row, and
the next row begins at ``offset`` plus what is left: row ends cost no bit and, where the distance fits, no cycle.

All lanes share one program counter. A step's word holds, for each lane, ``run_width`` bits of distance and a sign, and
may hold one *extension* for all of them: the number of the lane (plus one) whose distance grows by ``2**run_width``
in this step. The distance of all ones is special: nothing is added; with a positive sign the position still moves
by it (a filler, for gaps that are too long), with a negative one it stays (a wait).

Rows are dealt in rounds: the k-th row of every lane belongs to round k, and the collector takes sums round by round,
lane by lane. The order of results is thus a constant that costs no memory, and no stall can change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MAX_RUN_WIDTH = 10
CORRECTED_BITS = 3


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


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where the columns lie in a lane's address space.

    Column ``c`` is at ``(c + shift) mod 2**address_width``; columns without a weight at both ends may lie outside
    of ``[offset, 2**address_width)``, where no word ever points.
    """

    address_width: int
    offset: int
    shift: int

    @property
    def size(self) -> int:
        """Addresses of the space."""
        return 1 << self.address_width

    def position(self, column: int) -> int:
        """Address of a column."""
        return (column + self.shift) % self.size


@dataclass(frozen=True, eq=False, kw_only=True)
class Schedule:
    """A layer's compiled index stream.

    Attributes
    ----------
    format, window : the word's and the address space's layout.
    rows : tuple of tuples of int
        Rows of each lane, in order.
    words : int64, (steps, lanes)
        ``distance << 1 | negative`` of each lane.
    extension : int64, (steps,)
        Lane number plus one whose distance is extended, or 0.
    entry : int
        Steps at the frame's start in which a carry only leads a lane into its first row, and ends none.
    start : tuple of int
        Position of each lane before step 0 (and, since frames repeat, after the last).
    ends : int64, (rows,)
        For the k-th result, the step *after* the row's last one: the step at whose time its sum is complete.
    nonzeros : int
        Weights added or subtracted in a frame.
    """

    format: WordFormat
    window: Window
    rows: tuple[tuple[int, ...], ...]
    words: np.ndarray
    extension: np.ndarray
    entry: int
    start: tuple[int, ...]
    ends: np.ndarray
    nonzeros: int

    @property
    def lanes(self) -> int:
        """Lanes in lockstep."""
        return self.format.lanes

    @property
    def steps(self) -> int:
        """Cycles of one frame."""
        return len(self.words)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Row of each result, in the order in which results leave."""
        return tuple(collect_order(self.rows))

    @property
    def bits(self) -> int:
        """Stored index bits: fillers, waits, row ends and padding counted."""
        return self.steps * self.format.width

    @property
    def utilization(self) -> float:
        """Weights over lane cycles."""
        return self.nonzeros / (self.lanes * self.steps)

    @cached_property
    def taken(self) -> np.ndarray:
        """int64, (rows,): time, in steps from the frame's first, at which the collector takes each sum, unstalled."""
        taken = np.empty(len(self.ends), np.int64)
        last = self.ends[-1] + len(self.ends) - self.steps - len(self.ends)  # no later than one a cycle can be
        for _ in range(2):  # the second frame is the steady state
            for k, end in enumerate(self.ends):
                last = max(last + 1, int(end) + 1)
                taken[k] = last
            last -= self.steps
        return taken

    @cached_property
    def backlog(self) -> int:
        """Most sums that are complete or will be without another step, and not yet taken, at any step."""
        done = np.concatenate([self.ends + frame * self.steps for frame in range(3)])
        taken = np.concatenate([self.taken + frame * self.steps for frame in range(3)])
        # just before `taken[k]`, every sum whose last step has been issued is on its way
        issued = np.searchsorted(done - 1, taken, side="left")
        return int((issued - np.arange(len(done)))[: 2 * len(self.ends)].max(initial=1))

    def packed(self) -> list[int]:
        """Each step's word as one integer: lane 0 in the low bits, the extension field on top."""
        width = self.format.lane_width
        run = self.format.run_width
        packed = []
        for step, extension in zip(self.words.tolist(), self.extension.tolist(), strict=True):
            word = extension << (self.lanes * width)
            for lane, value in enumerate(step):
                word |= ((value >> 1) | (value & 1) << run) << (lane * width)
            packed.append(word)
        return packed


def collect_order(rows: Sequence[Sequence[int]]) -> list[int]:
    """Rows in the collector's order: round by round, lane by lane."""
    rounds = max(len(lane) for lane in rows)
    return [lane[r] for r in range(rounds) for lane in rows if r < len(lane)]


def deal_rows(work: Sequence[int], lanes: int, *, natural: bool = False) -> tuple[tuple[int, ...], ...]:
    """Deals rows to lanes so that every lane has the same work.

    Rows go longest first, a round of ``lanes`` rows of like length at a time, the longest of a round to the lane with
    the least so far: like lengths in a round keep the lanes in step with the collector.

    Parameters
    ----------
    work : sequence of int
        Steps of each row.
    lanes : int
        At most as many as there are rows.
    natural : bool
        Keep the rows' own order in the results.
    """
    if natural:
        return tuple(tuple(range(lane, len(work), lanes)) for lane in range(lanes))
    by_length = sorted(range(len(work)), key=lambda row: (-work[row], row))
    dealt: list[list[int]] = [[] for _ in range(lanes)]
    load = [0] * lanes
    for first in range(0, len(by_length), lanes):
        round_rows = by_length[first : first + lanes]
        # a last, partial round must fill the first lanes: the collector counts them from 0
        free = sorted(range(len(round_rows)), key=lambda lane: (load[lane], lane))
        for lane, row in zip(free, round_rows, strict=True):
            dealt[lane].append(row)
            load[lane] += work[row]
    return tuple(tuple(lane) for lane in dealt)


def place_columns(weights: np.ndarray, *, align: int, run_width: int) -> Window:
    """Lays the columns out so that the window holds all nonzeros and little else.

    Parameters
    ----------
    weights : int8, (rows, columns)
    align : int
        Columns that enter in one beat: a power of two; they share an aligned word.
    run_width : int
        Width of a distance. The window begins at a multiple of ``2**(run_width + 1 - CORRECTED_BITS)``: what a carry
        leaves is at most ``run_width + 1`` bits wide, and adding the offset to it then takes a look-up of its upper
        ``CORRECTED_BITS`` bits instead of an adder.
    """
    columns = weights.shape[1]
    address_width = max((columns - 1).bit_length(), 1)
    address_width = max(address_width, (align - 1).bit_length())
    size = 1 << address_width
    live = np.flatnonzero(weights.any(axis=0))
    first = int(live[0]) // align * align if len(live) else 0
    last = int(live[-1]) if len(live) else 0
    grain = max(1 << max(run_width + 1 - CORRECTED_BITS, 0), align)
    offset = (size - (last - first + 1)) // grain * grain
    return Window(address_width=address_width, offset=offset, shift=offset - first)


class _Lane:
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


class _Collector:
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


class _Walk:
    """Writes the words of all lanes, step by step; the extension goes to the lane that has most left to do.

    A lane that ends a row takes, of the next few of like length, the one that wants the extension when the others'
    rows do not. Its last row stays last: where it ends is where the next frame begins.
    """

    def __init__(self, fmt: WordFormat, window: Window, lanes: Sequence[_Lane], held: Sequence[int], choices: int) -> None:
        self.format = fmt
        self.window = window
        self.lanes = lanes
        self.collector = _Collector([len(lane.rows) for lane in lanes], held)
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

    def _gap(self, lane: _Lane) -> int | None:
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
        self, lane: _Lane, row: Sequence[tuple[int, int]], time: int, others: set[int]
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


def _targets(weights: np.ndarray, window: Window) -> list[list[tuple[int, int]]]:
    """(position, negative) of each row's nonzeros; an empty row visits one column twice, once with either sign."""
    targets = []
    for row in weights:
        columns = np.flatnonzero(row)
        if len(columns):
            targets.append([(window.position(int(c)), int(row[c] < 0)) for c in columns])
        else:
            targets.append([(window.size - 1, 0), (window.size - 1, 1)])
    return targets


def _compile(weights: np.ndarray, fmt: WordFormat, *, align: int, natural: bool, choices: int) -> Schedule:
    window = place_columns(weights, align=align, run_width=fmt.run_width)
    targets = _targets(weights, window)
    reach = 2 << fmt.run_width if fmt.extended else 1 << fmt.run_width
    work = [len(row) + sum((b[0] - a[0]) // reach for a, b in zip(row, row[1:], strict=False)) for row in targets]
    rows = deal_rows(work, fmt.lanes, natural=natural)
    held = [lane + 1 for lane in range(fmt.lanes)]
    for _ in range(16):
        walk = _Walk(fmt, window, [_Lane(lane, targets) for lane in rows], held, 1 if natural else choices)
        walk.run()
        after = walk.collector.still_held(walk.steps)
        if all(a <= b for a, b in zip(after, held, strict=True)):
            break
        held = [max(a, b) for a, b in zip(after, held, strict=True)]
    else:
        raise RuntimeError("the schedule's collector did not settle")
    return Schedule(
        format=fmt,
        window=window,
        rows=tuple(tuple(lane.order) for lane in walk.lanes),
        words=np.array(walk.words, np.int64),
        extension=np.array(walk.extension, np.int64),
        entry=walk.entry,
        start=tuple(targets[lane[-1]][-1][0] for lane in rows),
        ends=np.array(walk.collector.ends, np.int64),
        nonzeros=int(np.count_nonzero(weights)),
    )


def formats(lanes: int, columns: int) -> list[WordFormat]:
    """Word formats worth trying for a layer."""
    widest = min(max((columns - 1).bit_length(), 2), MAX_RUN_WIDTH)
    return [
        WordFormat(lanes=lanes, run_width=width, extended=extended)
        for width in range(2, widest + 1)
        for extended in ((False, True) if width < widest else (False,))
    ]


def compile_schedule(
    weights: np.ndarray, *, lanes: int, align: int = 1, natural: bool = False, choices: int = 4, slack: float = 0.01
) -> Schedule:
    """Compiles a matrix, choosing the word format.

    Of all formats, the one with the fewest stored bits among those within ``slack`` of the fewest steps.

    Parameters
    ----------
    weights : int8, (rows, columns), in {-1, 0, 1}
    lanes : int
        Lanes in lockstep, 1 to the number of rows.
    align : int
        Columns in an input beat, a power of two.
    natural : bool
        Results leave in the rows' own order.
    choices : int
        Rows that a lane chooses its next one from.
    slack : float
        Share of the steps that may be given for fewer bits.

    Raises
    ------
    ValueError
        If ``lanes`` is out of range.
    """
    rows, columns = weights.shape
    if not 1 <= lanes <= rows:
        raise ValueError(f"lanes must be 1 to {rows}, the layer's rows, not {lanes}")
    tried = [_compile(weights, fmt, align=align, natural=natural, choices=choices) for fmt in formats(lanes, columns)]
    fewest = min(schedule.steps for schedule in tried)
    near = [schedule for schedule in tried if schedule.steps <= fewest + max(fewest * slack, 1)]
    return min(near, key=lambda schedule: (schedule.bits, schedule.steps))
