"""The pooling unit in hardware: windows reduced along the row, then down the columns, as beats come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from amaranth.hdl import Array, Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.framing import guarded
from sterna.hw.parts.requantize import several
from sterna.hw.parts.rom import NO_COLLISION, delay

if TYPE_CHECKING:
    from sterna.hw.units.pool.plan import PoolPlan

#: Cycles from an input beat that completes results to the register that they are in.
PIPELINE = 5
#: Words below which a memory would be read again before it is written: registers take its place.
FEW_WORDS = 3


class PoolUnit(wiring.Component):
    """Maxima or sums of windows that do not overlap.

    Throughput: one beat a cycle. A beat that completes results is taken once the output FIFO has room for them; all
    others at once. Channels keep their order.

    Cost: an operation for every element of a beat but one, and one for each result; a memory for the windows' rows
    that are not complete.

    Parameters
    ----------
    plan : :class:`PoolPlan`
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` must come with the frame's last beat (see :class:`FrameGuard`).

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
        Neighbouring pixels of one channel.
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`FrameGuard`.
    o : ``Out(stream.Signature(...))``
        Neighbouring results of one channel, one or an array.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    o: stream.Interface

    def __init__(self, plan: PoolPlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                "o": Out(stream.Signature(several(plan.output.element, plan.windows.elements))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        payload = self.i.payload.as_value()
        valid, ready = self.i.valid, self.i.ready
        if self._framed:
            valid, ready, payload = guarded(m, self, beats=plan.stream.beats)
        taken, left = Signal(), Signal()
        completes, takes, gives, begins, inside = self._count(m, taken)
        full = plan.outlet.full(m, taken & completes & gives, left)
        m.d.comb += [ready.eq(~(full & completes & gives)), taken.eq(valid & ready)]
        beat = Signal(len(payload), reset_less=True)  # can be the output register of the memory that it comes from
        m.d.sync += beat.eq(payload)
        across = self._across(m, beat, delay(m, taken, 1, "held"), delay(m, inside, 1, "inside"))
        results = self._down(m, across, delay(m, taken & completes & takes, 2, "reduced"), begins)
        done = delay(m, taken & completes & gives, PIPELINE, "done")
        plan.outlet.emit(m, self.o, results, done, left)
        return m

    def _count(self, m: Module, taken: Signal) -> tuple[Value, Value, Value, Value, Value]:
        """Of the beat that comes: whether it completes windows along the row, its row lies in windows, or completes
        them, or begins them; and its place in its window.
        """
        windows = self._plan.windows
        rows = windows.stream.shape[1]
        beat, row = Signal(range(windows.input_beats)), Signal(range(rows))
        channel = Signal(range(len(windows.stream.order)))
        inside, under = Signal(range(windows.span)), Signal(range(windows.stride[0]))
        beat_ends, channel_ends, row_ends = Signal(), Signal(), Signal()
        m.d.comb += [
            beat_ends.eq(beat == windows.input_beats - 1),
            channel_ends.eq(channel == len(windows.stream.order) - 1),
            row_ends.eq(row == rows - 1),
        ]
        with m.If(taken):
            m.d.sync += [beat.eq(beat + 1), inside.eq(Mux(inside == windows.span - 1, 0, inside + 1))]
            with m.If(beat_ends):
                m.d.sync += [beat.eq(0), inside.eq(0), channel.eq(channel + 1)]
            with m.If(beat_ends & channel_ends):
                m.d.sync += [channel.eq(0), row.eq(row + 1)]
                m.d.sync += under.eq(Mux(under == windows.stride[0] - 1, 0, under + 1))
            with m.If(beat_ends & channel_ends & row_ends):
                m.d.sync += [row.eq(0), under.eq(0)]
        completes = _one_of(m, beat, [windows.completes(k) for k in range(windows.input_beats)], "completes")
        takes = _one_of(m, row, [windows.taken(k) for k in range(rows)], "takes")
        gives = _one_of(m, row, [windows.gives(k) for k in range(rows)], "gives")
        return completes, takes, gives, under == 0, inside

    def _across(self, m: Module, beat: Value, held: Signal, inside: Value) -> list[Value]:
        """Windows reduced along the row, a cycle after the beat that completes them is held."""
        windows, width, shape = self._plan.windows, self._plan.layer.input_type.width, self._plan.stream.element
        codes = [_cast(beat[k * width : (k + 1) * width], shape) for k in range(windows.stream.elements)]
        pooled = self._plan.pooled
        results: list[Value] = [Signal(pooled, name=f"across_{k}") for k in range(windows.elements)]
        if windows.span == 1:
            stride, kernel = windows.stride[1], windows.kernel[1]
            for k, result in enumerate(results):
                m.d.sync += result.eq(self._reduced(codes[k * stride : k * stride + kernel]))
            return results
        (result,) = results
        with m.If(held), m.Switch(inside):
            for k in range(windows.span):
                if part := windows.part(k):
                    reduced = self._reduced(codes[:part])
                    with m.Case(k):
                        m.d.sync += result.eq(reduced if k == 0 else self._reduced([result, reduced]))
        return results

    def _down(self, m: Module, across: list[Value], valid: Signal, begins: Value) -> list[Value]:
        """Windows reduced down the columns, ``PIPELINE`` cycles after the beat that completes them."""
        plan = self._plan
        pooled, words = plan.pooled, plan.words
        if not words:
            return [delay(m, value, PIPELINE - 2, f"across_{k}") for k, value in enumerate(across)]
        word = Signal(range(words))
        with m.If(valid):
            m.d.sync += word.eq(Mux(word == words - 1, 0, word + 1))
        late = PIPELINE - 3
        place, writes = delay(m, word, late, "word"), delay(m, valid, late, "valid")
        first = delay(m, begins, PIPELINE - 1, "first")
        width = pooled.width * len(across)
        if words < FEW_WORDS:
            kept_words = Array(Signal(width, name=f"kept_{k}") for k in range(words))
            kept: Value = kept_words[place]
        else:
            storage: Memory = Memory(shape=unsigned(width), depth=words, init=[], attrs=NO_COLLISION)
            m.submodules.rows = storage
            read, write = storage.read_port(), storage.write_port()
            m.d.comb += read.addr.eq(word)
            kept = Signal(width, reset_less=True)
            m.d.sync += kept.eq(read.data)
        results: list[Value] = []
        for k, value in enumerate(across):
            new = delay(m, value, late, f"across_{k}")
            old = _cast(kept[k * pooled.width : (k + 1) * pooled.width], pooled)
            result = Signal(pooled, name=f"down_{k}")
            m.d.comb += result.eq(Mux(first, new, self._reduced([old, new])))
            results.append(result)
        joined = Cat(*results)
        if words < FEW_WORDS:
            with m.If(writes):
                m.d.sync += kept_words[place].eq(joined)
        else:
            m.d.comb += [write.en.eq(writes), write.addr.eq(place), write.data.eq(joined)]
        return [delay(m, result, 1, f"down_{k}") for k, result in enumerate(results)]

    def _reduced(self, values: Sequence[Value]) -> Value:
        """The maximum or the sum of some values, by a tree."""
        operation: Callable[[Value, Value], Value] = (lambda a, b: a + b) if self._plan.layer.sums else _larger
        while len(values) > 1:
            values = [
                operation(*values[k : k + 2]) if k + 1 < len(values) else values[k] for k in range(0, len(values), 2)
            ]
        return values[0]


def _larger(a: Value, b: Value) -> Value:
    return Mux(a > b, a, b)


def _cast(bits: Value, shape: Shape) -> Value:
    """Bits as a number; an unsigned number's bits are one already."""
    return bits.as_signed() if shape.signed else bits


def _one_of(m: Module, number: Signal, flags: Sequence[bool], name: str) -> Value:
    """Whether a number is one of those whose flag is set."""
    found = Signal(name=name)
    common = sum(flags) * 2 > len(flags)
    m.d.comb += found.eq(common)
    others = [k for k, flag in enumerate(flags) if flag != common]
    if others:
        with m.Switch(number), m.Case(*others):
            m.d.comb += found.eq(not common)
    return found
