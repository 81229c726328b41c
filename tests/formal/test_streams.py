# amaranth: UnusedElaboratable=no
"""Stream rules: nothing is lost, nothing comes twice, and what is offered stays until it is taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.memory import Memory
from prove import RefutedError, clocked, past, prove_bounded, prove_inductive, stays

from sterna.hw.graph.lower import lower
from sterna.hw.index.columns import Window
from sterna.hw.index.escapes import READ_AHEAD, Escapes
from sterna.hw.index.walk import WordFormat
from sterna.hw.parts.fifo import ResultFifo
from sterna.hw.units.argmax.component import Argmax
from sterna.hw.units.dense.component import DenseUnit
from sterna.hw.units.dense.loader import Loader
from sterna.hw.units.dense.pipeline import LOAD_LATENCY, Stage
from sterna.hw.units.dense.plan import plan_dense
from sterna.net import ActivationType, Linear, Network, ShiftRound


def argmax_spec(count: int, *, lossy: bool = False, ties_to_last: bool = False) -> tuple[Module, list[Signal]]:
    """Each ``count`` scores give one index, that of the first highest."""
    m, clock = clocked()
    m.submodules.unit = unit = Argmax(count=count, shape=signed(2))
    valid, score, ready = Signal(name="valid"), Signal(signed(2), name="score"), Signal(name="ready")
    steal = Signal(name="steal")
    taken, given = valid & unit.i.ready, unit.o.valid & ready
    number, pending, expected = Signal(range(count)), Signal(), Signal(range(count))
    scores = [Signal(signed(2), name=f"score_{k}") for k in range(count - 1)]
    frame = [*scores, score]
    m.d.comb += [
        unit.i.valid.eq(valid),
        unit.i.payload.eq(score),
        unit.o.ready.eq(ready | (steal if lossy else 0)),
        Assert(unit.o.valid == pending),
    ]
    with m.If(pending):
        m.d.comb += Assert(unit.o.payload == expected)
    with m.If(given):
        m.d.sync += pending.eq(0)
    with m.If(taken):
        m.d.sync += number.eq(Mux(number == count - 1, 0, number + 1))
        with m.Switch(number):
            for k in range(count - 1):
                with m.Case(k):
                    m.d.sync += scores[k].eq(score)
            with m.Default():
                m.d.sync += pending.eq(1)
                order = range(count) if ties_to_last else reversed(range(count))
                for k in order:  # of several, the last assignment holds
                    highest = Cat(frame[k] >= other for other in frame).all()
                    with m.If(highest):
                        m.d.sync += expected.eq(k)
    stays(m, unit.o, ready)
    return m, [clock, valid, score, ready, steal]


@pytest.mark.parametrize(("count", "cycles"), [(1, 6), (2, 9), (3, 11)])
def test_argmax(count: int, cycles: int) -> None:
    prove_bounded(*argmax_spec(count), cycles=cycles)


def test_argmax_of_one_for_ever() -> None:
    prove_inductive(*argmax_spec(1), cycles=4)


def test_a_lost_index_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*argmax_spec(2, lossy=True), cycles=6)


def test_the_last_of_equals_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*argmax_spec(2, ties_to_last=True), cycles=6)


def fifo_inputs(m: Module, fifo: ResultFifo, *, room: int) -> tuple[list[Signal], Value, Value]:
    """Any writes while there is room, any reads; gives the inputs, and whether a result goes in, and out."""
    writes, item, ready = Signal(name="writes"), Signal(fifo.i_data.shape(), name="item"), Signal(name="ready")
    m.d.comb += [
        fifo.i_valid.eq(writes),
        fifo.i_data.eq(item),
        fifo.o.ready.eq(ready),
        Assume(~writes | (fifo.level < room)),
    ]
    return [writes, item, ready], writes, fifo.o.valid & ready


def storage_of(m: Module, fifo: ResultFifo) -> Memory:
    module = fifo.elaborate(None)
    m.submodules.fifo = module
    return module.submodules.storage


def fifo_control_spec(depth: int, *, room: int) -> tuple[Module, list[Signal]]:
    """Counts: what went in is inside or has come out; pointers never meet where both are used."""
    m, clock = clocked()
    fifo = ResultFifo(shape=unsigned(1), depth=depth)
    storage = storage_of(m, fifo)
    (write,), (read,) = storage.write_ports, storage.read_ports
    inputs, enters, leaves = fifo_inputs(m, fifo, room=room)
    inside = Signal(range(2 * depth + 2))
    m.d.sync += inside.eq(inside + enters - leaves)
    m.d.comb += [
        Assert(inside == fifo.level + fifo.o.valid),
        Assert(fifo.level <= depth),
        Assert((write.addr - read.addr)[: len(write.addr)] == fifo.level[: len(write.addr)]),
        Assert(~(write.en & read.en & (write.addr == read.addr))),
    ]
    stays(m, fifo.o, inputs[2])
    return m, [clock, *inputs]


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_fifo_control_for_ever(depth: int) -> None:
    prove_inductive(*fifo_control_spec(depth, room=depth), cycles=3)


def test_a_fifo_that_is_written_while_full_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*fifo_control_spec(2, room=3), cycles=6)


def fifo_data_spec(depth: int, *, lossy: bool = False) -> tuple[Module, list[Signal]]:
    """Any one result, marked as it goes in, comes out unchanged after exactly those that went in before it."""
    m, clock = clocked()
    m.submodules.fifo = fifo = ResultFifo(shape=unsigned(2), depth=depth)
    inputs, enters, leaves = fifo_inputs(m, fifo, room=depth)
    mark, forget = Signal(name="mark"), Signal(name="forget")
    if lossy:
        m.d.comb += fifo.i_valid.eq(inputs[0] & ~forget)
    followed, value = Signal(), Signal(2)
    inside, before = Signal(range(2 * depth)), Signal(range(2 * depth))
    m.d.sync += inside.eq(inside + enters - leaves)
    with m.If(enters & mark & ~followed):
        m.d.sync += [followed.eq(1), value.eq(inputs[1]), before.eq(inside - leaves)]
    with m.If(followed & leaves):
        m.d.sync += before.eq(before - 1)
        with m.If(before == 0):
            m.d.comb += Assert(fifo.o.payload == value)
            m.d.sync += followed.eq(0)
    with m.If(fifo.o.valid):
        m.d.comb += Assert(inside != 0)
    return m, [clock, *inputs, mark, forget]


def test_fifo_data() -> None:
    prove_bounded(*fifo_data_spec(2), cycles=14)
    prove_bounded(*fifo_data_spec(4), cycles=12)


def test_a_lost_result_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*fifo_data_spec(2, lossy=True), cycles=8)


def escapes_spec(
    fmt: WordFormat, entries: list[int], *, early: bool = False, lossy: bool = False
) -> tuple[Module, list[Signal]]:
    """Whenever an entry is taken, it is the next one, and behind the last comes the first."""
    m, clock = clocked()
    m.submodules.escapes = escapes = Escapes(word_format=fmt, entries=entries)
    take, forget = Signal(name="take"), Signal(name="forget")
    number, since = Signal(range(max(len(entries), 2))), Signal(range(READ_AHEAD + 1))
    least = fmt.mark - 1
    means = [least + (entry - least) % (1 << fmt.escape_width) for entry in entries]
    m.d.comb += [
        escapes.take.eq(take & ~(forget if lossy else 0)),
        Assume(~take | (since >= READ_AHEAD - early)),
    ]
    with m.If(since < READ_AHEAD):
        m.d.sync += since.eq(since + 1)
    with m.If(take):
        m.d.comb += [
            Assert(escapes.high == Array(means)[number]),
            Assert(escapes.filler == (Array(means)[number] == least)),
        ]
        m.d.sync += number.eq(Mux(number == len(entries) - 1, 0, number + 1))
    return m, [clock, take, forget]


ESCAPES = {
    "one": (WordFormat(lanes=2, run_width=3, escape_width=2), [1]),
    "two": (WordFormat(lanes=2, run_width=1, escape_width=2), [3, 0]),
    "three": (WordFormat(lanes=2, run_width=5, escape_width=3), [7, 6, 2]),
    "five": (WordFormat(lanes=2, run_width=2, escape_width=3), [2, 5, 0, 7, 3]),
    "eight": (WordFormat(lanes=2, run_width=4, escape_width=3), [0, 1, 2, 3, 4, 5, 6, 7]),
}


@pytest.mark.parametrize("case", ESCAPES.values(), ids=ESCAPES)
def test_escapes(case: tuple) -> None:
    """With any pauses, until all entries have come twice."""
    fmt, entries = case
    prove_bounded(*escapes_spec(fmt, entries), cycles=READ_AHEAD + 2 * len(entries) + 6)


def test_a_lost_escape_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*escapes_spec(*ESCAPES["three"], lossy=True), cycles=8)


def test_an_escape_before_the_first_is_there_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*escapes_spec(*ESCAPES["three"], early=True), cycles=8)


def unit_spec(weights: list[list[int]], *, requantize: ShiftRound | None = None, lossy: bool = False) -> Any:
    """A whole dense unit: frame after frame, the results of all that was taken come out, in order."""
    u1 = ActivationType(1, False)
    columns = len(weights[0])
    node = Linear(name="fc", weights=np.array(weights, np.int8), requantize=requantize)
    (layer,) = lower(Network(input_shape=(columns,), input_type=u1, input_scale=1.0, nodes=[node]))
    plan = plan_dense(layer, lanes=1, elements=columns, order=layer.channels.tolist())
    m, clock = clocked()
    m.submodules.unit = unit = DenseUnit(plan)
    valid, ready, steal = Signal(name="valid"), Signal(name="ready"), Signal(name="steal")
    codes = Signal(columns, name="codes")
    queue = Array(Signal(columns, name=f"frame_{k}") for k in range(8))
    head, tail = Signal(range(8)), Signal(range(8))
    row = Signal(range(plan.results))
    m.d.comb += [
        unit.i.valid.eq(valid),
        Value.cast(unit.i.payload).eq(codes),
        unit.o.ready.eq(ready | (steal if lossy else 0)),
        Assume((tail + 1)[:3] != head),
    ]
    with m.If(valid & unit.i.ready):
        m.d.sync += [queue[tail].eq(codes), tail.eq(tail + 1)]

    def result(which: int) -> Value:
        total = sum((queue[head][c] * weight for c, weight in enumerate(weights[which])), start=Value.cast(0))
        if requantize is None:
            return total
        rounded = (total + int(requantize.bias[which]) + 1) >> 1
        return Mux(rounded > requantize.output.max, requantize.output.max, Mux(rounded < 0, 0, rounded))

    with m.If(unit.o.valid):
        m.d.comb += [Assert(head != tail), Assert(unit.o.payload == Array(map(result, range(plan.results)))[row])]
    with m.If(unit.o.valid & ready):
        m.d.sync += row.eq(Mux(row == plan.results - 1, 0, row + 1))
        with m.If(row == plan.results - 1):
            m.d.sync += head.eq(head + 1)
    stays(m, unit.o, ready)
    return (m, [clock, valid, codes, ready, steal]), plan


def test_dense_unit() -> None:
    """Every input, every pause, on both sides, up to the third frame's results."""
    spec, plan = unit_spec([[1, -1], [1, 1]])
    prove_bounded(*spec, cycles=13 + 2 * plan.schedule.steps)


def test_dense_unit_with_requantization() -> None:
    spec, plan = unit_spec([[1, 1, -1, 1]], requantize=ShiftRound(output=ActivationType(1, False), bias=[0], shift=[1]))
    prove_bounded(*spec, cycles=15 + 2 * plan.schedule.steps)


def test_a_unit_that_loses_a_result_is_refuted() -> None:
    spec, _ = unit_spec([[1, -1], [1, 1]], lossy=True)
    with pytest.raises(RefutedError):
        prove_bounded(*spec, cycles=16)


def loader_spec(beats: int, *, frames_at_once: int = 2, read: int = Stage.READ) -> tuple[Module, list[Signal]]:
    """Two buffers: never more frames wait, and none is written before the frame in it has been read.

    A frame's last read comes ``read`` cycles after it is begun.
    """
    m, clock = clocked()
    window = Window(address_width=2, offset=4 - beats, elements=1, stride=1, live=(True,) * beats)
    m.submodules.loader = loader = Loader(window=window, framed=True)
    valid, last, begun = (Signal(name=name) for name in ("valid", "last", "begun"))
    waiting, error = Signal(3), Signal()
    completed, free = Signal(4), Signal(4)  # frames so far
    position, skipping = Signal(range(beats + 1)), Signal()
    complete = Signal()
    at_end = position == beats - 1
    loading = past(m, completed, LOAD_LATENCY)  # the frame that the beat belongs to which is written now
    m.d.comb += [
        loader.valid.eq(valid),
        loader.last.eq(last),
        loader.begun.eq(begun),
        Assume(~begun | (waiting != 0)),
        complete.eq(valid & loader.ready & ~skipping & at_end & last),
        Assert(waiting <= frames_at_once),
        Assert(loader.waiting == (waiting != 0)),
        Assert(loader.error == error),
    ]
    m.d.sync += [
        completed.eq(completed + complete),
        free.eq(free + past(m, begun, read)),
        waiting.eq(waiting + complete - begun),
        error.eq(0),
    ]
    with m.If(valid & loader.ready):
        with m.If(skipping):
            m.d.sync += skipping.eq(~last)
        with m.Else():
            m.d.sync += [
                position.eq(Mux(at_end | last, 0, position + 1)),
                error.eq(at_end ^ last),
                skipping.eq(at_end & ~last),
            ]
    with m.If(loader.write):
        m.d.comb += [
            Assert(loader.bank == loading[0]),
            Assert((free - loading + 1)[:3] < 4),  # two frames before it, the last one in this buffer has been read
        ]
    return m, [clock, valid, last, begun]


@pytest.mark.parametrize(("beats", "cycles"), [(1, 12), (2, 14), (3, 16)])
def test_loader(beats: int, cycles: int) -> None:
    prove_bounded(*loader_spec(beats), cycles=cycles)


def test_two_buffers_are_used() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*loader_spec(2, frames_at_once=1), cycles=10)
