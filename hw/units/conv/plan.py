"""A convolution unit before it is hardware: its schedule, what its requantizers store, and its depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from amaranth.lib import wiring

from sterna.hw.config import ESCAPE_PRICE, SLACK
from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType
from sterna.hw.index.schedule import Schedule, compile_schedule
from sterna.hw.parts.codes import in_order, select
from sterna.hw.parts.tables import plan_tables
from sterna.hw.units.conv.component import ConvUnit
from sterna.hw.units.conv.layer import ConvLayer
from sterna.hw.units.conv.logic import count_conv
from sterna.hw.units.conv.pipeline import ISSUE_TO_END, LEVEL_TO_STALL, TAKE_TO_SUM
from sterna.hw.units.conv.rows import RowWord
from sterna.hw.units.conv.taps import TapOrder
from sterna.hw.units.conv.timing import ConvClockwork
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import escape_memories, index_memories, outlet_memories
from sterna.hw.units.protocol import Delivery, MemoryUse, Work
from sterna.hw.units.weighted import WeightedPlan
from sterna.net.errors import InvalidValueError

#: Results leave as suits the unit.
ANY = Delivery()
#: Share of the steps that sums which wait for their requantizer may cost before it gets twice as wide.
WAITS = 0.02


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvPlan(WeightedPlan[ConvLayer]):
    """A convolution unit; see :class:`~sterna.hw.units.protocol.Unit`. The schedule is that of one output row.

    Attributes
    ----------
    taps : TapOrder
        What the schedule's columns are.
    elements : int
        Results in a beat.
    compact : bool
        See :class:`~sterna.hw.units.conv.group.Group`.
    """

    ISSUE_TO_STALL = ISSUE_TO_END + TAKE_TO_SUM + LEVEL_TO_STALL + 1

    taps: TapOrder
    elements: int
    compact: bool = False

    @property
    def output(self) -> StreamType:
        layer = self.layer
        return StreamType(
            element=self.tables.output_shape,
            shape=(layer.all_channels, layer.geometry.rows, layer.geometry.columns),
            order=self.sent,
            elements=self.elements,
        )

    @property
    def lanes(self) -> int:
        return self.schedule.lanes * self.layer.geometry.columns

    @property
    def channels(self) -> int:
        """Output channels that are computed."""
        return len(self.layer.weights)

    @property
    def row_word(self) -> RowWord:
        """The ring's words."""
        return RowWord.of(self.stream, compact=self.compact)

    @property
    def slots(self) -> int:
        """Input rows that the ring holds."""
        return self.layer.geometry.slots

    @property
    def work(self) -> Work:
        return Work(
            steps=self.schedule.steps * self.layer.geometry.rows, beats=self.stream.beats, results=self.output.beats
        )

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        schedule = self.schedule
        depth, word = self.slots * self.taps.channels, self.row_word.width
        buffers = [MemoryUse(name=f"group_{k}", depth=depth, width=word, writable=True) for k in range(schedule.lanes)]
        code = self.elements * self.tables.output_shape.width
        outlet = outlet_memories(self.tables, depth=self.fifo_depth, width=code, sums=self.elements)
        return (*index_memories(schedule, self.image), *escape_memories(schedule), *buffers, *outlet)

    @property
    def logic(self) -> Parts:
        return count_conv(self)

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> ConvClockwork:
        (beats,) = inputs
        return ConvClockwork(plan=self, beats=beats, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        return ConvUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "ring_rows": self.slots}


def plan_conv(
    layer: ConvLayer,
    *,
    lanes: int,
    stream: StreamType,
    delivery: Delivery = ANY,
    slack: float = SLACK,
    escape_price: int = ESCAPE_PRICE,
    loaded: bool = False,
    compact: bool = False,
    cycles: int | None = None,
) -> ConvPlan:
    """Compiles a layer, with as few requantizers as keep the pace.

    Parameters
    ----------
    layer : ConvLayer
    lanes : int
        A multiple of the output map's columns, up to as many rows of them as there are channels.
    stream : StreamType
        What comes in.
    delivery : Delivery
        How results leave.
    slack : float
    escape_price : int
        As in :func:`compile_schedule`.
    loaded : bool
        The index words are loaded, and have no escapes: these would be a second memory.
    compact : bool
        See :class:`~sterna.hw.units.conv.group.Group`.
    cycles : int, optional
        Of a frame, that are enough; without them, requantizers cost no more than ``WAITS`` of the steps.

    Raises
    ------
    ValueError
        If ``lanes`` is out of range; the message names the layer.
    """
    columns, channels = layer.geometry.columns, len(layer.weights)
    groups, rest = divmod(lanes, columns)
    if rest or not 1 <= groups <= channels:
        raise InvalidValueError(
            f"layer '{layer.name}' computes {columns} pixels of a row at once and cannot use {lanes} lanes: give it a "
            f"multiple of {columns} up to {columns * channels}"
        )
    layer = _permuted(layer, stream)
    if delivery.order is not None:
        layer = in_order(layer, delivery.order)
    empty = not layer.weights.reshape(channels, -1).any(axis=1).all()
    taps = TapOrder(kernel=layer.geometry.kernel, channels=layer.weights.shape[1], vacant=empty)
    matrix = taps.matrix(layer.weights)

    def compiled(elements: int) -> Schedule:
        return compile_schedule(
            matrix,
            lanes=groups,
            natural=delivery.order is not None,
            slack=slack,
            escape_price=escape_price,
            escapes=not loaded,
            fixed=True,
            hold=-(-columns // elements),
        )

    elements = delivery.elements or 1
    schedule = compiled(elements)
    if delivery.elements is None:
        least = compiled(columns).steps
        enough = least * (1 + WAITS) if cycles is None else max(cycles // layer.geometry.rows, least)
        while schedule.steps > enough:
            elements = delivery.together if elements == 1 < delivery.together else 2 * elements
            schedule = compiled(elements)
    order = np.array(schedule.order)
    low, high = layer.bounds
    tables = plan_tables(select(layer.requantize, order), offset=layer.offset[order], low=low[order], high=high[order])
    return ConvPlan(
        layer=layer,
        stream=stream,
        taps=taps,
        schedule=schedule,
        elements=elements,
        tables=tables,
        loaded=loaded,
        compact=compact,
    )


def _permuted(layer: ConvLayer, stream: StreamType) -> ConvLayer:
    """The layer with its input channels in the order in which the stream brings them; 0 for what it does not read."""
    place = {int(channel): k for k, channel in enumerate(layer.inputs)}
    order = np.array([place.get(channel, len(place)) for channel in stream.order])
    weights = np.pad(layer.weights, ((0, 0), (0, 1), (0, 0), (0, 0)))
    return replace(layer, weights=weights[:, order], inputs=np.array(stream.order))
