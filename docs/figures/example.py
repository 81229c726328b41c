"""The small layer of the pictures, compiled by the real scheduler: 4 rows, 16 columns, 2 lanes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sterna.hw.index.schedule import Schedule, compile_schedule
from sterna.net import ActivationType, Linear, Network

LANES = 2
WEIGHTS = """
.-....-....+.-+.
+....+.+.+.....-
..+-....-...+...
..-.+.....-.....
"""
#: One input, codes of 4 bits.
INPUT = (3, 9, 4, 1, 7, 6, 2, 5, 8, 10, 11, 12, 1, 13, 2, 4)


def weights() -> np.ndarray:
    """int8, (4, 16): the layer's matrix."""
    return np.array([["-.+".index(sign) - 1 for sign in row] for row in WEIGHTS.split()], np.int8)


def network() -> Network:
    """A network of this layer alone; its sums are the scores."""
    layer = Linear(name="fc", weights=weights())
    kind = ActivationType(width=4, signed=False)
    return Network(input_shape=(16,), input_type=kind, input_scale=1.0, nodes=[layer])


@dataclass(frozen=True)
class Visit:
    """What one lane does in one step.

    Attributes
    ----------
    step, lane, row : int
        In which step which lane works on which row.
    distance, negative : int
        The index word.
    start, column : int
        Where the lane was, and where it is now.
    weight : int
        What it finds there; 0 if it waits or only moves.
    total : int
        The row's sum so far, for :data:`INPUT`.
    ends : bool
        Whether this is the row's last weight.
    """

    step: int
    lane: int
    row: int
    distance: int
    negative: int
    start: int
    column: int
    weight: int
    total: int
    ends: bool


def compiled() -> Schedule:
    """The layer's index words; plain enough to be drawn, which is checked."""
    schedule = compile_schedule(weights(), lanes=LANES)
    if schedule.format.escape_width or not schedule.window.plain or schedule.window.offset:
        raise SystemExit("the example's layer is no longer compiled to plain words: choose another one")
    return schedule


def visits(schedule: Schedule) -> list[Visit]:
    """Reads the index words back, lane by lane, as a lane does; checks the sums."""
    found = [visit for lane in range(schedule.lanes) for visit in _walk(schedule, lane)]
    sums = {visit.row: visit.total for visit in found if visit.ends}
    wanted = weights().astype(int) @ INPUT
    if [sums[row] for row in range(len(wanted))] != wanted.tolist():
        raise SystemExit(f"the index words give the sums {sums}, but W·x is {wanted.tolist()}")
    return found


def _walk(schedule: Schedule, lane: int) -> Iterator[Visit]:
    fmt, size = schedule.format, schedule.window.size
    position, total, turn = schedule.start[lane], 0, -1
    left = {row: int(np.count_nonzero(weights()[row])) for row in schedule.rows[lane]}
    for step, word in enumerate(schedule.words[:, lane].tolist()):
        distance, negative = word >> 1, word & 1
        hits = word not in (fmt.wait, fmt.filler_word)
        moved = position + distance + (hits and not negative)
        if moved >= size:
            turn, total = turn + 1, 0
        row = schedule.rows[lane][max(turn, 0)]
        start, position = position, moved % size
        weight = (1 - 2 * negative) * hits
        left[row] -= hits
        total += weight * INPUT[position]
        yield Visit(
            step=step,
            lane=lane,
            row=row,
            distance=distance,
            negative=negative,
            start=start,
            column=position,
            weight=weight,
            total=total,
            ends=bool(hits) and not left[row],
        )
