"""Requantizers: one sum a cycle in the order of results, one code a cycle out, a fixed number of cycles later.

All have the same ports and no backpressure: the unit's output FIFO has room for whatever is on its way.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.rom import ROM_LATENCY, Rom, delay
from sterna.hw.parts.tables import LevelTables, LineTables, ScoreTables, ShiftTables, Table, Tables
from sterna.net import ActivationType

T = TypeVar("T", bound=Tables)


class Requantizer(wiring.Component, Generic[T]):
    """Base of all requantizers: the ports, and the number of the result that is coming in.

    Throughput: one sum a cycle. Latency: ``tables.latency`` cycles. Exact: docs/arithmetic.md.

    Parameters
    ----------
    tables : :class:`Tables`
        What it stores.

    Members
    -------
    i_valid : ``In(1)``; i_sum : ``In(tables.sum_shape)``
        A sum, in any cycle.
    o_valid : ``Out(1)``; o_data : ``Out(tables.output_shape)``
        Its result.
    """

    i_valid: Signal
    i_sum: Signal
    o_valid: Signal
    o_data: Signal

    def __init__(self, tables: T) -> None:
        self._tables = tables
        super().__init__(
            {
                "i_valid": In(1),
                "i_sum": In(tables.sum_shape),
                "o_valid": Out(1),
                "o_data": Out(tables.output_shape),
            }
        )

    def _row(self, m: Module) -> Signal:
        rows = self._tables.rows
        row = Signal(range(rows))
        with m.If(self.i_valid):
            m.d.sync += row.eq(Mux(row == rows - 1, 0, row + 1))
        return row

    def _rom(self, m: Module, name: str, table: Table, address: Value) -> Value:
        m.submodules[name] = rom = Rom(shape=table.shape, init=table.entries)
        m.d.comb += rom.address.eq(address)
        return rom.data


class ScoreBias(Requantizer[ScoreTables]):
    """Adds each row's bias: raw scores. Where there is no bias, there is nothing."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self._tables.latency:
            m.d.comb += [self.o_valid.eq(self.i_valid), self.o_data.eq(self.i_sum)]
            return m
        bias = self._rom(m, "bias", self._tables.bias, self._row(m))
        m.d.sync += [
            self.o_valid.eq(delay(m, self.i_valid, ROM_LATENCY, "valid")),
            self.o_data.eq(delay(m, self.i_sum, ROM_LATENCY, "sum") + bias),
        ]
        return m


class ShiftRoundUnit(Requantizer[ShiftTables]):
    """``clamp((sum + bias) >> shift)``. Cost: one adder, a clamp, a barrel shifter only for shifts that differ."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tables = self._tables
        row = self._row(m)
        bias = self._rom(m, "bias", tables.bias, row)
        sums = delay(m, self.i_sum, ROM_LATENCY, "sum")
        biased = Signal((sums + bias).shape())
        m.d.sync += biased.eq(sums + bias)
        if tables.shift.constant:
            shifted = biased >> tables.shift.entries[0]
        else:
            shift = delay(m, self._rom(m, "shift", tables.shift, row), 1, "shift")
            shifted = delay(m, biased >> shift, 1, "shifted")
        m.d.sync += self.o_data.eq(clamped(shifted, tables.output))
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
        row = self._row(m)
        bias, step = self._rom(m, "bias", tables.bias, row), self._rom(m, "step", tables.step, row)
        sums = Cat(Signal(tables.fraction), delay(m, self.i_sum, ROM_LATENCY, "sum")).as_signed()
        rest: Value = Signal((sums + bias).shape(), name="rest")
        m.d.sync += rest.eq(sums + bias)
        step = delay(m, step, 1, "step")
        count: Value = Signal(0)
        for bit in reversed(range(tables.output.width)):
            left = (rest - (step << bit)).as_signed()
            enough = Signal(name=f"enough_{bit}")
            m.d.comb += enough.eq(~left[-1])
            count = delay(m, Cat(enough, count), 1, f"count_{bit}")
            next_rest = Signal.like(rest, name=f"rest_{bit}")
            m.d.sync += next_rest.eq(Mux(enough, left, rest))
            rest, step = next_rest, delay(m, step, 1, f"step_{bit}")
        m.d.comb += [
            self.o_valid.eq(delay(m, self.i_valid, tables.latency, "valid")),
            self.o_data.eq(_code(count, tables.output)),
        ]
        return m


class TableThresholds(Requantizer[LevelTables]):
    """Counts the thresholds at or below a sum by binary search: one table and one comparator a bit."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tables = self._tables
        row: Value = self._row(m)
        sums: Value = self.i_sum
        count: Value = Signal(0)
        for stage, table in enumerate(tables.stages):
            level = self._rom(m, f"stage_{stage}", table, Cat(count, row))
            sums = delay(m, sums, ROM_LATENCY, f"sum_{stage}")
            found = delay(m, count, ROM_LATENCY, f"found_{stage}")
            count = delay(m, Cat(sums >= level, found), 1, f"count_{stage}")
            sums = delay(m, sums, 1, f"kept_{stage}")
            row = delay(m, row, ROM_LATENCY + 1, f"row_{stage}")
        m.d.comb += [
            self.o_valid.eq(delay(m, self.i_valid, tables.latency, "valid")),
            self.o_data.eq(_code(count, tables.output)),
        ]
        return m


def requantizer(tables: Tables) -> Requantizer:
    """The component for some tables."""
    if isinstance(tables, ScoreTables):
        return ScoreBias(tables)
    if isinstance(tables, ShiftTables):
        return ShiftRoundUnit(tables)
    if isinstance(tables, LineTables):
        return LineThresholds(tables)
    if isinstance(tables, LevelTables):
        return TableThresholds(tables)
    raise TypeError(f"no requantizer for {type(tables).__name__}")
