"""Exact times without a simulator: beats between units, each transferred when it is offered and its reader is ready.

A unit's timing is one or more processes, generators that say when a beat is offered or a reader is ready, and wait by
``yield (channel, count)`` until so many beats have been transferred. Times are cycles. Every time is a function of
earlier ones of the same frame and of frames before, never of later frames: so one frame after the other can be run to
its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

_FAR = 1 << 62

#: What a process waits for: so many marks or transfers in all.
Wait = tuple["Marks", int]
Process = Generator[Wait, None, None]


@dataclass(eq=False)
class Marks:
    """Times of a kind of event, in order; processes wait until there are so many.

    Attributes
    ----------
    count : int
        Events so far, in all frames.
    last : int
        Time of the last one.
    """

    count: int = 0
    last: int = -1
    waiting: list[tuple[int, Process]] = field(default_factory=list)
    kernel: Kernel | None = None

    def mark(self, time: int) -> None:
        """One more event."""
        self.count += 1
        self.last = time
        if self.waiting and self.kernel is not None:
            self.kernel.wake(self)

    def state(self) -> tuple[int, ...]:
        """All times that later events may depend on."""
        return (self.last,)

    def shift(self, cycles: int) -> None:
        """Moves all of them."""
        self.last += cycles


@dataclass(eq=False)
class Channel(Marks):
    """Beats over an edge. A beat is transferred in the first cycle in which it is offered and its reader is ready.

    Attributes
    ----------
    margin, late : int
        Least and greatest number of cycles by which a beat was offered after its reader was ready, since
        :meth:`watch`. Negative: the reader kept its producer waiting.
    log : list of int or None
        If it is a list, the time of every transfer goes there.
    offered : Marks
        Its beats' offers: for readers that take beats of several channels at once.
    """

    offers: deque[int] = field(default_factory=deque)
    readies: deque[int] = field(default_factory=deque)
    offered: Marks = field(default_factory=Marks)
    margin: int = 0
    late: int = 0
    log: list[int] | None = None

    def offer(self, time: int) -> None:
        """The next beat is there from ``time`` on."""
        self.offers.append(time)
        self.offered.mark(time)
        self._transfer()

    @property
    def there(self) -> int:
        """Since when the beat is there that is offered and not transferred yet."""
        return max(self.offers[0], self.last + 1)

    def ready(self, time: int, beats: int = 1) -> None:
        """The next beats can be taken from ``time`` on."""
        self.readies.extend([time] * beats)
        self._transfer()

    def mark(self, time: int) -> None:
        if self.log is not None:
            self.log.append(time)
        super().mark(time)

    def watch(self) -> None:
        """Begins to measure the margins anew."""
        self.margin, self.late = _FAR, -_FAR

    def state(self) -> tuple[int, ...]:
        return (self.last, *self.readies)

    def _transfer(self) -> None:
        while self.offers and self.readies:
            offer, ready = max(self.offers.popleft(), self.last + 1), self.readies.popleft()
            self.margin = min(self.margin, offer - ready)
            self.late = max(self.late, offer - ready)
            self.mark(max(offer, ready))


@dataclass(eq=False)
class Branch(Channel):
    """One of the channels that a fork's beats go to."""

    fork: Fork | None = None

    def mark(self, time: int) -> None:
        super().mark(time)
        if self.fork is not None:
            self.fork.go_on()


@dataclass(eq=False)
class Fork(Channel):
    """Beats that several readers take. Each takes a beat when it is ready; the last of them transfers it.

    Attributes
    ----------
    branches : tuple of Branch
        One for each reader.
    """

    branches: tuple[Branch, ...] = ()
    _out: bool = False  # whether the first beat of the offers has gone to the branches
    _busy: bool = False

    def __post_init__(self) -> None:
        for branch in self.branches:
            branch.fork = self

    def go_on(self) -> None:
        """Passes beats on as far as the branches have taken them."""
        if self._busy:
            return
        self._busy = True
        while self.offers:
            if not self._out:
                self._out, time = True, self.there
                for branch in self.branches:
                    branch.offer(time)
            if any(branch.count == self.count for branch in self.branches):
                break
            self._out = False
            self.offers.popleft()
            self.mark(max(branch.last for branch in self.branches))
        self._busy = False

    def _transfer(self) -> None:
        self.go_on()


class Kernel:
    """Runs processes until all of them wait."""

    def __init__(self) -> None:
        self._awake: deque[Process] = deque()

    def watch(self, marks: Iterable[Marks]) -> None:
        """Wakes processes that wait for these."""
        for each in marks:
            each.kernel = self
            if isinstance(each, Channel):
                each.offered.kernel = self

    def start(self, process: Process) -> None:
        """Adds a process."""
        self._awake.append(process)

    def wake(self, marks: Marks) -> None:
        """Goes on with the processes whose count is reached."""
        self._awake.extend(process for count, process in marks.waiting if count <= marks.count)
        marks.waiting = [(count, process) for count, process in marks.waiting if count > marks.count]

    def run(self) -> None:
        """Until every process waits for something that has not happened."""
        while self._awake:
            process = self._awake.popleft()
            for marks, count in process:
                if marks.count < count:
                    marks.waiting.append((count, process))
                    break
