"""What requantizers store: tables with one entry a result, and thresholds as a line where that is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape, signed, unsigned

from sterna.hw.parts.codes import rounded_bias
from sterna.hw.parts.rom import ROM_LATENCY
from sterna.net import ActivationType, Requantization, ShiftRound, bits_for_range

#: Fractional bits that are tried to store thresholds as a start and a step.
MAX_FRACTION = 12


def shape_of(low: int, high: int) -> Shape:
    """Smallest Amaranth shape that holds a range."""
    return signed(bits_for_range(low, high)) if low < 0 else unsigned(bits_for_range(low, high))


def code_shape(code: ActivationType) -> Shape:
    """Amaranth shape of an activation code."""
    return signed(code.width) if code.signed else unsigned(code.width)


@dataclass(frozen=True)
class Table:
    """Entries of a read-only memory, in the order of results."""

    entries: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """Smallest shape that holds all entries."""
        return shape_of(min(self.entries), max(self.entries))

    @property
    def constant(self) -> bool:
        """Whether all entries are equal: then no memory is made."""
        return len(set(self.entries)) == 1

    @property
    def bits(self) -> int:
        """Stored bits."""
        return 0 if self.constant else self.shape.width * len(self.entries)


def _table(values: np.ndarray) -> Table:
    return Table(tuple(int(value) for value in np.asarray(values).reshape(-1)))


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What one requantizer stores and how long it takes; base of the kinds below.

    Attributes
    ----------
    rows : int
        Results of a frame.
    sum_shape, output_shape : Shape
        Of a sum, and of a result.
    """

    rows: int
    sum_shape: Shape
    output_shape: Shape

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables."""
        return ()

    @property
    def latency(self) -> int:
        """Cycles from a sum to its result."""
        return 0

    @property
    def bits(self) -> int:
        """Stored bits of all tables."""
        return sum(table.bits for table in self.tables)


@dataclass(frozen=True, kw_only=True)
class ScoreTables(Tables):
    """``sum + bias``: raw scores."""

    bias: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.bias,)

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 1 if any(self.bias.entries) else 0


@dataclass(frozen=True, kw_only=True)
class ShiftTables(Tables):
    """``clamp((sum + bias) >> shift)``; the rounding term is part of the bias."""

    output: ActivationType
    bias: Table
    shift: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.bias, self.shift)

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 2 + (not self.shift.constant)


@dataclass(frozen=True, kw_only=True)
class LineTables(Tables):
    """``clamp(((sum << fraction) + bias) // step)``: thresholds that lie on a line, up to rounding."""

    output: ActivationType
    fraction: int
    bias: Table
    step: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.bias, self.step)

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 1 + self.output.width


@dataclass(frozen=True, kw_only=True)
class LevelTables(Tables):
    """Thresholds by binary search: stage s has an entry for each row and each s bits found so far."""

    output: ActivationType
    stages: tuple[Table, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        return self.stages

    @property
    def latency(self) -> int:
        return (ROM_LATENCY + 1) * self.output.width


def level_tables(*, sum_shape: Shape, output: ActivationType, levels: np.ndarray) -> LevelTables:
    """Tables for a binary search over ``levels``, int64, (rows, 2**width - 1)."""
    stages = []
    for stage in range(output.width):
        half = 1 << (output.width - 1 - stage)
        stages.append(_table(levels[:, [(found * 2 + 1) * half - 1 for found in range(1 << stage)]]))
    return LevelTables(
        rows=len(levels), sum_shape=sum_shape, output_shape=code_shape(output), output=output, stages=tuple(stages)
    )


def line_tables(*, sum_shape: Shape, output: ActivationType, line: Line) -> LineTables:
    """Tables for thresholds on a line.

    ``sum << fraction >= start + k * step`` holds if and only if ``(sum << fraction) - start + step >= (k + 1) * step``.
    """
    return LineTables(
        rows=len(line.start),
        sum_shape=sum_shape,
        output_shape=code_shape(output),
        output=output,
        fraction=line.fraction,
        bias=_table(line.step - line.start),
        step=_table(line.step),
    )


def plan_tables(requantize: Requantization | None, *, offset: np.ndarray, low: np.ndarray, high: np.ndarray) -> Tables:
    """What the requantizer of a layer stores, all arrays in the order of results.

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
        output_shape = shape_of(int((low + offset).min()), int((high + offset).max()))
        return ScoreTables(rows=rows, sum_shape=sum_shape, output_shape=output_shape, bias=_table(offset))
    output = requantize.output
    if isinstance(requantize, ShiftRound):
        return ShiftTables(
            rows=rows,
            sum_shape=sum_shape,
            output_shape=code_shape(output),
            output=output,
            bias=_table(rounded_bias(requantize) + offset),
            shift=_table(requantize.shift),
        )
    levels = requantize.levels.astype(np.int64) - offset[:, None]
    clipped = np.clip(levels, low[:, None], high[:, None] + 1)
    searched = level_tables(sum_shape=sum_shape, output=output, levels=clipped)
    line = fit_line(levels, low, high)
    if line is not None:
        divided = line_tables(sum_shape=sum_shape, output=output, line=line)
        if divided.bits <= searched.bits:
            return divided
    return searched


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
