"""The convolution unit in hardware: the ring of rows, groups of lanes, collector, requantizers and output FIFO."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.index.escapes import hand_out
from sterna.hw.index.memory import fetch_words
from sterna.hw.index.sequencer import Sequencer
from sterna.hw.parts.fifo import ResultFifo
from sterna.hw.parts.loadable import load_members
from sterna.hw.parts.pipeline import stages
from sterna.hw.parts.requantize import elements, requantizer, several
from sterna.hw.parts.rom import delay
from sterna.hw.units.conv.group import Group
from sterna.hw.units.conv.pipeline import TAKE_TO_SUM, Stage
from sterna.hw.units.conv.rows import RowControl, RowLoader, RowPlace

if TYPE_CHECKING:
    from sterna.hw.units.conv.plan import ConvPlan


class ConvCore(wiring.Component):
    """From input beats to sums in the order of results: everything of a unit but requantization and FIFO.

    Cycles follow the nonzeros: ``schedule.steps`` for each output row. Rows are loaded while others are computed. Sums
    leave without backpressure; ``stall`` stops the issue of steps, and words in flight still drain.

    Parameters
    ----------
    plan : :class:`ConvPlan`
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` must come with the frame's last beat (see :class:`RowLoader`).

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
        Neighbouring pixels of one channel.
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`RowLoader`.
    stall : ``In(1)``
        No step is issued in this cycle.
    load : ``In(LoadSignature)``
        Fills the index memory, where the plan has it loaded.
    o_valid : ``Out(1)``; o_sums : ``Out(elements * width)``
        Sums of neighbouring pixels of one channel.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    stall: Signal
    load: Any  # the members of LoadSignature
    o_valid: Signal
    o_sums: Signal

    def __init__(self, plan: ConvPlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        self._acc_width = plan.tables.sum_shape.width
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                "stall": In(1),
                **load_members(plan.image),
                "o_valid": Out(1),
                "o_sums": Out(plan.elements * self._acc_width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, schedule = self._plan, self._plan.schedule
        geometry, slots, fmt = plan.layer.geometry, plan.slots, schedule.format
        word = plan.row_word
        m.submodules.loader = loader = RowLoader(stream=plan.stream, slots=slots, word=word, framed=self._framed)
        m.submodules.control = control = RowControl(geometry=geometry, slots=slots)
        m.submodules.place = place = RowPlace(geometry=geometry, slots=slots)
        m.submodules.sequencer = sequencer = Sequencer(steps=schedule.steps, entry=schedule.entry)
        load = self.load if plan.image is not None else None
        words = fetch_words(m, schedule, sequencer.step, image=plan.image, load=load)
        wiring.connect(m, wiring.flipped(self.i), loader.i)
        m.d.comb += [
            loader.i_last.eq(self.i_last),
            self.error.eq(loader.error),
            control.complete.eq(loader.complete),
            loader.full.eq(control.full),
            sequencer.waiting.eq(control.waiting),
            sequencer.stall.eq(self.stall),
            control.begun.eq(sequencer.issue & sequencer.last),
        ]

        valid, last = stages(m, Stage, valid=sequencer.issue, last=sequencer.last & sequencer.issue)
        entering = delay(m, sequencer.entering, Stage.MOVE, "entering")
        m.d.comb += place.next.eq(last[Stage.SLOT])
        groups = []
        for k in range(fmt.lanes):
            group = Group(
                word_format=fmt,
                window=schedule.window,
                start=schedule.start[k],
                taps=plan.taps,
                geometry=geometry,
                slots=slots,
                row_word=plan.row_word,
                activation=plan.layer.input_type,
                acc_width=self._acc_width,
                elements=plan.elements,
                compact=plan.compact,
            )
            m.submodules[f"group_{k}"] = group
            groups.append(group)
            m.d.comb += [
                group.word.eq(words.word_select(k, fmt.lane_width)),
                group.control.position.eq(valid[Stage.MOVE]),
                group.control.entering.eq(entering),
                group.control.activation.eq(valid[Stage.READ if plan.compact else Stage.HOLD]),
                group.control.finish.eq(last[Stage.CHOOSE if plan.compact else Stage.ADD]),
                group.control.base.eq(place.base),
                group.control.valid.eq(place.valid),
                group.control.write.eq(loader.write),
                group.control.address.eq(loader.address),
                group.control.data.eq(loader.word),
            ]
        if fmt.escape_width:
            hand_out(m, schedule, groups, valid[Stage.DECODE])
        self._collect(m, groups)
        return m

    def _collect(self, m: Module, groups: list[Group]) -> None:
        """Takes the groups' sums in turn, each channel's beat by beat as soon as it is there."""
        count, rows, hold = len(groups), self._plan.channels, self._plan.schedule.hold
        pending = Signal(count)
        turn = Signal(count, init=1)
        row, beat = Signal(range(rows)), Signal(range(hold))
        take, whole = Signal(), Signal()
        ended = Cat(*(group.ended for group in groups))
        m.d.comb += [take.eq((pending & turn).any()), whole.eq(take & (beat == hold - 1))]
        m.d.sync += pending.eq(pending & ~(turn & whole.replicate(count)) | ended)
        with m.If(take):
            m.d.sync += beat.eq(beat + 1)
        with m.If(whole):
            m.d.sync += [beat.eq(0), row.eq(row + 1), turn.eq(turn.rotate_left(1))]
        with m.If(whole & (row == rows - 1)):
            m.d.sync += [row.eq(0), turn.eq(1)]
        # a register that is cleared costs no logic: the sums are selected by clearing all others, and joined by an OR
        selected: list[Value] = []
        missing: list[Value] = []
        for k, group in enumerate(groups):
            m.d.comb += group.shift.eq(take & turn[k])
            found = Signal(len(group.sums) + 1, name=f"selected_{k}")
            m.d.sync += found.eq(Cat(group.sums, group.short))
            with m.If(~turn[k]):
                m.d.sync += found.eq(0)
            selected.append(found[:-1])
            missing.append(found[-1])
        sums, short = reduce(or_, selected), reduce(or_, missing)
        width = self._acc_width
        m.d.sync += [
            self.o_valid.eq(delay(m, take, TAKE_TO_SUM - 1, "taken")),
            *(
                self.o_sums.word_select(k, width).eq(sums.word_select(k, width) + short)
                for k in range(self._plan.elements)
            ),
        ]


class ConvUnit(wiring.Component):
    """A convolution behind its streams.

    Throughput: a frame every ``rows * steps`` cycles or ``beats``, whichever are more, where the ring has rows enough
    (``timing.py`` is exact), or more slowly if the source or the sink are slower.
    A stalled output stops the issue of steps; results on their way find room in the output FIFO. Results leave in an
    order that no stall changes.

    Parameters
    ----------
    plan : :class:`ConvPlan`
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` is looked at.

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
        Neighbouring pixels of one channel.
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`RowLoader`.
    load : ``In(LoadSignature)``
        Fills the index memory, where the plan has it loaded.
    o : ``Out(stream.Signature(...))``
        Neighbouring results of one channel, one or an array.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    load: Any  # the members of LoadSignature
    o: stream.Interface

    def __init__(self, plan: ConvPlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                **load_members(plan.image),
                "o": Out(stream.Signature(several(plan.tables.output_shape, plan.elements))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, tables = self._plan, self._plan.tables
        m.submodules.core = core = ConvCore(plan, framed=self._framed)
        m.submodules.requantizer = codes = requantizer(tables, width=plan.elements, beats=plan.schedule.hold)
        shape = data.ArrayLayout(tables.output_shape, plan.elements)
        m.submodules.fifo = fifo = ResultFifo(shape=unsigned(shape.size), depth=plan.fifo_depth)
        wiring.connect(m, wiring.flipped(self.i), core.i)
        if plan.image is not None:
            wiring.connect(m, wiring.flipped(self.load), core.load)
        transfer = Signal()  # for simulations that follow the unit's results: NAME.json, "trace"
        sums = elements(codes.i_sum, tables.sum_shape, plan.elements)
        m.d.comb += [
            core.i_last.eq(self.i_last),
            self.error.eq(core.error),
            codes.i_valid.eq(core.o_valid),
            *(each.eq(core.o_sums.word_select(k, tables.sum_shape.width)) for k, each in enumerate(sums)),
            fifo.i_valid.eq(codes.o_valid),
            fifo.i_data.eq(Value.cast(codes.o_data)),
            transfer.eq(self.o.valid & self.o.ready),
            self.o.valid.eq(fifo.o.valid),
            Value.cast(self.o.payload).eq(fifo.o.payload),
            fifo.o.ready.eq(self.o.ready),
        ]
        m.d.sync += core.stall.eq(fifo.level > plan.fifo_ahead)
        return m
