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
from itertools import pairwise

import numpy as np

from sterna.hw.columns import Window, place_columns
from sterna.hw.walk import Walk, Walker, WordFormat

#: Share of a layer's steps that may be given for fewer index bits.
SLACK = 0.01
#: Widest distance that is tried.
MAX_RUN_WIDTH = 10


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
        """Stored index bits: fillers, waits, row ends, padding and the columns' map counted."""
        return self.steps * self.format.width + self.window.map_bits

    @property
    def utilization(self) -> float:
        """Weights over lane cycles."""
        return self.nonzeros / (self.lanes * self.steps)

    @cached_property
    def taken(self) -> np.ndarray:
        """int64, (rows,): time, in steps from the frame's first, at which the collector takes each sum, unstalled."""
        taken = np.empty(len(self.ends), np.int64)
        last = int(self.ends[-1]) - self.steps
        for _ in range(2):  # the second frame is the steady state
            for k, end in enumerate(self.ends):
                last = max(last + 1, int(end) + 1)
                taken[k] = last
            last -= self.steps
        return taken

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


def _targets(weights: np.ndarray, window: Window) -> list[list[tuple[int, int]]]:
    """(position, negative) of each row's nonzeros; an empty row visits one column twice, once with either sign."""
    positions = window.positions()
    targets = []
    for row in weights:
        columns = np.flatnonzero(row)
        targets.append(sorted((int(positions[c]), int(row[c] < 0)) for c in columns))
    return [target or [(window.size - 1, 0), (window.size - 1, 1)] for target in targets]


def _compile(weights: np.ndarray, fmt: WordFormat, *, elements: int, natural: bool, choices: int) -> Schedule:
    window = place_columns(weights, elements=elements, run_width=fmt.run_width, extended=fmt.extended)
    targets = _targets(weights, window)
    reach = 2 << fmt.run_width if fmt.extended else 1 << fmt.run_width
    work = [len(row) + sum((b[0] - a[0]) // reach for a, b in pairwise(row)) for row in targets]
    rows = deal_rows(work, fmt.lanes, natural=natural)
    held = [lane + 1 for lane in range(fmt.lanes)]
    for _ in range(16):
        walk = Walk(fmt, window, [Walker(lane, targets) for lane in rows], held, 1 if natural else choices)
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


def formats(lanes: int, weights: np.ndarray) -> list[WordFormat]:
    """Word formats worth trying for a matrix: distances from the mean one to sixteen times that."""
    nonzeros = max(int(np.count_nonzero(weights)), 1)
    places = weights.shape[0] * max(int(np.count_nonzero(weights.any(axis=0))), 1)
    mean = places // nonzeros
    most = min(max((weights.shape[1] - 1).bit_length(), 2), MAX_RUN_WIDTH)
    least = min(max(mean.bit_length(), 2), most)
    return [
        WordFormat(lanes=lanes, run_width=width, extended=extended)
        for width in range(least, min(least + 3, most) + 1)
        for extended in ((False, True) if width < most else (False,))
    ]


def compile_schedule(
    weights: np.ndarray, *, lanes: int, elements: int = 1, natural: bool = False, choices: int = 4, slack: float = SLACK
) -> Schedule:
    """Compiles a matrix, choosing the word format.

    Of all formats, the one with the fewest stored bits among those within ``slack`` of the fewest steps.

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

    Raises
    ------
    ValueError
        If ``lanes`` is out of range.
    """
    rows = len(weights)
    if not 1 <= lanes <= rows:
        raise ValueError(f"lanes must be 1 to {rows}, the layer's rows, not {lanes}")
    tried = [
        _compile(weights, fmt, elements=elements, natural=natural, choices=choices) for fmt in formats(lanes, weights)
    ]
    fewest = min(schedule.steps for schedule in tried)
    near = [schedule for schedule in tried if schedule.steps <= fewest + max(fewest * slack, 1)]
    return min(near, key=lambda schedule: (schedule.bits, schedule.steps))
