"""A dense unit before it is hardware: its schedule, what its requantizer stores, and its depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.lib import wiring

from sterna.hw.config import ESCAPE_PRICE, SLACK, Room
from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.index.room import compile_room
from sterna.hw.index.schedule import compile_schedule
from sterna.hw.parts.codes import in_order, select
from sterna.hw.parts.rom import BLOCK_DEPTH
from sterna.hw.parts.tables import code_shape, plan_tables, room_tables
from sterna.hw.units.dense.component import DenseUnit
from sterna.hw.units.dense.layer import DenseLayer
from sterna.hw.units.dense.logic import count_dense
from sterna.hw.units.dense.pipeline import ISSUE_TO_END, LEVEL_TO_STALL, TAKE_TO_SUM
from sterna.hw.units.dense.timing import DenseClockwork
from sterna.hw.units.linear import permuted
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import escape_memories, index_memories, outlet_memories
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.hw.units.weighted import WeightedPlan
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class DensePlan(WeightedPlan[DenseLayer]):
    """A dense unit; see :class:`~sterna.hw.units.protocol.Unit`."""

    ISSUE_TO_STALL = ISSUE_TO_END + TAKE_TO_SUM + LEVEL_TO_STALL + 1

    @property
    def output(self) -> StreamType:
        return StreamType(element=self.tables.output_shape, shape=(self.layer.all_channels,), order=self.sent)

    @property
    def lanes(self) -> int:
        return self.schedule.lanes

    @property
    def elements(self) -> int:
        """Input elements in a beat."""
        return self.stream.elements

    @property
    def beats(self) -> int:
        """Input beats of a frame."""
        return self.stream.beats

    @property
    def results(self) -> int:
        """Results of a frame."""
        return len(self.layer.weights)

    @property
    def order(self) -> tuple[int, ...]:
        """Row of the layer of each result."""
        return self.schedule.order

    @property
    def work(self) -> Work:
        return Work(steps=self.schedule.steps, beats=self.beats, results=self.results)

    @property
    def memories(self) -> tuple[MemoryUse, ...]:
        schedule, window = self.schedule, self.schedule.window
        word, code = self.elements * self.layer.input_type.width, self.tables.output_shape.width
        buffers = [
            MemoryUse(name=f"lane_{k}", depth=2 * window.size // self.elements, width=word, writable=True)
            for k in range(self.lanes)
        ]
        live = MemoryUse(name="live", depth=self.beats, width=1, writable=False, block=self.beats > BLOCK_DEPTH)
        marks = [live] if window.map_bits else []
        outlet = outlet_memories(self.tables, depth=self.fifo_depth, width=code)
        return (
            *index_memories(schedule, self.image, halved=self.halved),
            *escape_memories(schedule),
            *buffers,
            *marks,
            *outlet,
        )

    @property
    def logic(self) -> Parts:
        return count_dense(self)

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> DenseClockwork:
        (beats,) = inputs
        return DenseClockwork(plan=self, beats=beats, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        return DenseUnit(self, framed=framed)


def plan_dense(
    layer: DenseLayer,
    *,
    lanes: int,
    elements: int = 1,
    stream: StreamType | None = None,
    order: Sequence[int] | None = None,
    slack: float = SLACK,
    escape_price: int = ESCAPE_PRICE,
    loaded: bool = False,
    room: float | Room | None = None,
) -> DensePlan:
    """Compiles a layer.

    Parameters
    ----------
    layer : DenseLayer
    lanes : int
        1 to the layer's rows.
    elements : int
        Input elements in a beat, a power of two, where no ``stream`` says so.
    stream : StreamType, optional
        What comes in; without it, the layer's inputs in their order.
    order : sequence of int, optional
        The layer's channels in the order in which results leave; without it, as suits the unit.
    slack : float
    escape_price : int
        As in :func:`compile_schedule`.
    loaded : bool
        The index words are loaded, and have no escapes: these would be a second memory.
    room : float or Room, optional
        Other weights can be loaded, as far as there is room: see :func:`compile_room`. Then nothing that becomes logic
        depends on these.

    Raises
    ------
    ValueError
        If ``lanes`` is out of range, or there is too little room; the message names the layer.
    """
    rows = layer.weights.shape[0]
    if not 1 <= lanes <= rows:
        raise InvalidValueError(
            f"layer '{layer.name}' has {rows} rows to compute and cannot use {lanes} lanes: give it 1 to {rows}"
        )
    if stream is None:
        stream = whole(layer.inputs.shape, code_shape(layer.input_type), elements=elements)
    else:
        layer = permuted(layer, stream)
    if order is not None:
        layer = in_order(layer, order)
    if room is not None:
        return _plan_room(layer, stream, lanes=lanes, room=room, natural=order is not None, slack=slack)
    schedule = compile_schedule(
        layer.weights,
        lanes=lanes,
        elements=stream.elements,
        natural=order is not None,
        slack=slack,
        escape_price=escape_price,
        escapes=not loaded,
    )
    row = np.array(schedule.order)
    low, high = layer.bounds
    tables = plan_tables(select(layer.requantize, row), offset=layer.offset[row], low=low[row], high=high[row])
    return DensePlan(layer=layer, stream=stream, schedule=schedule, tables=tables, loaded=loaded)


def _plan_room(
    layer: DenseLayer, stream: StreamType, *, lanes: int, room: float | Room, natural: bool, slack: float
) -> DensePlan:
    """A unit for any weights that have room."""
    try:
        schedule = compile_room(
            layer.weights, lanes=lanes, elements=stream.elements, room=room, natural=natural, slack=slack
        )
        row = np.array(schedule.order)
        code = layer.input_type
        bound = min(layer.weights.shape[1], schedule.steps) * max(-code.min, code.max)
        tables = room_tables(select(layer.requantize, row), offset=layer.offset[row], bound=bound)
    except InvalidValueError as error:
        raise InvalidValueError(f"layer '{layer.name}': {error}") from error
    return DensePlan(layer=layer, stream=stream, schedule=schedule, tables=tables, halved=True)
