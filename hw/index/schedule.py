"""Compiles a sparse ternary matrix into one stream of index words, and few of escapes, for lanes in lockstep.

A word moves a lane's position forward and names the sign of the weight found there, so zeros are neither stored nor
visited. Positions run through a window ``[offset, 2**n)``; a step that carries out of ``n`` bits ends the row, and
the next row begins at ``offset`` plus what is left: row ends cost no bit and, where the distance fits, no cycle.

All lanes share one program counter. A step's word holds, for each lane, ``run_width`` bits of distance and a sign. A
positive weight is one place further than its distance says (its sign bit, 1, carries into the adder), so that a single
bit pattern is spent on the distance 0, which no weight has: that of only zeros is a *wait*, which does nothing. A gap
that is too long takes several steps, of which all but the last are *fillers*: the position moves, nothing is added.

In the plain format, the word of only ones is the filler, and moves by its distance. In the other one, a distance whose
leading bits (``MARK_WIDTH``, or all) are ones *escapes*: instead of that mark, it has a value that is as high or
higher, whose lowest bits are the next entry of a second stream; the entry for ``mark - 1`` makes the word a filler.
The lanes form groups of neighbours with a stream each. In a step, one lane of a group may escape; the schedule lets any
other wait, and picks rows so that lanes escape at different times.

Rows are dealt in rounds: the k-th row of every lane belongs to round k, and the collector takes sums round by round,
lane by lane. The order of results is thus a constant that costs no memory, and no stall can change it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from sterna.hw.config import ESCAPE_PRICE, MAX_RUN_WIDTH, SLACK
from sterna.hw.index.columns import Window, fixed_window, place_for_widths, walk_gaps
from sterna.hw.index.lockstep import Pace, Walk
from sterna.hw.index.walk import Targets, Ways, WordFormat
from sterna.net.errors import InvalidValueError

#: Rows that a lane chooses its next one from.
CHOICES = 8
#: Widths of an escape that are tried.
ESCAPE_WIDTHS = (2, 3, 4, 5)
#: Formats that are tried by either estimate, and by how much one may be too low.
MAX_TRIED, ESTIMATED = 10, 0.02

FrameT = TypeVar("FrameT", Walk, Pace)


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
    escapes : tuple of tuples of int
        Entries of each group, in the order in which its lanes take them.
    entry : int
        Steps at the frame's start in which a carry only leads a lane into its first row, and ends none.
    start : tuple of int
        Position of each lane before step 0 (and, since frames repeat, after the last).
    ends : int64, (rows,)
        For the k-th result, the step *after* the row's last one: the step at whose time its sum is complete.
    nonzeros : int
        Weights added or subtracted in a frame.
    hold : int
        Cycles that a sum takes to leave its lane.
    """

    format: WordFormat
    window: Window
    rows: tuple[tuple[int, ...], ...]
    words: np.ndarray
    escapes: tuple[tuple[int, ...], ...]
    entry: int
    start: tuple[int, ...]
    ends: np.ndarray
    nonzeros: int
    hold: int = 1

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
        """Stored index bits: fillers, waits, row ends, escapes and the columns' map counted."""
        escapes = sum(len(group) for group in self.escapes)
        return self.steps * self.format.width + escapes * self.format.escape_width + self.window.map_bits

    @property
    def utilization(self) -> float:
        """Weights over lane cycles."""
        return self.nonzeros / (self.lanes * self.steps)

    @cached_property
    def taken(self) -> np.ndarray:
        """int64, (rows,): time, in steps from the frame's first, at which the collector takes each sum, unstalled.

        Where a sum takes several cycles, that of the last one.
        """
        before = np.arange(len(self.ends)) * self.hold
        taken = self.ends
        for _ in range(2):  # the second frame is the steady state
            first = np.maximum(self.ends - before, taken[-1] - self.steps)
            taken = np.maximum.accumulate(first) + before + self.hold
        return taken

    def in_flight(self, delay: int) -> int:
        """Most results that may still come once the issue of steps stops: the output FIFO's room for them.

        Parameters
        ----------
        delay : int
            Cycles from the one in which a result is taken, as :attr:`taken` says it, to the one in which its presence
            in the FIFO has stopped the issue.
        """
        visible = ((self.taken - self.hold + 1)[:, None] + np.arange(self.hold)).reshape(-1) + delay
        caused = np.repeat(np.minimum(self.ends, self.steps - 1), self.hold)
        frames = 3 + int(visible.max()) // self.steps
        visible = np.concatenate([visible + f * self.steps for f in range(frames)])
        caused = np.sort(np.concatenate([caused + f * self.steps for f in range(frames)]))
        visible.sort()
        issued = np.searchsorted(caused, caused, side="right")
        seen = np.searchsorted(visible, caused, side="right")
        return int((issued - seen).max())

    def packed(self) -> list[int]:
        """Each step's word as one integer: lane 0 in the low bits; above a distance, 1 for a weight of +1."""
        plus, distance = ~self.words & 1, self.words >> 1
        fields = plus << self.format.run_width | distance
        octets = fields.astype("<u4")[:, :, None].view(np.uint8)
        bits = np.unpackbits(octets, axis=2, count=self.format.lane_width, bitorder="little")
        rows = np.packbits(bits.reshape(self.steps, -1), axis=1, bitorder="little")
        return [int.from_bytes(row.tobytes(), "little") for row in rows]


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


class _Compiler:
    """Compiles one matrix in many formats: what several have in common is worked out once."""

    def __init__(self, weights: np.ndarray, *, natural: bool, choices: int, hold: int = 1) -> None:
        self._weights = weights
        self._hold = hold
        self._natural = natural
        self._choices = 1 if natural else choices
        self._targets: dict[Window, Targets] = {}
        self._ways: dict[tuple[Window, WordFormat], Ways] = {}

    def _ways_of(self, fmt: WordFormat, window: Window) -> Ways:
        key = window, replace(fmt, groups=1)
        if key not in self._ways:
            if window not in self._targets:
                self._targets[window] = Targets.of(self._weights, window)
            self._ways[key] = Ways(fmt, window, self._targets[window])
        return self._ways[key]

    def least_steps(self, fmt: WordFormat, window: Window) -> int:
        """No schedule takes fewer: a lane makes one move a step, a group escapes once, and one sum is taken."""
        ways = self._ways_of(fmt, window)
        return max(-(-ways.moves // fmt.lanes), -(-ways.escapes // fmt.groups), len(self._weights) * self._hold)

    def compile(self, fmt: WordFormat, window: Window) -> Schedule:
        """The schedule in a format."""
        ways = self._ways_of(fmt, window)
        return self._walk(fmt, window, ways, self._deal(fmt, self._targets[window]))

    def compile_homing(self, fmt: WordFormat, window: Window) -> Schedule:
        """The schedule in a format whose lanes' last rows all end at the window's last position."""
        rows = self._deal(fmt, Targets.of(self._weights, window))
        targets = Targets.of(self._weights, window, homing=[lane[-1] for lane in rows])
        return self._walk(fmt, window, Ways(fmt, window, targets), rows)

    def _walk(self, fmt: WordFormat, window: Window, ways: Ways, rows: Sequence[Sequence[int]]) -> Schedule:
        """The schedule of rows that are dealt."""
        choices, hold = self._choices, self._hold
        walk = _settled(fmt.lanes, lambda held: Walk(fmt, ways, rows, held=held, choices=choices, hold=hold), hold=hold)
        return Schedule(
            format=fmt,
            window=window,
            rows=tuple(tuple(lane) for lane in walk.order),
            words=np.array(walk.columns, np.int64).T.copy(),
            escapes=tuple(tuple(group) for group in walk.escapes),
            entry=walk.entry,
            start=tuple(ways.last[lane[-1]] for lane in rows),
            ends=np.array(walk.collector.ends, np.int64),
            nonzeros=int(np.count_nonzero(self._weights)),
            hold=self._hold,
        )

    def _deal(self, fmt: WordFormat, targets: Targets) -> tuple[tuple[int, ...], ...]:
        """Rows of each lane; what is dealt is each row's moves, about."""
        fillers = np.bincount(targets.inner_rows, _fillers(fmt, targets.inner_gaps), len(self._weights))
        work = (np.diff(targets.bounds) + fillers.astype(np.int64)).tolist()
        return deal_rows(work, fmt.lanes, natural=self._natural)


def _settled(lanes: int, make: Callable[[Sequence[int]], FrameT], *, hold: int = 1) -> FrameT:
    """A frame that may follow itself: none of its rows ends before the sum that the same lane had before is taken."""
    held = [(lane + 1) * hold for lane in range(lanes)]
    for _ in range(16):
        frame = make(held)
        frame.run()
        after = frame.collector.still_held(frame.steps)
        if all(a <= b for a, b in zip(after, held, strict=True)):
            return frame
        held = [max(a, b) for a, b in zip(after, held, strict=True)]
    raise RuntimeError("the schedule's collector did not settle")


def compile_format(
    weights: np.ndarray, fmt: WordFormat, window: Window, *, natural: bool = False, choices: int = CHOICES
) -> Schedule:
    """Compiles a matrix to words of a format; see :func:`compile_schedule`."""
    return _Compiler(weights, natural=natural, choices=choices).compile(fmt, window)


def compile_homing(weights: np.ndarray, fmt: WordFormat, window: Window, *, natural: bool = False) -> Schedule:
    """As :func:`compile_format`; every lane's last row ends at the window's last position (``index/room.py``)."""
    return _Compiler(weights, natural=natural, choices=CHOICES).compile_homing(fmt, window)


def _fillers(fmt: WordFormat, gaps: np.ndarray) -> np.ndarray:
    """Fillers that gaps take."""
    return np.maximum(0, -((fmt.limit - gaps) // fmt.filler_move))


def _counts(fmt: WordFormat, gaps: np.ndarray) -> tuple[int, int]:
    """Fillers and escapes that gaps take; they do not depend on groups."""
    fillers = int(_fillers(fmt, gaps).sum())
    return fillers, int(np.count_nonzero(gaps > fmt.direct)) + fillers if fmt.escape_width else 0


def estimate(fmt: WordFormat, gaps: np.ndarray, *, rows: int = 1) -> tuple[float, float]:
    """Steps and bits that a walk with these gaps will about take, escapes coming at random; each row takes a step."""
    return _estimate(fmt, len(gaps), *_counts(fmt, gaps), rows=rows)


def _estimate(fmt: WordFormat, gaps: int, fillers: int, escapes: int, *, rows: int) -> tuple[float, float]:
    moves = gaps + 1 + fillers
    lanes, share = fmt.lanes / fmt.groups, escapes / moves
    refused = (lanes * share - 1 + (1 - share) ** lanes) / lanes
    steps = max(moves * (1 + refused) / fmt.lanes, float(rows))
    return steps, steps * fmt.width + escapes * fmt.escape_width


def run_widths(weights: np.ndarray) -> range:
    """Bits of a distance that are worth trying for a matrix."""
    used = weights != 0
    places = len(weights) * max(int(np.count_nonzero(used.any(axis=0))), 1)
    least = min((places // max(int(np.count_nonzero(used)), 1)).bit_length(), MAX_RUN_WIDTH)
    return range(least, min(least + 3, MAX_RUN_WIDTH) + 1)


def formats(
    lanes: int,
    weights: np.ndarray,
    *,
    elements: int,
    slack: float,
    escape_price: int = ESCAPE_PRICE,
    escapes: bool = True,
    fixed: bool = False,
    hold: int = 1,
) -> list[tuple[WordFormat, Window]]:
    """Word formats worth trying for a matrix, and its window with each: the cheapest by their estimates."""
    used = weights != 0
    found = []
    tried_widths = run_widths(weights)
    if fixed:
        windows = [fixed_window(weights.shape[1], run_width=run_width) for run_width in tried_widths]
    else:
        windows = place_for_widths(weights, elements=elements, run_widths=tried_widths)
    for run_width, window in zip(tried_widths, windows, strict=True):
        gaps = walk_gaps(used, window)
        for escape_width in (0, *ESCAPE_WIDTHS) if escapes else (0,):
            tried = [
                WordFormat(lanes=lanes, run_width=run_width, escape_width=escape_width, groups=1 << k)
                for k in range(lanes.bit_length() if escape_width else 1)
            ]
            counts = _counts(tried[0], gaps)
            found += [(fmt, window, len(gaps), *counts) for fmt in tried]
    chosen: dict[WordFormat, Window] = {}
    # where sums set the pace, it is not sure that the smallest formats keep it: half are chosen as if they did not
    for rows in (1, len(weights) * hold):
        estimates = [(*_estimate(fmt, *counts, rows=rows), fmt, window) for fmt, window, *counts in found]
        fewest = min(steps for steps, *_ in estimates)
        near = [case for case in estimates if case[0] <= fewest * (1 + slack + ESTIMATED)]
        near.sort(key=lambda case: case[1] + escape_price * case[2].memories)
        chosen |= {fmt: window for _, _, fmt, window in near[:MAX_TRIED]}
    return list(chosen.items())


def compile_schedule(
    weights: np.ndarray,
    *,
    lanes: int,
    elements: int = 1,
    natural: bool = False,
    choices: int = CHOICES,
    slack: float = SLACK,
    escape_price: int = ESCAPE_PRICE,
    escapes: bool = True,
    fixed: bool = False,
    hold: int = 1,
) -> Schedule:
    """Compiles a matrix, choosing the word format.

    Of all formats, the one with the fewest stored bits among those within ``slack`` of the fewest steps, where a stream
    of escapes counts as ``escape_price`` bits more.

    Parameters
    ----------
    weights : int8, (rows, columns), in {-1, 0, 1}
    lanes : int
        Lanes in lockstep, 1 to the number of rows.
    elements : int
        Columns in an input beat, a power of two.
    natural : bool
        Results leave in the rows' own order.
    choices : int
        Rows that a lane chooses its next one from.
    slack : float
        Share of the steps that may be given for fewer bits.
    escape_price : int
        Bits that a stream of escapes has to save to be worth its logic.
    escapes : bool
        Whether there may be any.
    fixed : bool
        Columns keep their order and their places: they are the window's last positions (:func:`fixed_window`). Then
        every row has a weight.
    hold : int
        Cycles that a sum takes to leave its lane, which can end no other row before.

    Raises
    ------
    ValueError
        If ``lanes`` is out of range.
    """
    _check_lanes(weights, lanes)
    compiler = _Compiler(weights, natural=natural, choices=choices, hold=hold)
    cases = formats(
        lanes,
        weights,
        elements=elements,
        slack=slack,
        escape_price=escape_price,
        escapes=escapes,
        fixed=fixed,
        hold=hold,
    )
    tried: dict[int, Schedule] = {}
    fewest = sys.maxsize
    # whatever is surely not near the fewest steps is left out, which changes nothing
    for least, case in sorted((compiler.least_steps(*case), k) for k, case in enumerate(cases)):
        if least <= _near(fewest, slack):
            tried[case] = compiler.compile(*cases[case])
            fewest = min(fewest, tried[case].steps)
    near = [tried[case] for case in sorted(tried) if tried[case].steps <= _near(fewest, slack)]
    return min(near, key=lambda schedule: (schedule.bits + escape_price * schedule.format.memories, schedule.steps))


def _near(fewest: int, slack: float) -> float:
    """Most steps that may be given for fewer bits."""
    return fewest + max(fewest * slack, 1)


def _check_lanes(weights: np.ndarray, lanes: int) -> None:
    rows = len(weights)
    if not 1 <= lanes <= rows:
        raise InvalidValueError(f"lanes must be 1 to {rows}, the layer's rows, not {lanes}")


def _visits(weights: np.ndarray) -> list[int]:
    """Weights of each row; an empty one visits the vacant position."""
    visits: list[int] = np.maximum(np.count_nonzero(weights, axis=1), 1).tolist()
    return visits


def least_steps(weights: np.ndarray, *, lanes: int, natural: bool = False) -> int:
    """Steps below which no schedule of a matrix is, whatever its format and columns; takes milliseconds.

    A lane makes a visit a step, and one sum a step is taken. Every lane has as many rows as the others or one more.

    Parameters
    ----------
    weights : int8, (rows, columns), in {-1, 0, 1}
    lanes, natural
        As of :func:`compile_schedule`.
    """
    _check_lanes(weights, lanes)
    work = _visits(weights)
    if natural:
        busiest = max(sum(work[lane::lanes]) for lane in range(lanes))
    else:
        by_length = sorted(work)
        busiest = by_length[-1] + sum(by_length[: len(work) // lanes - 1])
    return max(busiest, -(-sum(work) // lanes), len(work))


def expected_steps(weights: np.ndarray, *, lanes: int, natural: bool = False) -> int:
    """About the steps of a compiled schedule: as if all distances had a word; takes milliseconds.

    Rows are dealt and sums taken as in the schedule; left out are fillers and escapes that others refuse, which
    :func:`compile_schedule` keeps few. benchmarks/schedule_speed.py measures the error.

    Parameters
    ----------
    weights : int8, (rows, columns), in {-1, 0, 1}
    lanes, natural
        As of :func:`compile_schedule`.
    """
    _check_lanes(weights, lanes)
    work = _visits(weights)
    dealt = [[work[row] for row in lane] for lane in deal_rows(work, lanes, natural=natural)]
    return _settled(lanes, lambda held: Pace(dealt, held=held)).steps
