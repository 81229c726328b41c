"""Latency and interval, to the cycle, from the units' schedules and depths: a recurrence, no simulation.

Source and sink never stall. Frame by frame, unit by unit, the recurrence follows the events that decide everything:
when a frame's last beat is taken, when the steps that complete a row are issued, when sums are taken, pushed and
popped, and when an input buffer is free again. A unit's steps run one a cycle except in the cycles in which its output
FIFO holds more than ``fifo_ahead`` results.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sterna.hw.graph.plan import AcceleratorPlan
from sterna.hw.parts.argmax import ARGMAX_LATENCY
from sterna.hw.parts.fifo import FIFO_LATENCY
from sterna.hw.units.dense.dense import ISSUE_TO_END, ISSUE_TO_RELEASE, LEVEL_TO_STALL, TAKE_TO_SUM, DensePlan
from sterna.hw.units.dense.sequencer import ACCEPT_TO_ISSUE


@dataclass(frozen=True)
class Timing:
    """Cycles of an accelerator whose source and sink never stall.

    Attributes
    ----------
    latency : int
        From the first input transfer of a frame to its last output transfer, the accelerator being empty.
    period_frames, period_cycles : int
        In the steady state, output repeats after so many frames, so many cycles later.
    settled_frames : int
        Frames before the steady state.
    largest_gap : int
        Most cycles between the last output transfers of two successive frames, in the steady state.
    unit_intervals : tuple of Fraction
        The interval of each unit alone.
    """

    latency: int
    period_frames: int
    period_cycles: int
    settled_frames: int
    largest_gap: int
    unit_intervals: tuple[Fraction, ...]

    @property
    def interval(self) -> Fraction:
        """Mean cycles from a frame's last output transfer to the next one's, in the steady state."""
        return Fraction(self.period_cycles, self.period_frames)


@dataclass
class _Unit:
    """A unit's state between frames. All times are cycles."""

    plan: DensePlan
    last_issue: int = -1
    last_take: int = -1
    last_pop: int = -1
    last_transfer: int = -1
    releases: list[int] = field(default_factory=list)
    pops: deque[int] = field(default_factory=deque)
    blocked: deque[tuple[int, int]] = field(default_factory=deque)

    def state(self, now: int) -> tuple[object, ...]:
        """All that decides about later frames, as seen in cycle ``now``."""
        while self.blocked and self.blocked[0][1] <= self.last_issue:
            self.blocked.popleft()
        last = (self.last_issue, self.last_take, self.last_pop, self.last_transfer, *self.releases[-2:])
        blocked = tuple((begin - now, end - now) for begin, end in self.blocked)
        return (*(time - now for time in last), tuple(time - now for time in self.pops), blocked)

    def ready(self, frame: int) -> int:
        """First cycle in which a beat of a frame can be taken."""
        return self.releases[frame - 2] if frame >= 2 else 0

    def compute(self, accepted: int, sink_ready: int) -> list[int]:
        """Transfer times of a frame's results, in order.

        Parameters
        ----------
        accepted : int
            Cycle of the frame's last input transfer.
        sink_ready : int
            First cycle in which the frame's results are taken.
        """
        schedule = self.plan.schedule
        last_step = schedule.steps - 1
        ends = schedule.ends.tolist()
        causes = sorted((min(end, last_step), k) for k, end in enumerate(ends))
        complete: dict[int, int] = {}
        transfers: list[int] = []
        # ACCEPT_TO_ISSUE is at least the one cycle that separates a frame's first step from the last one's
        step, time = -1, max(accepted + ACCEPT_TO_ISSUE - 1, self.last_issue)
        for cause, k in causes:
            time = self._advance(time, cause - step)
            step = cause
            complete[k] = time + ISSUE_TO_END + (ends[k] - cause)
            while len(transfers) in complete:
                transfers.append(self._take(complete[len(transfers)], sink_ready))
        self.last_issue = time
        self.releases.append(time + ISSUE_TO_RELEASE)
        return transfers

    def _advance(self, time: int, steps: int) -> int:
        """Cycle of the step that is ``steps`` after the one issued in ``time``."""
        while steps:
            while self.blocked and self.blocked[0][1] <= time:
                self.blocked.popleft()
            if not self.blocked or time + steps < self.blocked[0][0]:
                return time + steps
            begin, end = self.blocked[0]
            if time < begin:
                steps -= begin - 1 - time
            time = end
        return time

    def _take(self, complete: int, sink_ready: int) -> int:
        """Takes a sum; gives the cycle in which its result leaves."""
        self.last_take = max(self.last_take, complete) + 1
        pushed = self.last_take + TAKE_TO_SUM + self.plan.tables.latency
        # the output register takes a result from the FIFO in the cycle in which it gives the one before away
        self.last_pop = max(pushed + 1, self.last_pop + 1, self.last_transfer)
        self.last_transfer = max(self.last_pop + FIFO_LATENCY - 1, sink_ready)
        self.pops.append(self.last_pop)
        if len(self.pops) > self.plan.fifo_ahead:
            waited = self.pops.popleft()
            if waited > pushed:
                self.blocked.append((pushed + 1 + LEVEL_TO_STALL, waited + LEVEL_TO_STALL))
        return self.last_transfer


def _run(units: list[_Unit], frame: int, accepted: int) -> tuple[int, int]:
    """(last input transfer, last output transfer) of a frame, the one before having been accepted in ``accepted``."""
    accepted = max(accepted + 1, units[0].ready(frame)) + units[0].plan.beats - 1
    last = accepted
    for k, unit in enumerate(units):
        sink_ready = units[k + 1].ready(frame) if k + 1 < len(units) else 0
        last = unit.compute(last, sink_ready)[-1]
    return accepted, last


@dataclass(frozen=True)
class _Steady:
    """The steady state of a chain: what repeats, from when on, and the frames' last output transfers until then."""

    settled: int
    frames: int
    outputs: tuple[int, ...]

    @property
    def cycles(self) -> int:
        return self.outputs[self.settled + self.frames] - self.outputs[self.settled]

    @property
    def largest_gap(self) -> int:
        steady = self.outputs[self.settled :]
        return max(b - a for a, b in itertools.pairwise(steady))


def _settle(plans: Sequence[DensePlan]) -> _Steady:
    """Runs frames until the units' state is one that was there before: from then on, everything repeats."""
    units = [_Unit(plan) for plan in plans]
    seen: dict[tuple[object, ...], int] = {}
    outputs: list[int] = []
    accepted = -1
    while True:
        accepted, last = _run(units, len(outputs), accepted)
        outputs.append(last)
        state = (accepted - last, *(unit.state(last) for unit in units))
        frame = len(outputs) - 1
        if state in seen:
            return _Steady(seen[state], frame - seen[state], tuple(outputs))
        seen[state] = frame


def compute_timing(plan: AcceleratorPlan) -> Timing:
    """Latency and interval of an accelerator, and each unit's own interval."""
    steady = _settle(plan.units)
    alone = [_settle([unit]) for unit in plan.units]
    return Timing(
        latency=steady.outputs[0] + (ARGMAX_LATENCY if plan.config.argmax else 0),
        period_frames=steady.frames,
        period_cycles=steady.cycles,
        settled_frames=steady.settled,
        largest_gap=steady.largest_gap,
        unit_intervals=tuple(Fraction(unit.cycles, unit.frames) for unit in alone),
    )
