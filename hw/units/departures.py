"""When results leave a pipeline that nothing stops, and that a beat enters only if its results have a place."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sterna.hw.graph.events import Channel, Process
from sterna.hw.parts.fifo import FIFO_LATENCY
from sterna.hw.parts.outlet import Outlet


@dataclass(eq=False, kw_only=True)
class Departures:
    """Follows the places of an :class:`~sterna.hw.parts.outlet.Outlet`, and its results to the stream."""

    outlet: Outlet
    results: Channel
    _last_pop: int = -1
    _left: deque[int] = field(default_factory=deque)  # when beats left whose places nothing has taken yet

    def __post_init__(self) -> None:
        self._left.extend([-1] * self.outlet.depth)

    def state(self, now: int) -> tuple[int, ...]:
        """All times that later beats may depend on; what left before ``now`` holds nothing up any more."""
        return (self._last_pop, *(max(time, now) for time in self._left))

    def shift(self, cycles: int) -> None:
        """Moves all of them."""
        self._last_pop += cycles
        self._left = deque(time + cycles for time in self._left)

    def place(self) -> int:
        """Takes a place; gives the first cycle in which a beat can begin with it."""
        return self._left.popleft() + 1

    def leave(self, begun: int) -> Process:
        """Offers the results of a beat that began in a cycle, and waits until they have left."""
        pushed = begun + self.outlet.latency
        # the output register takes a result from the FIFO in the cycle in which it gives the one before away
        self._last_pop = max(pushed + 1, self._last_pop + 1, self.results.last)
        self.results.offer(self._last_pop + FIFO_LATENCY - 1)
        yield self.results, self.results.count + len(self.results.offers)
        self._left.append(self.results.last)
