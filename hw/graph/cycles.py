"""Latency and interval, to the cycle, from the units' schedules and depths: a recurrence, no simulation.

Source and sink never stall. Frame by frame, unit by unit, the recurrence follows the events that decide everything:
when a frame's last beat is taken, when the steps that complete a row are issued, when sums are taken, pushed and
popped, and when an input buffer is free again. A unit's steps run one a cycle except in the cycles in which its output
FIFO holds more than ``fifo_ahead`` results.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sterna.hw.graph.plan import AcceleratorPlan
from sterna.hw.parts.argmax import ARGMAX_LATENCY
from sterna.hw.parts.fifo import FIFO_LATENCY
from sterna.hw.units.dense.dense import ISSUE_TO_END, ISSUE_TO_RELEASE, LEVEL_TO_STALL, TAKE_TO_SUM, DensePlan
from sterna.hw.units.dense.sequencer import ACCEPT_TO_ISSUE

#: The interval is that between this frame's last output transfer and the one before it (docs/hardware.md).
SETTLED_FRAME = 9


@dataclass(frozen=True)
class Timing:
    """Cycles of an accelerator.

    Attributes
    ----------
    latency : int
        From the first input transfer of a frame to its last output transfer, the accelerator being empty.
    interval : int
        Between the last output transfers of consecutive frames, after 8 frames.
    unit_intervals : tuple of int
        The same for each unit alone.
    """

    latency: int
    interval: int
    unit_intervals: tuple[int, ...]


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


def _run(units: list[_Unit], frames: int) -> tuple[int, list[int]]:
    """(first input transfer, each frame's last output transfer)."""
    outputs = []
    accepted = -1
    for frame in range(frames):
        accepted = max(accepted + 1, units[0].ready(frame)) + units[0].plan.beats - 1
        last = accepted
        for k, unit in enumerate(units):
            sink_ready = units[k + 1].ready(frame) if k + 1 < len(units) else 0
            last = unit.compute(last, sink_ready)[-1]
        outputs.append(last)
    return 0, outputs


def _interval(plans: list[DensePlan]) -> int:
    _, outputs = _run([_Unit(plan) for plan in plans], SETTLED_FRAME + 1)
    return outputs[SETTLED_FRAME] - outputs[SETTLED_FRAME - 1]


def compute_timing(plan: AcceleratorPlan) -> Timing:
    """Latency and interval of an accelerator, and each unit's own interval."""
    units = list(plan.units)
    first, outputs = _run([_Unit(unit) for unit in units], 1)
    return Timing(
        latency=outputs[0] - first + (ARGMAX_LATENCY if plan.config.argmax else 0),
        interval=_interval(units),
        unit_intervals=tuple(_interval([unit]) for unit in units),
    )
