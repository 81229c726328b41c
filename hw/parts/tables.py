"""What requantizers store: tables with one entry a result, and thresholds as a line where that is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape, signed, unsigned

from sterna.hw.parts.codes import rounded_bias
from sterna.hw.parts.loadable import MemoryImage
from sterna.hw.parts.rom import ROM_LATENCY
from sterna.net import ActivationType, Requantization, ShiftRound, bits_for_range
from sterna.net.errors import InvalidValueError

#: Fractional bits that are tried to store thresholds as a start and a step.
MAX_FRACTION = 12
#: Steps of a line that are tried for a row, and rows that are fitted at once.
MAX_STEPS, ROWS_AT_ONCE = 4096, 64


def shape_of(low: int, high: int) -> Shape:
    """Smallest Amaranth shape that holds a range."""
    return signed(bits_for_range(low, high)) if low < 0 else unsigned(bits_for_range(low, high))


def code_shape(code: ActivationType) -> Shape:
    """Amaranth shape of an activation code."""
    return signed(code.width) if code.signed else unsigned(code.width)


@dataclass(frozen=True)
class Table:
    """Entries of a memory, in the order of results.

    ``given``: its shape, where other entries can be loaded; otherwise nothing is ever written.
    """

    entries: tuple[int, ...]
    given: Shape | None = None

    @property
    def shape(self) -> Shape:
        """Smallest shape that holds all entries, where none is given."""
        return shape_of(min(self.entries), max(self.entries)) if self.given is None else self.given

    @property
    def constant(self) -> bool:
        """Whether all entries are equal, and will be: then no memory is made."""
        return self.given is None and len(set(self.entries)) == 1

    @property
    def image(self) -> MemoryImage:
        """Its words, to be loaded."""
        return MemoryImage(width=self.shape.width, words=tuple(e & ((1 << self.shape.width) - 1) for e in self.entries))

    @property
    def bits(self) -> int:
        """Stored bits."""
        return 0 if self.constant else self.shape.width * len(self.entries)


def _table(values: np.ndarray, given: Shape | None = None) -> Table:
    return Table(tuple(int(value) for value in np.asarray(values).reshape(-1)), given)


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

    @property
    def images(self) -> tuple[MemoryImage, ...]:
        """Of the tables that can be loaded."""
        return tuple(table.image for table in self.tables if table.given is not None)


@dataclass(frozen=True, kw_only=True)
class ScoreTables(Tables):
    """``sum + bias``: raw scores."""

    bias: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.bias,)

    @property
    def latency(self) -> int:
        return ROM_LATENCY + 1 if self.images or any(self.bias.entries) else 0


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


def level_tables(
    *, sum_shape: Shape, output: ActivationType, levels: np.ndarray, given: Shape | None = None
) -> LevelTables:
    """Tables for a binary search over ``levels``, int64, (rows, 2**width - 1); ``given``: as of :class:`Table`."""
    stages = []
    for stage in range(output.width):
        half = 1 << (output.width - 1 - stage)
        stages.append(_table(levels[:, [(found * 2 + 1) * half - 1 for found in range(1 << stage)]], given))
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


def room_tables(requantize: Requantization | None, *, offset: np.ndarray, bound: int) -> Tables:
    """Tables of which nothing but the entries depends on what the layer computes, so that others can be loaded.

    Both requantizations become thresholds. A sum's offset may be as large as a sum.

    Parameters
    ----------
    requantize, offset
        As of :func:`plan_tables`.
    bound : int
        Largest magnitude of a sum without its offset, whatever the weights are.

    Raises
    ------
    ValueError
        If a score's offset is larger.
    """
    sum_shape, given = signed(bits_for_range(-bound, bound)), signed(bits_for_range(-bound, bound + 1))
    if requantize is None:
        if np.abs(offset).max() > bound:
            raise InvalidValueError(
                f"a bias of {np.abs(offset).max():,} is beyond any sum of its inputs, {bound:,} at most: leave "
                "--loadable out, or take the same number from all biases"
            )
        output_shape = signed(bits_for_range(-2 * bound, 2 * bound))
        return ScoreTables(rows=len(offset), sum_shape=sum_shape, output_shape=output_shape, bias=_table(offset, given))
    output = requantize.output
    if isinstance(requantize, ShiftRound):
        steps = np.arange(output.min + 1, output.max + 1, dtype=np.int64) << requantize.shift.astype(np.int64)[:, None]
        levels = steps - rounded_bias(requantize)[:, None]
    else:
        levels = requantize.levels.astype(np.int64)
    clipped = np.clip(levels - offset[:, None], -bound, bound + 1)
    return level_tables(sum_shape=sum_shape, output=output, levels=clipped, given=given)


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
    rows = len(levels)
    for fraction in range(MAX_FRACTION + 1):
        fitted = []
        for first in range(0, rows, ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            lines = _fit_rows(levels[part], low[part], high[part], fraction)
            if lines is None:
                break
            fitted.append(lines)
        else:
            starts, steps = zip(*fitted, strict=True)
            return Line(fraction, np.concatenate(starts), np.concatenate(steps))
    return None


def _fit_rows(
    levels: np.ndarray, low: np.ndarray, high: np.ndarray, fraction: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """(start, step) of each row: ``(level - 1) << fraction < start + k * step <= level << fraction`` for each k."""
    low, high = low[:, None], high[:, None]
    inside = ((levels > low) & (levels <= high)).any(axis=1)
    bounds = _Bounds(levels, low, high, fraction)
    steps = _Steps(levels, low, high, fraction)
    # bounds of one side each tell which steps are too small and which too large: those that fit are neighbours
    first = _bisect(steps, lambda index: bounds.verdict(steps[index]) >= 0)
    last = _bisect(steps, lambda index: bounds.verdict(steps[index]) > 0) - 1
    if (inside & (first > last)).any():
        return None
    step = steps[np.where(inside, first + (last - first + 1) // 2, 0)]
    # no level inside: the line steps over all sums at once
    wide = ((high - low + 1) << fraction)[:, 0]
    always = np.count_nonzero(levels <= low, axis=1)
    start = np.where(inside, bounds.start_most(step)[0], (low[:, 0] << fraction) - (always - 1) * wide)
    return start, np.where(inside, step, wide)


class _Bounds:
    """Where lines have to pass: at or below ``upper``, above ``lower``, where a level has the bound.

    A level that always holds may lie anywhere at or below ``low``; one that never does, anywhere above ``high``.
    """

    def __init__(self, levels: np.ndarray, low: np.ndarray, high: np.ndarray, fraction: int) -> None:
        one = 1 << fraction
        self._k = np.arange(levels.shape[1])
        self._upper = np.where(levels <= low, low, levels) * one
        self._lower = np.where(levels > high, high, levels - 1) * one
        self._has_upper = levels <= high
        self._has_lower = levels > low

    def start_most(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Highest start for each row's step, and the level that bounds it."""
        start = np.where(self._has_upper, self._upper - step[:, None] * self._k, np.iinfo(np.int64).max)
        return start.min(axis=1), start.argmin(axis=1)

    def _start_least(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        start = np.where(self._has_lower, self._lower + 1 - step[:, None] * self._k, np.iinfo(np.int64).min)
        return start.max(axis=1), start.argmax(axis=1)

    def verdict(self, step: np.ndarray) -> np.ndarray:
        """Negative where a row's step is too small, positive where it is too large, 0 where it fits."""
        (most, ends), (least, begins) = self.start_most(step), self._start_least(step)
        return np.where(least <= most, 0, ends - begins)


class _Steps:
    """Steps that are tried for each row, in increasing order; of many, an even selection.

    They go by the rise between the outermost levels that sums reach; where that is one level, up to all sums.
    """

    def __init__(self, levels: np.ndarray, low: np.ndarray, high: np.ndarray, fraction: int) -> None:
        inside = (levels > low) & (levels <= high)
        rows = np.arange(len(levels))
        first = inside.argmax(axis=1)
        last = levels.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
        span = np.maximum(last - first, 1)
        rise = (levels[rows, last] - levels[rows, first]) << fraction
        single = np.count_nonzero(inside, axis=1) < 2
        one = 1 << fraction
        least = np.where(single, 1, (rise - one) // span)
        most = np.where(single, (high - low + 2)[:, 0] << fraction, (rise + one) // span + 1)
        self._least, self._most = np.maximum(least, 1), np.maximum(most, 1)
        self.count = np.minimum(self._most - self._least + 1, MAX_STEPS)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """Each row's step of an index; of many steps, what ``np.linspace`` would give."""
        spread = index * ((self._most - self._least) / (MAX_STEPS - 1)) + self._least
        spread = np.where(index == MAX_STEPS - 1, self._most, spread.astype(np.int64))
        return np.where(self._most - self._least < MAX_STEPS, self._least + index, spread)


def _bisect(steps: _Steps, reached: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The first index of each row that has reached something, which all above have too; or the number of steps."""
    low, high = np.zeros_like(steps.count), steps.count.copy()
    while (low < high).any():
        middle = np.minimum((low + high) // 2, steps.count - 1)
        found = reached(middle)
        open_ = low < high
        high = np.where(open_ & found, middle, high)
        low = np.where(open_ & ~found, middle + 1, low)
    return low
