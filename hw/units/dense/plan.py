"""A dense unit before it is hardware: its schedule, what its requantizer stores, and its depths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.lib import wiring

from sterna.hw.config import ESCAPE_PRICE, SLACK
from sterna.hw.graph.events import Channel
from sterna.hw.graph.stream import StreamType, whole
from sterna.hw.index.memory import image_of
from sterna.hw.index.schedule import Schedule, compile_schedule
from sterna.hw.parts.codes import in_order, select
from sterna.hw.parts.fifo import fifo_depth
from sterna.hw.parts.loadable import MemoryImage
from sterna.hw.parts.rom import BLOCK_DEPTH
from sterna.hw.parts.tables import Tables, code_shape, plan_tables
from sterna.hw.units.dense.component import DenseUnit
from sterna.hw.units.dense.layer import DenseLayer
from sterna.hw.units.dense.logic import count_dense
from sterna.hw.units.dense.pipeline import ISSUE_TO_END, LEVEL_TO_STALL, TAKE_TO_SUM
from sterna.hw.units.dense.timing import DenseClockwork
from sterna.hw.units.logic import Parts
from sterna.hw.units.memories import escape_memories, index_memories, outlet_memories
from sterna.hw.units.protocol import MemoryUse, Work
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class DensePlan:
    """A dense unit; see :class:`~sterna.hw.units.protocol.Unit`.

    Attributes
    ----------
    layer : DenseLayer
        What is computed, its columns in the order of the stream.
    stream : StreamType
        Input.
    schedule : Schedule
    tables : Tables
        What the requantizer stores.
    loaded : bool
        The index words are loaded: the bitstream does not have them.
    """

    layer: DenseLayer
    stream: StreamType
    schedule: Schedule
    tables: Tables
    loaded: bool = False

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.layer.name,)

    @property
    def inputs(self) -> tuple[StreamType, ...]:
        return (self.stream,)

    @property
    def output(self) -> StreamType:
        channels = len(self.layer.channels) + len(self.layer.constants) + len(self.layer.unused)
        order = tuple(int(self.layer.channels[row]) for row in self.order)
        return StreamType(element=self.tables.output_shape, shape=(channels,), order=order)

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

    @cached_property
    def image(self) -> MemoryImage | None:
        """What the index memory is loaded with; None where the bitstream fills it."""
        return image_of(self.schedule) if self.loaded else None

    @cached_property
    def in_flight(self) -> int:
        """Most results that may still come once the issue of steps stops: the FIFO's room for them."""
        return self.schedule.in_flight(ISSUE_TO_END + TAKE_TO_SUM + self.tables.latency + LEVEL_TO_STALL + 1)

    @property
    def fifo_depth(self) -> int:
        """Results that the output FIFO holds."""
        return fifo_depth(self.in_flight)

    @property
    def fifo_ahead(self) -> int:
        """Results that may stand in the FIFO while steps are issued; 2 at least, so that no free flow stalls."""
        return self.fifo_depth - self.in_flight

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
        return (*index_memories(schedule, self.image), *escape_memories(schedule), *buffers, *marks, *outlet)

    @property
    def logic(self) -> Parts:
        return count_dense(self)

    def clockwork(self, inputs: Sequence[Channel], output: Channel) -> DenseClockwork:
        (beats,) = inputs
        return DenseClockwork(plan=self, beats=beats, results=output)

    def component(self, *, framed: bool) -> wiring.Component:
        return DenseUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        schedule = self.schedule
        return {
            "kind": "dense",
            "rows": self.results,
            "columns": self.layer.weights.shape[1],
            "nonzeros": schedule.nonzeros,
            "utilization": schedule.utilization,
            "index_bits": schedule.bits,
            "word": {
                "run_width": schedule.format.run_width,
                "escape_width": schedule.format.escape_width,
                "step_width": schedule.format.width,
            },
            "escapes": [len(group) for group in schedule.escapes] if schedule.format.escape_width else [],
            "requantizer": type(self.tables).__name__.removesuffix("Tables").lower(),
            "table_bits": self.tables.bits,
            "fifo_depth": self.fifo_depth,
            "constant_channels": {str(c): v for c, v in sorted(self.layer.constants.items())},
            "unused_channels": list(self.layer.unused),
        }


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

    Raises
    ------
    ValueError
        If ``lanes`` is out of range; the message names the layer.
    """
    rows = layer.weights.shape[0]
    if not 1 <= lanes <= rows:
        raise InvalidValueError(
            f"layer '{layer.name}' has {rows} rows to compute and cannot use {lanes} lanes: give it 1 to {rows}"
        )
    if stream is None:
        stream = whole(layer.inputs.shape, code_shape(layer.input_type), elements=elements)
    else:
        layer = _permuted(layer, stream)
    if order is not None:
        layer = in_order(layer, order)
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


def _permuted(layer: DenseLayer, stream: StreamType) -> DenseLayer:
    """The layer with its columns in the order in which the stream brings them.

    What the layer does not read, and the padding between runs of neighbours, has columns without weights.
    """
    column = {int(index): k for k, index in enumerate(layer.inputs)}
    places = stream.places()
    if len(stream.shape) == 1:
        places = places[: stream.run]  # the last beat's padding comes after all columns
    order = np.array([column.get(int(index), len(column)) for index in places])
    weights = np.pad(layer.weights, ((0, 0), (0, 1)))
    return replace(layer, weights=weights[:, order], inputs=places)
