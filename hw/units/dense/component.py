"""The dense unit in hardware: lanes over rows, their common control, collector, requantizer and output FIFO."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.index.escapes import hand_out
from sterna.hw.index.memory import fetch_words
from sterna.hw.index.sequencer import Sequencer
from sterna.hw.parts.fifo import ResultFifo
from sterna.hw.parts.loadable import halved_members, load_members
from sterna.hw.parts.pipeline import stages
from sterna.hw.parts.requantize import requantizer
from sterna.hw.parts.rom import delay
from sterna.hw.units.dense.lane import Lane
from sterna.hw.units.dense.loader import Loader
from sterna.hw.units.dense.pipeline import LOAD_LATENCY, TAKE_TO_SUM, Stage

if TYPE_CHECKING:
    from sterna.hw.units.dense.plan import DensePlan


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
    load : ``In(LoadSignature)``
        Fills the index memory, where the plan has it loaded.
    half : ``In(1)``
        Which half of that memory is read, where it has two.
    o_valid : ``Out(1)``; o_sum : ``Out(signed(...))``
        A row's sum.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    stall: Signal
    load: Any  # the members of LoadSignature
    half: Signal
    o_valid: Signal
    o_sum: Signal

    def __init__(self, plan: DensePlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        self._acc_shape = plan.tables.sum_shape
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                "stall": In(1),
                **load_members(plan.image),
                **({"half": In(1)} if plan.halved else {}),
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
        load, half = self.load if plan.image is not None else None, self.half if plan.halved else None
        word = fetch_words(m, schedule, sequencer.step, image=plan.image, load=load, half=half)
        m.d.comb += [
            loader.valid.eq(self.i.valid),
            loader.last.eq(self.i_last),
            self.i.ready.eq(loader.ready),
            self.error.eq(loader.error),
            sequencer.waiting.eq(loader.waiting),
            sequencer.stall.eq(self.stall),
            loader.begun.eq(sequencer.issue & sequencer.last),
        ]

        valid, last = stages(m, Stage, valid=sequencer.issue, last=sequencer.last & sequencer.issue)
        entering = delay(m, sequencer.entering, Stage.MOVE, "entering")
        bank = Signal()
        m.d.sync += bank.eq(bank ^ last[Stage.READ])
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
                lane.control.position.eq(valid[Stage.MOVE]),
                lane.control.entering.eq(entering),
                lane.control.bank.eq(bank),
                lane.control.activation.eq(valid[Stage.HOLD]),
                lane.control.finish.eq(last[Stage.ADD]),
                lane.control.write.eq(loader.write),
                lane.control.write_bank.eq(loader.bank),
                lane.control.write_address.eq(loader.address),
                lane.control.write_data.eq(written),
            ]
        if fmt.escape_width:
            hand_out(m, schedule, lanes, valid[Stage.DECODE])
        self._collect(m, lanes)
        return m

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
    load : ``In(LoadSignature)``
        Fills the index memory, where the plan has it loaded.
    half : ``In(1)``; load_0, load_1, … : ``In(LoadSignature)``
        Of that memory and the requantizer's tables, where other weights can be loaded meanwhile.
    o : ``Out(stream.Signature(result))``
        One result a beat.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    load: Any  # the members of LoadSignature
    half: Signal
    o: stream.Interface

    def __init__(self, plan: DensePlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                **load_members(plan.image),
                **halved_members(plan.tables.images),
                "o": Out(stream.Signature(plan.tables.output_shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = core = DenseCore(self._plan, framed=self._framed)
        m.submodules.requantizer = codes = requantizer(self._plan.tables)
        m.submodules.fifo = fifo = ResultFifo(shape=self._plan.tables.output_shape, depth=self._plan.fifo_depth)
        wiring.connect(m, wiring.flipped(self.i), core.i)
        if self._plan.image is not None:
            wiring.connect(m, wiring.flipped(self.load), core.load)
        if self._plan.halved:
            m.d.comb += [core.half.eq(self.half), codes.half.eq(self.half)]
            for k in range(len(self._plan.tables.images)):
                wiring.connect(m, wiring.flipped(getattr(self, f"load_{k}")), getattr(codes, f"load_{k}"))
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
