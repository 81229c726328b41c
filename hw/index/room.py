"""Schedules for weights that are not known yet: any matrix of a shape that has room in some steps.

Nothing that becomes logic depends on the weights here. Words are plain (no escapes), columns lie as they come, and a
frame has as many steps as there is room for: lanes that are done wait. Every lane ends its last row at the window's
last position, where the code 0 is for ever. So each frame begins at the same place, and whatever its first move is, it
leads around the window's end: the first step is the only one that leads into a frame.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from sterna.hw.config import SLACK, Room
from sterna.hw.index.columns import homing_window
from sterna.hw.index.schedule import Schedule, compile_homing, run_widths
from sterna.hw.index.walk import WordFormat
from sterna.net.errors import InvalidValueError


def compile_room(
    weights: np.ndarray, *, lanes: int, elements: int, room: float | Room, natural: bool = False, slack: float = SLACK
) -> Schedule:
    """Compiles a matrix so that the hardware of its schedule takes any other one that has room.

    Parameters
    ----------
    weights : int8, (rows, columns), in {-1, 0, 1}
    lanes : int
        1 to the number of rows.
    elements : int
        Columns in an input beat, a power of two.
    room : float or Room
        So many times the steps that these weights take, with the distances that suit them, rounded up, 2 at least; or
        what there is.
    natural : bool
        Results leave in the rows' own order.
    slack : float
        Share of the steps that may be given for fewer bits.

    Raises
    ------
    ValueError
        If there is too little room, or ``lanes`` is out of range.
    """

    def compiled(run_width: int) -> Schedule:
        window = homing_window(weights.shape[1], elements=elements, run_width=run_width)
        return compile_homing(weights, WordFormat(lanes=lanes, run_width=run_width), window, natural=natural)

    if isinstance(room, Room):
        schedule = compiled(room.run_width)
        if schedule.steps > room.steps:
            raise InvalidValueError(f"its weights take {schedule.steps:,} steps, and there is room for {room.steps:,}")
        return _padded(schedule, room.steps)
    tried = [compiled(run_width) for run_width in run_widths(weights)]
    most = min(schedule.steps for schedule in tried) * (1 + slack) + 1
    schedule = min((each for each in tried if each.steps <= most), key=lambda each: (each.bits, each.steps))
    return _padded(schedule, max(ceil(schedule.steps * room), 2))


def most_in_flight(schedule: Schedule, delay: int) -> int:
    """Most results that may still come once the issue of steps stops, whatever the weights are.

    Each lane holds one sum at most that is not taken. One a cycle is taken, and is seen ``delay`` cycles later.

    Parameters
    ----------
    delay : int
        As of :meth:`Schedule.in_flight`.
    """
    return schedule.lanes + delay + 1


def _padded(schedule: Schedule, steps: int) -> Schedule:
    """With waits at its end, up to a number of steps; the last rows end there."""
    waits = np.full((steps - schedule.steps, schedule.lanes), schedule.format.wait)
    ends = np.where(schedule.ends == schedule.steps, steps, schedule.ends)
    return replace(schedule, words=np.concatenate([schedule.words, waits]), ends=ends, entry=1)
