"""Requantizers: one sum a cycle in the order of results, one code a cycle out, a fixed number of cycles later.

All have the same ports and no backpressure: the unit's output FIFO has room for whatever is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.rom import ROM_LATENCY, Rom, delay
from sterna.net import ActivationType, Requantization, ShiftRound, Thresholds, bits_for_range

#: Fractional bits that are tried to store thresholds as a start and a step.
MAX_FRACTION = 12


def shape_of(low: int, high: int) -> Shape:
    """Smallest Amaranth shape that holds a range."""
    return signed(bits_for_range(low, high)) if low < 0 else unsigned(bits_for_range(low, high))


def code_shape(code: ActivationType) -> Shape:
    """Amaranth shape of an activation code."""
    return signed(code.width) if code.signed else unsigned(code.width)


class Requantizer(wiring.Component):
    """Base of all requantizers: the ports, and the number of the result that is coming in.

    Parameters
    ----------
    rows : :class:`int`
        Results of a frame.
    sum_shape : :class:`Shape`
        Shape of a sum.
    output_shape : :class:`Shape`
        Shape of a result.

    Members
    -------
    i_valid : ``In(1)``; i_sum : ``In(sum_shape)``
        A sum, in any cycle.
    o_valid : ``Out(1)``; o_data : ``Out(output_shape)``
        Its result, ``latency`` cycles later.
    """

    def __init__(self, *, rows: int, sum_shape: Shape, output_shape: Shape) -> None:
        self._rows = rows
        self._sum_shape = sum_shape
        self._output_shape = output_shape
        super().__init__(
            {"i_valid": In(1), "i_sum": In(sum_shape), "o_valid": Out(1), "o_data": Out(output_shape)}
        )

    @property
    def latency(self) -> int:
        """Cycles from a sum to its result."""
        raise TypeError(f"{type(self).__name__} has no latency of its own")

    @property
    def output_shape(self) -> Shape:
        """Shape of a result."""
        return self._output_shape

    @property
    def table_bits(self) -> int:
        """Stored bits of its tables."""
        return sum(Shape.cast(shape).width * len(init) for shape, init in self._tables() if len(set(init)) > 1)

    def _tables(self) -> list[tuple[Shape, list[int]]]:
        return []

    def _row(self, m: Module) -> Signal:
        row = Signal(range(self._rows))
        with m.If(self.i_valid):
            m.d.sync += row.eq(Mux(row == self._rows - 1, 0, row + 1))
        return row

    def _rom(self, m: Module, name: str, table: int, address: Value) -> Value:
        shape, init = self._tables()[table]
        rom = Rom(shape=shape, init=init)
        m.submodules[name] = rom
        m.d.comb += rom.address.eq(address)
        return rom.data


class ScoreBias(Requantizer):
    """Adds each row's bias: raw scores. Exact: docs/arithmetic.md. Latency 3 cycles, or 0 where there is no bias.

    Parameters
    ----------
    rows, sum_shape, output_shape :
        As :class:`Requantizer`.
    bias : int64, (rows,)
        In the order of results.
    """

    def __init__(self, *, rows: int, sum_shape: Shape, output_shape: Shape, bias: np.ndarray) -> None:
        self._bias = [int(b) for b in bias]
        super().__init__(rows=rows, sum_shape=sum_shape, output_shape=output_shape)

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 1 if any(self._bias) else 0

    def _tables(self) -> list[tuple[Shape, list[int]]]:
        return [(shape_of(min(self._bias), max(self._bias)), self._bias)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self.latency:
            m.d.comb += [self.o_valid.eq(self.i_valid), self.o_data.eq(self.i_sum)]
            return m
        bias = self._rom(m, "bias", 0, self._row(m))
        m.d.sync += [
            self.o_valid.eq(delay(m, self.i_valid, ROM_LATENCY, "valid")),
            self.o_data.eq(delay(m, self.i_sum, ROM_LATENCY, "sum") + bias),
        ]
        return m


class ShiftRoundUnit(Requantizer):
    """``clamp((sum + bias) >> shift)``, the rounding term being part of the bias (docs/arithmetic.md).

    Latency ``ROM_LATENCY + 2`` cycles, one more where shifts differ from row to row.
    Cost: one adder, a clamp, a barrel shifter only for shifts by row; no multiplier.

    Parameters
    ----------
    rows, sum_shape :
        As :class:`Requantizer`.
    output : :class:`ActivationType`
        Type of the codes.
    bias : int64, (rows,)
        Bias and rounding term, in the order of results.
    shift : int64, (rows,)
        Likewise.
    """

    def __init__(
        self, *, rows: int, sum_shape: Shape, output: ActivationType, bias: np.ndarray, shift: np.ndarray
    ) -> None:
        self._output = output
        self._bias = [int(b) for b in bias]
        self._shift = [int(s) for s in shift]
        super().__init__(rows=rows, sum_shape=sum_shape, output_shape=code_shape(output))

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 2 + (len(set(self._shift)) > 1)

    def _tables(self) -> list[tuple[Shape, list[int]]]:
        return [
            (shape_of(min(self._bias), max(self._bias)), self._bias),
            (shape_of(0, max(self._shift)), self._shift),
        ]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = self._row(m)
        bias = self._rom(m, "bias", 0, row)
        valid = delay(m, self.i_valid, ROM_LATENCY, "valid")
        sums = delay(m, self.i_sum, ROM_LATENCY, "sum")
        biased = Signal((sums + bias).shape())
        m.d.sync += biased.eq(sums + bias)
        valid = delay(m, valid, 1, "biased_valid")
        if len(set(self._shift)) > 1:
            shift = delay(m, self._rom(m, "shift", 1, row), 1, "shift")
            shifted: Value = Signal.like(biased)
            m.d.sync += shifted.eq(biased >> shift)
            valid = delay(m, valid, 1, "shifted_valid")
        else:
            shifted = biased >> self._shift[0]
        m.d.sync += [self.o_valid.eq(valid), self.o_data.eq(clamped(shifted, self._output))]
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


@dataclass(frozen=True)
class Line:
    """Levels stored as a start and a step: ``sum << fraction >= start + k * step`` says ``sum >= levels[k]``."""

    fraction: int
    start: np.ndarray
    step: np.ndarray


def fit_line(levels: np.ndarray, low: np.ndarray, high: np.ndarray) -> Line | None:
    """Start and step that reproduce levels exactly for every sum that can occur, or None.

    Parameters
    ----------
    levels : int64, (rows, count), non-decreasing
    low, high : int64, (rows,)
        Smallest and largest sum of each row. A level at or below ``low`` holds always, one above ``high`` never: such
        levels only bound the line from one side.
    """
    for fraction in range(MAX_FRACTION + 1):
        fitted = [_fit_row(row, int(lo), int(hi), fraction) for row, lo, hi in zip(levels, low, high, strict=True)]
        if all(line is not None for line in fitted):
            starts, steps = zip(*(line for line in fitted if line is not None), strict=True)
            return Line(fraction, np.array(starts, np.int64), np.array(steps, np.int64))
    return None


def _fit_row(levels: np.ndarray, low: int, high: int, fraction: int) -> tuple[int, int] | None:
    """(start, step) of one row: ``(level - 1) << fraction < start + k * step <= level << fraction`` for each k."""
    one = 1 << fraction
    k = np.arange(len(levels))
    inside = (levels > low) & (levels <= high)
    # a level that always holds may lie anywhere at or below `low`; one that never does, anywhere above `high`
    upper = np.where(levels <= low, low, levels) * one
    lower = (np.where(levels > high, high, levels - 1)) * one
    has_upper = levels <= high
    has_lower = levels > low
    if not inside.any():
        always = int(np.count_nonzero(levels <= low))
        step = (high - low + 1) * one
        return low * one - (always - 1) * step, step
    ks = k[inside]
    if len(ks) > 1:
        span = int(ks[-1] - ks[0])
        rise = int(levels[ks[-1]] - levels[ks[0]]) * one
        least, most = (rise - one) // span, (rise + one) // span + 1
    else:
        least, most = 1, (high - low + 2) * one
    candidates = np.arange(max(least, 1), max(most, 1) + 1)
    if len(candidates) > 4096:
        candidates = np.unique(np.linspace(candidates[0], candidates[-1], 4096).astype(np.int64))
    reach = candidates[:, None] * k[None, :]
    start_most = np.where(has_upper, upper - reach, np.iinfo(np.int64).max).min(axis=1)
    start_least = np.where(has_lower, lower + 1 - reach, np.iinfo(np.int64).min).max(axis=1)
    found = np.flatnonzero(start_least <= start_most)
    if not len(found):
        return None
    best = found[len(found) // 2]
    return int(start_most[best]), int(candidates[best])


class LineThresholds(Requantizer):
    """Counts the thresholds at or below a sum, where start and step make them: a restoring division by the step.

    Latency ``ROM_LATENCY + 1 + width`` cycles. Cost: ``width + 1`` adders, two tables; no multiplier, no divider.

    Parameters
    ----------
    rows, sum_shape :
        As :class:`Requantizer`.
    output : :class:`ActivationType`
        Type of the codes.
    line : :class:`Line`
        In the order of results.
    """

    def __init__(self, *, rows: int, sum_shape: Shape, output: ActivationType, line: Line) -> None:
        self._output = output
        self._fraction = line.fraction
        # sum << fraction >= start + k * step  <=>  (sum << fraction) - start + step >= (k + 1) * step
        self._bias = [int(step - start) for start, step in zip(line.start, line.step, strict=True)]
        self._step = [int(step) for step in line.step]
        super().__init__(rows=rows, sum_shape=sum_shape, output_shape=code_shape(output))

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 1 + self._output.width

    def _tables(self) -> list[tuple[Shape, list[int]]]:
        return [
            (shape_of(min(self._bias), max(self._bias)), self._bias),
            (shape_of(0, max(self._step)), self._step),
        ]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self._output.width
        row = self._row(m)
        bias, step = self._rom(m, "bias", 0, row), self._rom(m, "step", 1, row)
        sums = Cat(Signal(self._fraction), delay(m, self.i_sum, ROM_LATENCY, "sum"))
        sums = sums.as_signed() if Shape.cast(self._sum_shape).signed else sums
        rest = Signal((sums + bias).shape(), name="rest")
        m.d.sync += rest.eq(sums + bias)
        step = delay(m, step, 1, "step")
        count: Value = Signal(0)
        for bit in reversed(range(width)):
            left = rest - (step << bit)
            enough = Signal(name=f"enough_{bit}")
            m.d.comb += enough.eq(~left[-1] if left.shape().signed else 1)
            next_rest = Signal.like(rest, name=f"rest_{bit}")
            next_count = Signal(len(count) + 1, name=f"count_{bit}")
            m.d.sync += [
                next_rest.eq(Mux(enough, left, rest)),
                next_count.eq(Cat(enough, count)),
            ]
            rest, count, step = next_rest, next_count, delay(m, step, 1, f"step_{bit}")
        # y = y_min + count: for signed codes, the count with its top bit inverted
        m.d.comb += [
            self.o_valid.eq(delay(m, self.i_valid, self.latency, "valid")),
            self.o_data.eq(count ^ (1 << (width - 1)) if self._output.signed else count),
        ]
        return m


class TableThresholds(Requantizer):
    """Counts the thresholds at or below a sum by binary search, one table a stage.

    Latency ``(ROM_LATENCY + 1) * width`` cycles. Cost: ``width`` comparators, ``rows * (2**width - 1)`` levels.

    Parameters
    ----------
    rows, sum_shape :
        As :class:`Requantizer`.
    output : :class:`ActivationType`
        Type of the codes.
    levels : int64, (rows, 2**width - 1)
        In the order of results.
    """

    def __init__(self, *, rows: int, sum_shape: Shape, output: ActivationType, levels: np.ndarray) -> None:
        self._output = output
        self._levels = levels
        super().__init__(rows=rows, sum_shape=sum_shape, output_shape=code_shape(output))

    @property
    def latency(self) -> int:
        return (ROM_LATENCY + 1) * self._output.width

    def _tables(self) -> list[tuple[Shape, list[int]]]:
        """One a stage: entry (row, bits found so far, most significant first)."""
        width = self._output.width
        shape = shape_of(int(self._levels.min()), int(self._levels.max()))
        tables = []
        for stage in range(width):
            half = 1 << (width - 1 - stage)
            columns = [(found * 2 + 1) * half - 1 for found in range(1 << stage)]
            tables.append((shape, [int(level) for level in self._levels[:, columns].reshape(-1)]))
        return tables

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self._output.width
        row: Value = self._row(m)
        sums: Value = self.i_sum
        count: Value = Signal(0)
        for stage in range(width):
            address = Cat(count, row)
            level = self._rom(m, f"stage_{stage}", stage, address)
            sums = delay(m, sums, ROM_LATENCY, f"sum_{stage}")
            next_count = Signal(stage + 1, name=f"count_{stage}")
            m.d.sync += next_count.eq(Cat(sums >= level, delay(m, count, ROM_LATENCY, f"found_{stage}")))
            count = next_count
            sums = delay(m, sums, 1, f"kept_{stage}")
            row = delay(m, row, ROM_LATENCY + 1, f"row_{stage}")
        m.d.comb += [
            self.o_valid.eq(delay(m, self.i_valid, self.latency, "valid")),
            self.o_data.eq(count ^ (1 << (width - 1)) if self._output.signed else count),
        ]
        return m


def make_requantizer(
    requantize: Requantization | None,
    *,
    offset: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> Requantizer:
    """The requantizer of a layer, all arrays in the order of results.

    Parameters
    ----------
    requantize : Thresholds, ShiftRound or None
        None: scores, that is the sums and their offset.
    offset : int64, (rows,)
        Added to each row's sum before.
    low, high : int64, (rows,)
        Smallest and largest sum of each row, without the offset.
    """
    rows = len(offset)
    sum_shape = signed(bits_for_range(min(int(low.min()), -1), int(high.max())))
    if requantize is None:
        output = shape_of(int((low + offset).min()), int((high + offset).max()))
        return ScoreBias(rows=rows, sum_shape=sum_shape, output_shape=output, bias=offset)
    if isinstance(requantize, ShiftRound):
        return ShiftRoundUnit(
            rows=rows,
            sum_shape=sum_shape,
            output=requantize.output,
            bias=requantize.offset.astype(np.int64) + offset,
            shift=requantize.shift.astype(np.int64),
        )
    assert isinstance(requantize, Thresholds)
    levels = requantize.levels.astype(np.int64) - offset[:, None]
    line = fit_line(levels, low, high)
    if line is not None:
        unit = LineThresholds(rows=rows, sum_shape=sum_shape, output=requantize.output, line=line)
        if unit.table_bits <= rows * levels.shape[1] * sum_shape.width:
            return unit
    clipped = np.clip(levels, low[:, None], high[:, None] + 1)
    return TableThresholds(rows=rows, sum_shape=sum_shape, output=requantize.output, levels=clipped)
