"""Which beats a pooling window takes, along the rows of a map and down its columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from sterna.hw.graph.stream import StreamType

#: Values that are reduced in one cycle.
FAN_IN = 4


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Windows along one axis of a map.

    A pool runs along it in slots. A slot has one beat of the map; behind the last one, where results are not complete
    or more than beats, it has only padding. It completes one beat of results at most, always so many slots behind the
    one that would have the first of their windows' own places, were they not to overlap.

    Attributes
    ----------
    size : int
        Places: pixels of a row, or rows.
    kernel, stride, padding : int
    elements : int
        Places in a beat.
    """

    size: int
    kernel: int
    stride: int
    padding: int
    elements: int = 1

    @property
    def windows(self) -> int:
        """Their number."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def step(self) -> int:
        """Places from a window to the next. A single one has none behind it: any beats go into it."""
        if self.windows > 1:
            return self.stride
        return -(-max(self.kernel, self.stride) // self.elements) * self.elements

    @property
    def fit(self) -> bool:
        """Whether beats and steps go into each other."""
        return max(self.elements, self.step) % min(self.elements, self.step) == 0

    @property
    def results(self) -> int:
        """Results in a beat."""
        return max(self.elements // self.step, 1)

    @property
    def span(self) -> int:
        """Slots from a beat of results to the next."""
        return max(self.step // self.elements, 1)

    @property
    def inputs(self) -> int:
        """Beats that come in."""
        return -(-self.size // self.elements)

    @property
    def outputs(self) -> int:
        """Beats of results."""
        return -(-self.windows // self.results)

    @cached_property
    def lag(self) -> int:
        """Slots from ``k * span`` to the one that completes beat ``k`` of the results: with the last place of the map
        that one of its windows has.
        """
        lasts = (min((k + 1) * self.results, self.windows) - 1 for k in range(self.outputs))
        ends = (min(last * self.step - self.padding + self.kernel, self.size) - 1 for last in lasts)
        return max(end // self.elements - k * self.span for k, end in enumerate(ends))

    @cached_property
    def slots(self) -> int:
        """All slots."""
        return max(self.inputs, (self.outputs - 1) * self.span + self.lag + 1)

    @property
    def before(self) -> int:
        """Places before those of a slot's beat with which the results begin that it completes."""
        return self.lag * self.elements + self.padding

    @property
    def kept(self) -> int:
        """Most windows that have begun with a place or before it, and are not complete."""
        return -(-self.before // self.step)

    @property
    def oldest(self) -> int:
        """Windows that have begun after one, when it is complete."""
        return self.before // self.step

    @property
    def apart(self) -> bool:
        """Whether each place lies in one window at most, and each window has beats of its own, or lies in one."""
        return not self.padding and self.kernel <= self.step

    @property
    def gathers(self) -> bool:
        """Whether windows lie apart and have several beats each: these are reduced as they come."""
        return self.apart and self.span > 1

    @property
    def stages(self) -> int:
        """Cycles in which a window is reduced, from the beat that completes it on: ``FAN_IN`` values in each."""
        return 1 if self.gathers else max(-(-(self.kernel - 1).bit_length() // (FAN_IN - 1).bit_length()), 1)

    @property
    def taps(self) -> int:
        """Most places of the map in a window."""
        starts = (k * self.step - self.padding for k in range(self.windows))
        return max(min(start + self.kernel, self.size) - max(start, 0) for start in starts)

    def completes(self, slot: int) -> bool:
        """Whether a slot completes a beat of results."""
        beat, inside = divmod(slot - self.lag, self.span)
        return inside == 0 and 0 <= beat < self.outputs

    def begins(self, place: int) -> bool:
        """Whether a window begins with a place."""
        return (place + self.padding) % self.step == 0

    def taken(self, place: int) -> bool:
        """Whether a place lies in a window."""
        last = min((place + self.padding) // self.step, self.windows - 1)
        return place + self.padding - last * self.step < self.kernel

    def part(self, inside: int) -> int:
        """Places of a beat that lie in a window, ``inside`` beats behind its first, if windows lie apart."""
        return min(max(self.kernel - inside * self.elements, 0), self.elements)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows over a stream.

    Attributes
    ----------
    stream : StreamType
        What comes in.
    kernel, stride, padding : (vertical, horizontal)
    """

    stream: StreamType
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @cached_property
    def down(self) -> Axis:
        """Down the columns: places are rows."""
        return self._axis(0, 1)

    @cached_property
    def across(self) -> Axis:
        """Along the rows: places are pixels."""
        return self._axis(1, self.stream.elements)

    @property
    def slots(self) -> int:
        """Of a frame: row, then channel, then beat."""
        return self.down.slots * len(self.stream.order) * self.across.slots

    @property
    def taps(self) -> int:
        """Most pixels of the map in a window."""
        return prod(axis.taps for axis in (self.down, self.across))

    def _axis(self, k: int, elements: int) -> Axis:
        return Axis(
            size=self.stream.shape[1 + k],
            kernel=self.kernel[k],
            stride=self.stride[k],
            padding=self.padding[k],
            elements=elements,
        )
