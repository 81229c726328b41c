"""A dense layer: lanes over rows, their shared control, the collector, the requantizer and the output FIFO."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.graph.lower import DenseLayer, select
from sterna.hw.parts.fifo import ResultFifo
from sterna.hw.parts.requantize import requantizer
from sterna.hw.parts.rom import delay
from sterna.hw.parts.tables import Tables, code_shape, plan_tables
from sterna.hw.units.dense.escapes import Escapes
from sterna.hw.units.dense.lane import Lane
from sterna.hw.units.dense.schedule import ESCAPE_PRICE, SLACK, Schedule, compile_schedule
from sterna.hw.units.dense.sequencer import LOAD_LATENCY, Loader, Sequencer
from sterna.net.errors import InvalidValueError

#: Cycles from the issue of a frame's last step to the first in which a beat can be taken into its buffer.
ISSUE_TO_RELEASE = 3
#: Cycles from the issue of the step at whose time a row ends to the cycle before its sum can be taken.
ISSUE_TO_END = 6
#: Cycles from a sum's taking to the requantizer's input.
TAKE_TO_SUM = 2
#: Cycles from the FIFO's level to the stop of issue.
LEVEL_TO_STALL = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class DensePlan:
    """A dense unit before it is hardware: schedule, tables and depths.

    Attributes
    ----------
    layer : DenseLayer
        What is computed.
    elements : int
        Input elements in a beat.
    schedule : Schedule
    tables : Tables
        What the requantizer stores.
    """

    layer: DenseLayer
    elements: int
    schedule: Schedule
    tables: Tables

    @property
    def name(self) -> str:
        """The node's name."""
        return self.layer.name

    @property
    def beats(self) -> int:
        """Input beats of a frame."""
        return -(-self.layer.weights.shape[1] // self.elements)

    @property
    def results(self) -> int:
        """Results of a frame."""
        return self.layer.weights.shape[0]

    @property
    def order(self) -> tuple[int, ...]:
        """Row of the layer of each result."""
        return self.schedule.order

    @property
    def in_flight(self) -> int:
        """Most results that may still come once the issue of steps stops: the FIFO's room for them."""
        schedule = self.schedule
        visible = schedule.taken + ISSUE_TO_END + TAKE_TO_SUM + self.tables.latency + LEVEL_TO_STALL + 1
        caused = np.minimum(schedule.ends, schedule.steps - 1)
        frames = 3 + int(visible.max()) // schedule.steps
        visible = np.concatenate([visible + f * schedule.steps for f in range(frames)])
        caused = np.sort(np.concatenate([caused + f * schedule.steps for f in range(frames)]))
        visible.sort()
        issued = np.searchsorted(caused, caused, side="right")
        seen = np.searchsorted(visible, caused, side="right")
        return int((issued - seen).max())

    @property
    def fifo_depth(self) -> int:
        """Results that the output FIFO holds, a power of two."""
        return 1 << (self.in_flight + 1).bit_length()

    @property
    def fifo_ahead(self) -> int:
        """Results that may stand in the FIFO while steps are issued; 2 at least, so that no free flow stalls."""
        return self.fifo_depth - self.in_flight


def plan_dense(
    layer: DenseLayer,
    *,
    lanes: int,
    elements: int = 1,
    natural: bool = False,
    slack: float = SLACK,
    escape_price: int = ESCAPE_PRICE,
) -> DensePlan:
    """Compiles a layer.

    Parameters
    ----------
    layer : DenseLayer
    lanes : int
        1 to the layer's rows.
    elements : int
        Input elements in a beat, a power of two.
    natural : bool
        Results leave in the rows' own order.
    slack : float
    escape_price : int
        As in :func:`compile_schedule`.

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
    schedule = compile_schedule(
        layer.weights, lanes=lanes, elements=elements, natural=natural, slack=slack, escape_price=escape_price
    )
    order = np.array(schedule.order)
    low, high = layer.bounds
    tables = plan_tables(select(layer.requantize, order), offset=layer.offset[order], low=low[order], high=high[order])
    return DensePlan(layer=layer, elements=elements, schedule=schedule, tables=tables)


def input_signature(plan: DensePlan) -> stream.Signature:
    """Stream of a unit's input beats: an array of codes, element 0 in the low bits."""
    return stream.Signature(data.ArrayLayout(code_shape(plan.layer.input_type), plan.elements))


class DenseCore(wiring.Component):
    """From input beats to sums in the order of results: everything of a dense unit but requantization and FIFO.

    Cycles follow the nonzeros: ``schedule.steps`` a frame. Input loading overlaps computing. Input stalls only while
    both buffers are in use. Sums leave without backpressure; ``stall`` stops the issue of steps, and words in flight
    still drain.

    Parameters
    ----------
    plan : :class:`DensePlan`
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` must come with the frame's last beat (see :class:`Loader`).

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
        A beat of neighbouring elements.
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`Loader`.
    stall : ``In(1)``
        No step is issued in this cycle.
    o_valid : ``Out(1)``; o_sum : ``Out(signed(...))``
        A row's sum.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    stall: Signal
    o_valid: Signal
    o_sum: Signal

    def __init__(self, plan: DensePlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        self._acc_shape = plan.tables.sum_shape
        super().__init__(
            {
                "i": In(input_signature(plan)),
                "i_last": In(1),
                "error": Out(1),
                "stall": In(1),
                "o_valid": Out(1),
                "o_sum": Out(self._acc_shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, schedule = self._plan, self._plan.schedule
        window, fmt = schedule.window, schedule.format
        m.submodules.loader = loader = Loader(window=window, framed=self._framed)
        written = delay(m, self.i.payload.as_value(), LOAD_LATENCY, "written")
        m.submodules.sequencer = sequencer = Sequencer(steps=schedule.steps, entry=schedule.entry)
        index: Memory = Memory(shape=unsigned(fmt.width), depth=schedule.steps, init=schedule.packed())
        m.submodules.index = index
        fetch = index.read_port()
        word = Signal(fmt.width, reset_less=True)
        m.d.comb += [
            loader.valid.eq(self.i.valid),
            loader.last.eq(self.i_last),
            self.i.ready.eq(loader.ready),
            self.error.eq(loader.error),
            sequencer.waiting.eq(loader.waiting),
            sequencer.stall.eq(self.stall),
            loader.begun.eq(sequencer.issue & sequencer.last),
            fetch.addr.eq(sequencer.step),
        ]
        m.d.sync += word.eq(fetch.data)

        # stage 0 issues, 1 fetches, 2 merges escapes, 3 moves, 4 reads the buffer, 5 holds the code, 6 inverts it,
        # 7 adds it
        valid = [sequencer.issue]
        last = [sequencer.last & sequencer.issue]
        for stage in range(1, 8):
            valid.append(delay(m, valid[-1], 1, f"valid_{stage}"))
            last.append(delay(m, last[-1], 1, f"last_{stage}"))
        entering = delay(m, sequencer.entering, 3, "entering")
        bank = Signal()
        m.d.sync += bank.eq(bank ^ last[4])
        # the last read is at stage 4, in the cycle before a beat that is taken from now on can be written
        m.d.comb += loader.released.eq(last[2])

        lanes = []
        for k in range(fmt.lanes):
            lane = Lane(
                word_format=fmt,
                window=window,
                start=schedule.start[k],
                activation=plan.layer.input_type,
                elements=plan.elements,
                acc_width=self._acc_shape.width,
            )
            m.submodules[f"lane_{k}"] = lane
            lanes.append(lane)
            m.d.comb += [
                lane.word.eq(word.word_select(k, fmt.lane_width)),
                lane.control.position.eq(valid[3]),
                lane.control.entering.eq(entering),
                lane.control.bank.eq(bank),
                lane.control.activation.eq(valid[5]),
                lane.control.finish.eq(last[7]),
                lane.control.write.eq(loader.write),
                lane.control.write_bank.eq(loader.bank),
                lane.control.write_address.eq(loader.address),
                lane.control.write_data.eq(written),
            ]
        if fmt.escape_width:
            self._hand_out(m, lanes, valid[2])
        self._collect(m, lanes)
        return m

    def _hand_out(self, m: Module, lanes: list[Lane], valid: Signal) -> None:
        """Gives each group's lanes its escapes; in a step, one at most takes it."""
        schedule = self._plan.schedule
        for group, entries in enumerate(schedule.escapes):
            m.submodules[f"escapes_{group}"] = escapes = Escapes(word_format=schedule.format, entries=entries)
            members = [lane for k, lane in enumerate(lanes) if schedule.format.group(k) == group]
            m.d.comb += escapes.take.eq(valid & Cat(*(lane.escapes for lane in members)).any())
            for lane in members:
                m.d.comb += [lane.high.eq(escapes.high), lane.filler.eq(escapes.filler)]

    def _collect(self, m: Module, lanes: list[Lane]) -> None:
        """Takes the lanes' sums in turn, each as soon as it is there."""
        count, results = len(lanes), self._plan.results
        pending = Signal(count)
        turn = Signal(count, init=1)
        row = Signal(range(results))
        take = Signal()
        ended = Cat(*(lane.ended for lane in lanes))
        m.d.comb += take.eq((pending & turn).any())
        m.d.sync += pending.eq(pending & ~turn | ended)
        with m.If(take):
            m.d.sync += [row.eq(row + 1), turn.eq(turn.rotate_left(1))]
        with m.If(take & (row == results - 1)):
            m.d.sync += [row.eq(0), turn.eq(1)]
        # a register that is cleared costs no logic: the sums are selected by clearing all others, and joined by an OR
        selected = []
        for k, lane in enumerate(lanes):
            selected.append(Signal.like(lane.sum, name=f"selected_{k}"))
            m.d.sync += selected[k].eq(lane.sum)
            with m.If(~turn[k]):
                m.d.sync += selected[k].eq(0)
        m.d.sync += [
            self.o_valid.eq(delay(m, take, TAKE_TO_SUM - 1, "taken")),
            self.o_sum.eq(reduce(or_, selected)),
        ]


class DenseUnit(wiring.Component):
    """A dense layer behind its streams.

    Throughput: a frame every ``max(steps, beats)`` cycles, or more slowly if the source or the sink are slower.
    A stalled output stops the issue of steps; results on their way find room in the output FIFO. Results leave in an
    order that no stall changes.

    Parameters
    ----------
    plan : :class:`DensePlan`
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` is looked at.

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
        A beat of neighbouring elements; a partial last beat is padded.
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`Loader`.
    o : ``Out(stream.Signature(result))``
        One result a beat.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    o: stream.Interface

    def __init__(self, plan: DensePlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        super().__init__(
            {
                "i": In(input_signature(plan)),
                "i_last": In(1),
                "error": Out(1),
                "o": Out(stream.Signature(plan.tables.output_shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = core = DenseCore(self._plan, framed=self._framed)
        m.submodules.requantizer = codes = requantizer(self._plan.tables)
        m.submodules.fifo = fifo = ResultFifo(shape=self._plan.tables.output_shape, depth=self._plan.fifo_depth)
        wiring.connect(m, wiring.flipped(self.i), core.i)
        transfer = Signal()  # for simulations that follow the unit's results: NAME.json, "trace"
        m.d.comb += [
            transfer.eq(self.o.valid & self.o.ready),
            core.i_last.eq(self.i_last),
            self.error.eq(core.error),
            codes.i_valid.eq(core.o_valid),
            codes.i_sum.eq(core.o_sum),
            fifo.i_valid.eq(codes.o_valid),
            fifo.i_data.eq(codes.o_data),
        ]
        wiring.connect(m, fifo.o, wiring.flipped(self.o))
        m.d.sync += core.stall.eq(fifo.level > self._plan.fifo_ahead)
        return m
