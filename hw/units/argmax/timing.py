"""When argmax takes scores and gives indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sterna.hw.graph.events import Channel, Marks, Process
from sterna.hw.units.argmax.component import ARGMAX_LATENCY


@dataclass(eq=False, kw_only=True)
class ArgmaxClockwork:
    """Scores are taken one a cycle, but for those cycles in which an index waits."""

    scores: Channel
    indices: Channel
    count: int
    marks: Sequence[Marks] = ()
    waited: bool = True

    def processes(self) -> Sequence[Process]:
        return [self._compare()]

    def state(self) -> tuple[int, ...]:
        return ()

    def shift(self, cycles: int) -> None:
        """Nothing is kept from frame to frame."""

    def _compare(self) -> Process:
        frame = 0
        free = 0
        while True:
            # an index is given away before the next frame's first score, or in the same cycle
            self.scores.ready(free, self.count)
            frame += 1
            yield self.scores, frame * self.count
            self.waited = True
            self.indices.offer(self.scores.last + ARGMAX_LATENCY)
            yield self.indices, frame
            free = self.indices.last
