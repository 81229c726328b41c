"""The pooling unit in hardware: windows reduced along the row, then down the columns, as beats come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING

from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from sterna.hw.parts.framing import guarded
from sterna.hw.parts.rom import NO_COLLISION, delay
from sterna.hw.units.framed import FramedUnit
from sterna.hw.units.pool.geometry import FAN_IN, Axis

if TYPE_CHECKING:
    from sterna.hw.units.pool.plan import PoolPlan

#: Cycles from a beat to the register that holds it, and from windows along the row to the register of results.
HOLD, GROW = 1, 3
#: Words below which a memory would be read again before it is written: registers take its place.
FEW_WORDS = 4


@dataclass(frozen=True, kw_only=True)
class _Slot:
    """What the slot that comes next is.

    Attributes
    ----------
    completes : windows along the row.
    takes, gives : its row lies in windows; it completes some.
    begins, top : windows begin with its row; it is the map's first.
    inside : its beat's number in a window that has several.
    ends, partial : it is its row's last; it has the row's last beat.
    blank : it has no beat; None if all have one.
    """

    completes: Value
    takes: Value
    gives: Value
    begins: Value
    top: Value
    inside: Value
    ends: Value
    partial: Value
    blank: Value | None


class PoolUnit(FramedUnit):
    """Maxima or sums of windows.

    Throughput: a slot a cycle, which takes a beat, or stands for padding at the right or below (:class:`Axis`). A slot
    that completes results begins once the output FIFO has a place for them; all others at once. Channels keep their
    order. Latency: ``latency_of(across)`` cycles, and those of the outlet.

    Padding is no code: where it would be, rows and pixels have the value that changes no result.

    Cost: for each result of a beat, a kernel's width of operations along the row, of which neighbours share some (where
    windows lie apart, one for every element of a beat), and one for each window down the columns that a row lies in; a
    memory for the windows whose rows are not complete.
    """

    _plan: PoolPlan

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        payload = self.i.payload.as_value()
        valid, ready = self.i.valid, self.i.ready
        if self._framed:
            valid, ready, payload = guarded(m, self, beats=plan.stream.beats, output="guarded")
        taken, left = Signal(), Signal()
        slot = self._count(m, taken)
        full = plan.outlet.full(m, taken & slot.completes & slot.gives, left)
        free = ~(full & slot.completes & slot.gives)
        if slot.blank is None:
            m.d.comb += [ready.eq(free), taken.eq(valid & ready)]
        else:
            m.d.comb += [ready.eq(free & ~slot.blank), taken.eq((valid | slot.blank) & free)]
        beat = self._held(m, payload, slot)
        across = self._across(m, beat, delay(m, taken, 1, "held"), slot)
        reduced = delay(m, taken & slot.completes & slot.takes, HOLD + plan.windows.across.stages, "reduced")
        results = self._down(m, across, reduced, slot)
        done = delay(m, taken & slot.completes & slot.gives, latency_of(plan.windows.across), "done")
        plan.outlet.emit(m, self.o, results, done, left)
        return m

    def _count(self, m: Module, taken: Signal) -> _Slot:
        """What the slot that comes next is."""
        across, down = self._plan.windows.across, self._plan.windows.down
        channels, phase = len(self._plan.stream.order), down.padding % down.step
        beat, row = Signal(range(across.slots)), Signal(range(down.slots))
        channel = Signal(range(channels))
        inside, under = Signal(range(across.span)), Signal(range(down.step), init=phase)
        beat_ends, channel_ends, row_ends = Signal(), Signal(), Signal()
        m.d.comb += [
            beat_ends.eq(beat == across.slots - 1),
            channel_ends.eq(channel == channels - 1),
            row_ends.eq(row == down.slots - 1),
        ]
        with m.If(taken):
            m.d.sync += [beat.eq(beat + 1), inside.eq(Mux(inside == across.span - 1, 0, inside + 1))]
            with m.If(beat_ends):
                m.d.sync += [beat.eq(0), inside.eq(0), channel.eq(channel + 1)]
            with m.If(beat_ends & channel_ends):
                m.d.sync += [channel.eq(0), row.eq(row + 1)]
                m.d.sync += under.eq(Mux(under == down.step - 1, 0, under + 1))
            with m.If(beat_ends & channel_ends & row_ends):
                m.d.sync += [row.eq(0), under.eq(phase)]
        behind = [number >= axis.inputs for number, axis in ((beat, across), (row, down)) if axis.slots > axis.inputs]
        return _Slot(
            completes=_one_of(m, beat, [across.completes(k) for k in range(across.slots)], "completes"),
            takes=_one_of(m, row, [down.taken(k) for k in range(down.slots)], "takes"),
            gives=_one_of(m, row, [down.completes(k) for k in range(down.slots)], "gives"),
            begins=(under == 0) | (row == 0) if down.padding else under == 0,
            top=row == 0,
            inside=inside,
            ends=beat_ends,
            partial=beat == across.inputs - 1,
            blank=reduce(or_, behind) if behind else None,
        )

    def _held(self, m: Module, payload: Value, slot: _Slot) -> Signal:
        """The beat, a cycle later, without what is no pixel; it can be the output register of a memory before it."""
        across, width = self._plan.windows.across, self._plan.layer.input_type.width
        beat = Signal(len(payload), reset_less=True)
        m.d.sync += beat.eq(payload)
        rest = across.size - (across.inputs - 1) * across.elements
        if across.padding and rest < across.elements:
            with m.If(slot.partial):
                m.d.sync += beat[rest * width :].eq(Cat([self._neutral] * (across.elements - rest)))
        if slot.blank is not None:
            with m.If(slot.blank):
                m.d.sync += beat.eq(Cat([self._neutral] * across.elements))
        return beat

    def _across(self, m: Module, beat: Value, held: Signal, slot: _Slot) -> list[Value]:
        """Windows reduced along the row, ``stages`` cycles after the beat that completes them is held."""
        axis, width, shape = self._plan.windows.across, self._plan.layer.input_type.width, self._plan.stream.element
        codes = [_cast(beat[k * width : (k + 1) * width], shape) for k in range(axis.elements)]
        results: list[Value] = [Signal(self._plan.pooled, name=f"across_{k}") for k in range(axis.results)]
        if axis.gathers:
            inside = delay(m, slot.inside, 1, "inside")
            (result,) = results
            with m.If(held), m.Switch(inside):
                for k in range(axis.span):
                    if part := axis.part(k):
                        reduced = self._reduced(codes[:part])
                        with m.Case(k):
                            m.d.sync += result.eq(reduced if k == 0 else self._reduced([result, reduced]))
            return results
        pixels = self._neighbours(m, codes, held, slot)
        window = self._trees(m, pixels, axis.stages)
        for k, result in enumerate(results):
            first = k * axis.step
            m.d.sync += result.eq(window(first, min(axis.kernel, len(pixels) - first)))
        return results

    def _neighbours(self, m: Module, codes: list[Value], held: Signal, slot: _Slot) -> list[Value]:
        """A beat's pixels behind those that came before them; what came in another row is padding."""
        axis = self._plan.windows.across
        before = [
            Signal(self._plan.stream.element, name=f"before_{k}", init=self._neutral.value) for k in range(axis.before)
        ]
        pixels = [*before, *codes]
        if before:
            with m.If(held):
                m.d.sync += [pixel.eq(pixels[k + axis.elements]) for k, pixel in enumerate(before)]
        if before and axis.padding:
            with m.If(held & delay(m, slot.ends, 1, "ends")):
                m.d.sync += [pixel.eq(self._neutral) for pixel in before]
        return pixels

    def _down(self, m: Module, across: list[Value], reduced: Value, slot: _Slot) -> list[Value]:
        """Windows reduced down the columns, ``GROW`` cycles after they are reduced along the row."""
        axis, words, pooled = self._plan.windows.down, self._plan.words, self._plan.pooled
        if not words:
            return [delay(m, value, GROW, f"across_{k}") for k, value in enumerate(across)]
        word = Signal(range(words))
        with m.If(reduced):
            m.d.sync += word.eq(Mux(word == words - 1, 0, word + 1))
        late = GROW - 1
        place, writes = delay(m, word, late, "word"), delay(m, reduced, late, "valid")
        since = latency_of(self._plan.windows.across) - 1
        first = delay(m, slot.begins, since, "first")
        top = delay(m, slot.top, since, "top") if axis.padding else None
        width = pooled.width * len(across) * axis.kept
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
        columns: list[list[Signal]] = []  # of each result of a beat, the windows, the one that began last first
        for k, value in enumerate(across):
            new = delay(m, value, late, f"across_{k}")
            places = range(k * axis.kept * pooled.width, (k + 1) * axis.kept * pooled.width, pooled.width)
            old = [_cast(kept[place : place + pooled.width], pooled) for place in places]
            columns.append([])
            for age in range(axis.oldest + 1):
                columns[k].append(Signal(pooled, name=f"down_{k}" + f"_{age}" * bool(age)))
                m.d.comb += columns[k][age].eq(self._grown(new, old, age, first, top))
        grown = [[delay(m, window, 1, window.name) for window in column] for column in columns]
        if words < FEW_WORDS:
            with m.If(writes):
                m.d.sync += kept_words[place].eq(Cat(column[: axis.kept] for column in columns))
        else:
            m.d.comb += [
                write.en.eq(delay(m, writes, 1, "late_valid")),
                write.addr.eq(delay(m, place, 1, "late_word")),
                write.data.eq(Cat(column[: axis.kept] for column in grown)),
            ]
        return [column[-1] for column in grown]

    def _grown(self, new: Value, old: Sequence[Value], age: int, first: Value, top: Value | None) -> Value:
        """A window with one more row, of whose age so many others have begun since; ``old`` are those that were kept.

        Those that begin above the map have no row before ``top``.
        """
        axis = self._plan.windows.down
        if age == 0:
            return new if axis.step == 1 else Mux(first, new, self._reduced([old[0], new]))
        turns = axis.step > 1 and age < axis.kept  # else a window has this age in the rows alone in which one begins
        before = Mux(first, old[age - 1], old[age]) if turns else old[age - 1]
        grown = self._reduced([before, new])
        return grown if top is None else Mux(top, new, grown)

    @property
    def _neutral(self) -> Const:
        """What changes no maximum, or no sum."""
        return Const(0 if self._plan.layer.sums else self._plan.layer.input_type.min, self._plan.stream.element)

    def _reduced(self, values: Sequence[Value]) -> Value:
        """The maximum or the sum of some values, by a tree."""
        if len(values) == 1:
            return values[0]
        half = 1 << (len(values) - 1).bit_length() - 1
        return self._joined(self._reduced(values[:half]), self._reduced(values[half:]))

    def _joined(self, a: Value, b: Value) -> Value:
        return a + b if self._plan.layer.sums else Mux(a > b, a, b)

    def _trees(self, m: Module, pixels: Sequence[Value], stages: int) -> Callable[[int, int], Value]:
        """Reduces so many pixels from one on. Each stage but the last ends in registers; trees share what they can."""

        @cache
        def registered(first: int, count: int, stage: int) -> Value:
            if stage == 0:
                return pixels[first]
            result = Signal(self._plan.pooled, name=f"stage_{stage}_{first}_{count}", reset_less=True)
            m.d.sync += result.eq(tree(first, count, stage))
            return result

        @cache
        def tree(first: int, count: int, stage: int) -> Value:
            size = FAN_IN ** (stage - 1)  # pixels in a value that the stage before gives
            if count <= size:
                return registered(first, count, stage - 1)
            half = size << (-(-count // size) - 1).bit_length() - 1
            return self._joined(tree(first, half, stage), tree(first + half, count - half, stage))

        return lambda first, count: tree(first, count, stages)


def latency_of(across: Axis) -> int:
    """Cycles from a slot that completes results to the register that they are in."""
    return HOLD + across.stages + GROW


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
