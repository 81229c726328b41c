"""Requantizers: sums in the order of results, their codes out, a fixed number of cycles later.

A beat has one sum, or several that belong to one row of the tables, and are requantized side by side.

All have the same ports and no backpressure: the unit's output FIFO has room for whatever is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from amaranth.hdl import Cat, Const, Module, Mux, Shape, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.loadable import halved_members, read_halved
from sterna.hw.parts.rom import BLOCK_DEPTH, ROM_LATENCY, Rom, delay
from sterna.hw.parts.tables import LevelTables, LineTables, ScoreTables, ShiftTables, Table, Tables
from sterna.net import ActivationType

T = TypeVar("T", bound=Tables)


class Requantizer(wiring.Component, Generic[T]):
    """Base of all requantizers: the ports, and the number of the result that is coming in.

    Throughput: one beat a cycle. Latency: ``tables.latency`` cycles. Exact: docs/arithmetic.md.

    Parameters
    ----------
    tables : :class:`Tables`
        What it stores.
    width : :class:`int`
        Sums in a beat.
    beats : :class:`int`
        Beats of each row of the tables, one after the other.

    Members
    -------
    i_valid : ``In(1)``; i_sum : ``In(tables.sum_shape)``, or an array of ``width`` of them
        A beat, in any cycle.
    o_valid : ``Out(1)``; o_data : ``Out(tables.output_shape)``, or an array likewise
        Its results.
    half : ``In(1)``; load_0, load_1, … : ``In(LoadSignature)``
        Of its tables, where they can be loaded (see :class:`HalvedMemory`).
    """

    i_valid: Signal
    i_sum: Signal
    o_valid: Signal
    o_data: Signal
    half: Signal

    def __init__(self, tables: T, *, width: int = 1, beats: int = 1) -> None:
        self._tables = tables
        self._width = width
        self._beats = beats
        super().__init__(
            {
                "i_valid": In(1),
                "i_sum": In(several(tables.sum_shape, width)),
                "o_valid": Out(1),
                "o_data": Out(several(tables.output_shape, width)),
                **halved_members(tables.images),
            }
        )

    @property
    def _sums(self) -> list[Value]:
        return elements(self.i_sum, self._tables.sum_shape, self._width)

    @property
    def _results(self) -> list[Value]:
        return elements(self.o_data, self._tables.output_shape, self._width)

    def _row(self, m: Module) -> Signal:
        rows = self._tables.rows
        row = Signal(range(rows))
        moves: Value = self.i_valid
        if self._beats > 1:
            beat = Signal(range(self._beats))
            at_end = Signal()
            m.d.comb += at_end.eq(beat == self._beats - 1)
            with m.If(self.i_valid):
                m.d.sync += beat.eq(Mux(at_end, 0, beat + 1))
            moves = self.i_valid & at_end
        with m.If(moves):
            m.d.sync += row.eq(Mux(row == rows - 1, 0, row + 1))
        return row

    def _rom(self, m: Module, name: str, table: Table, address: Value) -> Value:
        if table.given is not None:
            (number,) = (k for k, other in enumerate(self._tables.tables) if other is table)
            load = getattr(self, f"load_{number}")
            read = read_halved(m, table.image, name=name, address=address, half=self.half, load=load)
            return read.as_signed() if table.shape.signed else read
        return self._words(m, name, table.shape, table.entries, address)

    def _words(self, m: Module, name: str, shape: Shape, entries: Sequence[int], address: Value) -> Value:
        m.submodules[name] = rom = Rom(shape=shape, init=entries)
        m.d.comb += rom.address.eq(address)
        return rom.data


class ScoreBias(Requantizer[ScoreTables]):
    """Adds each row's bias: raw scores. Where there is no bias, there is nothing."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self._tables.latency:
            m.d.comb += self.o_valid.eq(self.i_valid)
            m.d.comb += [o.eq(i) for i, o in zip(self._sums, self._results, strict=True)]
            return m
        bias = self._rom(m, "bias", self._tables.bias, self._row(m))
        m.d.sync += self.o_valid.eq(delay(m, self.i_valid, ROM_LATENCY, "valid"))
        for k, (sums, result) in enumerate(zip(self._sums, self._results, strict=True)):
            m.d.sync += result.eq(delay(m, sums, ROM_LATENCY, _name("sum", k)) + bias)
        return m


class ShiftRoundUnit(Requantizer[ShiftTables]):
    """``clamp((sum + bias) >> shift)``. Cost: one adder, a clamp, a barrel shifter only for shifts that differ."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tables = self._tables
        row = self._row(m)
        bias = self._rom(m, "bias", tables.bias, row)
        shift: Value | None = None
        if not tables.shift.constant:
            shift = delay(m, self._rom(m, "shift", tables.shift, row), 1, "shift")
        for k, (each, result) in enumerate(zip(self._sums, self._results, strict=True)):
            sums = delay(m, each, ROM_LATENCY, _name("sum", k))
            biased = Signal((sums + bias).shape(), name=_name("biased", k))
            m.d.sync += biased.eq(sums + bias)
            if shift is None:
                shifted = biased >> tables.shift.entries[0]
            else:
                shifted = delay(m, biased >> shift, 1, _name("shifted", k))
            m.d.sync += result.eq(clamped(shifted, tables.output))
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, tables.latency, "valid"))
        return m


def clamped(value: Value, output: ActivationType) -> Value:
    """``value`` clamped to a type's range, decided by its upper bits alone: no comparator."""
    width = output.width
    if not value.shape().signed:
        value = Cat(value, 0)
    value = value.as_signed()
    if output.signed:
        if len(value) <= width:
            return value
        high = value[width - 1 :]
        return Mux(high.all() | ~high.any(), value[:width], Mux(value[-1], output.min, output.max))
    if len(value) <= width + 1:
        return Mux(value[-1], 0, value[:-1])
    return Mux(value[width:].any(), (~value[-1]).replicate(width), value[:width])


def _code(count: Value, output: ActivationType) -> Value:
    """``output.min + count``: for signed codes, the count with its top bit inverted."""
    return count ^ (1 << (output.width - 1)) if output.signed else count


class LineThresholds(Requantizer[LineTables]):
    """Counts the thresholds at or below a sum by a restoring division: ``width + 1`` adders, no divider."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tables = self._tables
        bias, step = self._line(m)
        steps = [delay(m, step, 1, "step")]
        for bit in reversed(range(1, tables.output.width)):
            steps.append(delay(m, steps[-1], 1, f"step_{bit}"))
        for k, (sums, result) in enumerate(zip(self._sums, self._results, strict=True)):
            m.d.comb += result.eq(self._divided(m, k, sums, bias, steps))
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, tables.latency, "valid"))
        return m

    def _line(self, m: Module) -> tuple[Value, Value]:
        """A row's bias, and the complement of its step; where both take block RAM, they share it."""
        bias, step = self._tables.bias, self._tables.step
        row, width, above = self._row(m), step.shape.width, bias.shape.width
        complements = [~entry & ((1 << width) - 1) for entry in step.entries]
        if not shares_block(self._tables):
            return self._rom(m, "bias", bias, row), self._words(m, "step", unsigned(width), complements, row)
        joined = [b & ((1 << above) - 1) | s << above for b, s in zip(bias.entries, complements, strict=True)]
        both = self._words(m, "line", unsigned(above + width), joined, row)
        return both[:above].as_signed() if bias.shape.signed else both[:above], both[above:]

    def _divided(self, m: Module, k: int, each: Value, bias: Value, steps: Sequence[Value]) -> Value:
        """The code of one sum of a beat."""
        tables = self._tables
        sums = Cat(Signal(tables.fraction), delay(m, each, ROM_LATENCY, _name("sum", k))).as_signed()
        rest: Value = Signal((sums + bias).shape(), name=_name("rest", k))
        m.d.sync += rest.eq(sums + bias)
        count: Value = Signal(0)
        for bit, step in zip(reversed(range(tables.output.width)), steps, strict=True):
            left = _reduced(rest, step, bit)
            enough = Signal(name=_name(f"enough_{bit}", k))
            m.d.comb += enough.eq(~left[-1])
            count = delay(m, Cat(enough, count), 1, _name(f"count_{bit}", k))
            next_rest = Signal.like(rest, name=_name(f"rest_{bit}", k))
            m.d.sync += next_rest.eq(Mux(enough, left, rest))
            rest = next_rest
        return _code(count, tables.output)


def shares_block(tables: LineTables) -> bool:
    """Whether a line's bias and step lie in one memory: where both take block RAM."""
    return not tables.bias.constant and not tables.step.constant and tables.rows > BLOCK_DEPTH


def _reduced(rest: Value, complement: Value, bit: int) -> Value:
    """``rest - (step << bit)`` from the complement of the step: an adder whose second operand needs no inverters."""
    width = max(len(rest) - bit, len(complement) + 1) + 1
    high, step = (
        Cat(value, sign.replicate(width))[:width] for value, sign in ((rest[bit:], rest[-1]), (complement, Const(1, 1)))
    )
    return Cat(rest[:bit], (Cat(1, high) + Cat(1, step))[1 : width + 1]).as_signed()


class TableThresholds(Requantizer[LevelTables]):
    """Counts the thresholds at or below a sum by binary search: one table and one comparator a bit."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tables = self._tables
        rows = [self._row(m)]
        for stage in range(len(tables.stages)):
            rows.append(delay(m, rows[-1], ROM_LATENCY + 1, f"row_{stage}"))
        for k, (sums, result) in enumerate(zip(self._sums, self._results, strict=True)):
            m.d.comb += result.eq(self._searched(m, k, sums, rows))
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, tables.latency, "valid"))
        return m

    def _searched(self, m: Module, k: int, sums: Value, rows: Sequence[Value]) -> Value:
        """The code of one sum of a beat; each has tables of its own."""
        tables = self._tables
        count: Value = Signal(0)
        for stage, table in enumerate(tables.stages):
            level = self._rom(m, _name(f"stage_{stage}", k), table, Cat(count, rows[stage]))
            sums = delay(m, sums, ROM_LATENCY, _name(f"sum_{stage}", k))
            found = delay(m, count, ROM_LATENCY, _name(f"found_{stage}", k))
            count = delay(m, Cat(sums >= level, found), 1, _name(f"count_{stage}", k))
            sums = delay(m, sums, 1, _name(f"kept_{stage}", k))
        return _code(count, tables.output)


def requantizer(tables: Tables, *, width: int = 1, beats: int = 1) -> Requantizer:
    """The component for some tables; see :class:`Requantizer`."""
    if isinstance(tables, ScoreTables):
        return ScoreBias(tables, width=width, beats=beats)
    if isinstance(tables, ShiftTables):
        return ShiftRoundUnit(tables, width=width, beats=beats)
    if isinstance(tables, LineTables):
        return LineThresholds(tables, width=width, beats=beats)
    if isinstance(tables, LevelTables):
        return TableThresholds(tables, width=width, beats=beats)
    raise TypeError(f"no requantizer for {type(tables).__name__}")


def several(shape: Shape, count: int) -> ShapeLike:
    """One element, or an array of them."""
    return shape if count == 1 else data.ArrayLayout(shape, count)


def elements(array: Any, shape: Shape, count: int) -> list[Value]:
    """The elements of what :func:`several` says, for reading and for writing."""
    if count == 1:
        return [array]
    return [array[k] for k in range(count)]


def _name(name: str, k: int) -> str:
    """The name of a signal of the k-th sum of a beat."""
    return name if k == 0 else f"{name}_of_{k}"
