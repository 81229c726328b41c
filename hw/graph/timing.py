"""Latency and interval, to the cycle, from the units' own timings: no simulation.

Source and sink never stall. Frames run through the units one after the other (``events.py``) until the state of all of
them is one that was there before: from then on everything repeats, and the interval is the mean over what repeats.

Before that, a unit that is faster than the ones behind it may run ahead of them for thousands of frames, a few cycles
in each, until their buffers are full. While every unit repeats by itself, and no reader keeps its producer waiting,
those frames are alike, and are passed over at once.

Units whose FIFOs hold several frames may stop and go in bursts before a slower one, in a pattern that takes ages to
repeat. Output is not touched by that: where a unit of a chain has found its input waiting for long, its own state and
that of the units behind it are enough.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sterna.hw.graph.events import Branch, Channel, Fork, Kernel
from sterna.hw.units.protocol import Clockwork, Unit

if TYPE_CHECKING:
    from sterna.hw.graph.plan import AcceleratorPlan

#: Frames after which the state of the last units is looked at alone, and in half of which their input must have waited.
PATIENCE = 2_048


class StoppedError(RuntimeError):
    """A graph of units that wait for each other: a defect, but where buffers are still being chosen."""


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


@dataclass(frozen=True)
class Steady:
    """The steady state of a graph.

    Attributes
    ----------
    first : int
        Cycles from the first input transfer to the first frame's last output transfer.
    settled : int
        Frames before it.
    gaps : tuple of int
        Cycles from each frame's last output transfer to the next one's, over one period.
    """

    first: int
    settled: int
    gaps: tuple[int, ...]

    @property
    def interval(self) -> Fraction:
        """Mean of the gaps."""
        return Fraction(sum(self.gaps), len(self.gaps))


@dataclass(frozen=True)
class _Snapshot:
    """The graph between two frames.

    Attributes
    ----------
    frame : int
        The last one that has run.
    shape : all times, each side's by themselves: those of a unit and of the streams that it reads.
    bases : what these are relative to, by unit.
    taken : last transfer over each channel.
    margins, late : of each channel, in that frame alone.
    waited : whether each unit's input decided about anything in that frame.
    output : last output transfer.
    """

    frame: int
    shape: tuple[tuple[int, ...], ...]
    bases: tuple[int, ...]
    taken: tuple[int, ...]
    margins: tuple[int, ...]
    late: tuple[int, ...]
    waited: tuple[bool, ...]
    output: int

    @property
    def state(self) -> tuple[object, ...]:
        """All times, relative to the output: where they are the same, the same follows."""
        return self.behind(0)

    def behind(self, unit: int) -> tuple[object, ...]:
        """The same of a chain's units from one on."""
        times = self.bases[unit:] + self.taken[unit:]
        return (self.shape[unit:], *(time - self.output for time in times))


class _Graph:
    """Units and the channels between them, while frames run through.

    ``sources`` names, for each unit, the units before it by number; -1 is the graph's first input, -2 its second, …
    """

    def __init__(self, units: Sequence[Unit], sources: Sequence[Sequence[int]]) -> None:
        ports = [(number, k, port) for k, before in enumerate(sources) for port, number in enumerate(before)]
        readers = Counter(number for number, _, _ in ports)
        read: dict[tuple[int, int], Channel] = {}
        given: dict[int, Channel] = {}
        for number, count in readers.items():
            its = [(k, port) for source, k, port in ports if source == number]
            if count == 1:
                given[number] = read[its[0]] = Channel()
            else:
                branches = [Branch() for _ in its]
                read.update(zip(its, branches, strict=True))
                given[number] = Fork(branches=tuple(branches))
        self._output = given[len(units) - 1] = Channel()
        beats = {number: units[k].inputs[port].beats for number, k, port in ports}
        self._inputs = [(given[number], beats[number]) for number in given if number < 0]
        self._channels = [(channel, k) for (k, _), channel in read.items()]  # and the unit that reads it
        self._beats = units[-1].output.beats
        self.chain = all(tuple(before) == (k - 1,) for k, before in enumerate(sources))
        self.works: list[Clockwork] = []
        self.frame = -1
        kernel = self._kernel = Kernel()
        for k, (unit, before) in enumerate(zip(units, sources, strict=True)):
            self.works.append(unit.clockwork([read[k, port] for port in range(len(before))], given[k]))
        kernel.watch(read.values())
        kernel.watch(given.values())
        for work in self.works:
            kernel.watch(work.marks)
            for process in work.processes():
                kernel.start(process)

    def log(self, inputs: list[int] | None, outputs: list[int] | None) -> None:
        """The time of every input and output transfer goes to these lists from now on."""
        self._inputs[0][0].log, self._output.log = inputs, outputs

    def run_frame(self, pace: int = 0) -> None:
        """One more frame; its beats come evenly, a frame every ``pace`` cycles, or as soon as they can be taken."""
        self.frame += 1
        for channel, _ in self._channels:
            channel.watch()
        for work in self.works:
            work.waited = False
        for channel, beats in self._inputs:
            for beat in range(beats):
                channel.offer(pace * self.frame + pace * beat // beats)
        self._output.ready(0, self._beats)
        self._kernel.run()
        if self._output.count % self._beats or self._output.readies:
            raise StoppedError(f"the units' timing stopped in frame {self.frame}")

    def snapshot(self) -> _Snapshot:
        states = [work.state() for work in self.works]
        read: list[list[int]] = [[] for _ in states]
        for channel, reader in self._channels:
            read[reader] += channel.readies
        sides = [(*state, *ready) for state, ready in zip(states, read, strict=True)]
        bases = [max(side, default=0) for side in sides]
        return _Snapshot(
            frame=self.frame,
            shape=tuple(tuple(time - base for time in side) for side, base in zip(sides, bases, strict=True)),
            bases=tuple(bases),
            taken=tuple(channel.last for channel, _ in self._channels),
            margins=tuple(channel.margin for channel, _ in self._channels),
            late=tuple(channel.late for channel, _ in self._channels),
            waited=tuple(work.waited for work in self.works),
            output=self._output.last,
        )

    def pass_over(self, snapshots: Sequence[_Snapshot]) -> int:
        """Passes over as many periods of a chain as are like that of the snapshots, from their first to their last.

        Returns
        -------
        int
            How many; 0 if the next one may differ.
        """
        before, now = snapshots[0], snapshots[-1]
        margins = [min(each) for each in zip(*(snapshot.margins for snapshot in snapshots[1:]), strict=True)]
        drifts = [b - a for a, b in zip(before.bases, now.bases, strict=True)]
        moves = [b - a for a, b in zip(before.taken, now.taken, strict=True)]
        periods = None
        for (_, reader), move, margin in zip(self._channels, moves, margins, strict=True):
            closing = drifts[reader] - move  # by which the reader is later, each period
            waited = any(snapshot.waited[reader] for snapshot in snapshots[1:])
            if closing < 0 or (closing and (margin < 0 or waited)):
                return 0
            if closing:
                left = margin // closing
                periods = left if periods is None else min(periods, left)
        if not periods:
            return 0
        for work, drift in zip(self.works, drifts, strict=True):
            work.shift(periods * drift)
        for (channel, reader), move in zip(self._channels, moves, strict=True):
            channel.last += periods * move
            for k in range(len(channel.readies)):
                channel.readies[k] += periods * drifts[reader]
        self._output.last += periods * (now.output - before.output)
        self.frame += periods * (now.frame - before.frame)
        return periods


#: Of each unit alone, while it is there.
_ALONE: WeakKeyDictionary[Unit, Steady] = WeakKeyDictionary()


def find_alone(unit: Unit) -> Steady:
    """The steady state of a unit alone."""
    if unit not in _ALONE:
        _ALONE[unit] = find_steady([unit], [[-1 - port for port in range(len(unit.inputs))]])
    return _ALONE[unit]


def find_steady(units: Sequence[Unit], sources: Sequence[Sequence[int]], *, pass_over: bool = True) -> Steady:
    """The steady state of a graph of units.

    Parameters
    ----------
    units : sequence of Unit
        In topological order; the last one's output is the graph's.
    sources : sequence of sequences of int
        The units that each one reads, by number; -1 is the graph's input.
    pass_over : bool
        Pass over frames that are alike. Without it, all are run, and the result is the same.
    """
    return _find_steady(tuple(units), tuple(map(tuple, sources)), pass_over)


@functools.lru_cache(maxsize=2)  # a rate that is asked for looks at the graph that is timed next
def _find_steady(units: tuple[Unit, ...], sources: tuple[tuple[int, ...], ...], pass_over: bool) -> Steady:
    graph = _Graph(units, sources)
    first = None
    whole: dict[tuple[object, ...], int] = {}
    alike: dict[tuple[object, ...], int] = {}
    snapshots: list[_Snapshot] = []
    taken: list[int] = []
    graph.log(taken, None)
    for run in itertools.count():
        graph.run_frame()
        now = graph.snapshot()
        if first is None:
            first = now.output - taken[0]  # padding may come before the first beat
            graph.log(None, None)
        snapshots.append(now)
        begin = whole.get(now.state)
        if begin is None and graph.chain and len(snapshots) > PATIENCE:
            begin = _repeats_behind(snapshots)
        if begin is not None:
            gaps = tuple(b.output - a.output for a, b in itertools.pairwise(snapshots[begin:]))
            return Steady(first=first, settled=snapshots[begin].frame, gaps=gaps)
        whole[now.state] = len(snapshots) - 1
        passes = pass_over and graph.chain and run < PATIENCE and now.shape in alike
        if passes and graph.pass_over(snapshots[alike[now.shape] :]):
            snapshots, whole, alike = [], {}, {}
            continue
        alike[now.shape] = len(snapshots) - 1
        if len(snapshots) > 8 * PATIENCE:
            break
    raise RuntimeError(f"no steady state in {run} frames")


def _repeats_behind(snapshots: Sequence[_Snapshot]) -> int | None:
    """Since when a chain's last units have repeated, as the last snapshot does, without waiting for their input."""
    now = snapshots[-1]
    for unit in range(1, len(now.bases)):
        state = now.behind(unit)
        for begin in reversed(range(len(snapshots) - 1)):
            if snapshots[begin + 1].late[unit] > 0:
                break
            if snapshots[begin].behind(unit) == state:
                waited = max((k for k, snapshot in enumerate(snapshots) if snapshot.late[unit] > 0), default=0)
                if len(snapshots) - waited > PATIENCE // 2:
                    return begin
                break
    return None


def run_frames(units: Sequence[Unit], sources: Sequence[Sequence[int]], *, pace: int, more: int) -> list[Clockwork]:
    """The units' timings once frames have run, one every ``pace`` cycles: until the first has left, and some more."""
    graph = _Graph(units, sources)
    graph.run_frame(pace)
    for _ in range(graph.snapshot().output // pace + more):
        graph.run_frame(pace)
    return graph.works


def transfer_times(units: Sequence[Unit], sources: Sequence[Sequence[int]], frames: int) -> tuple[list[int], list[int]]:
    """The cycles of every input and of every output transfer of the first frames; the first one is 0."""
    graph = _Graph(units, sources)
    inputs: list[int] = []
    outputs: list[int] = []
    graph.log(inputs, outputs)
    for _ in range(frames):
        graph.run_frame()
    return [time - inputs[0] for time in inputs], [time - inputs[0] for time in outputs]


def compute_timing(plan: AcceleratorPlan) -> Timing:
    """Latency and interval of an accelerator, and each unit's own interval."""
    steady = find_steady(plan.units, plan.sources)
    alone = [find_alone(unit) for unit in plan.units]
    return Timing(
        latency=steady.first,
        period_frames=len(steady.gaps),
        period_cycles=sum(steady.gaps),
        settled_frames=steady.settled,
        largest_gap=max(steady.gaps),
        unit_intervals=tuple(unit.interval for unit in alone),
    )
