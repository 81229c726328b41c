"""What requantizers store, against the definition of a threshold, for every sum that can occur."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from amaranth.hdl import signed, unsigned
from bench import S4, U1, U2, U4
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.hw.parts.tables import (
    MAX_FRACTION,
    MAX_STEPS,
    ROWS_AT_ONCE,
    LevelTables,
    LineTables,
    ScoreTables,
    ShiftTables,
    Table,
    fit_line,
    level_tables,
    line_tables,
    plan_tables,
    shape_of,
)
from sterna.net import ActivationType, ShiftRound, Thresholds


def counted(levels: np.ndarray, row: int, total: int) -> int:
    """Thresholds at or below a sum."""
    return sum(int(level) <= total for level in levels[row])


def divided(tables: LineTables, row: int, total: int) -> int:
    """The formula of :class:`LineTables`."""
    bias, step = tables.bias.entries[row], tables.step.entries[row]
    quotient = ((total << tables.fraction) + bias) // step
    return min(max(quotient, 0), (1 << tables.output.width) - 1)


def searched(tables: LevelTables, row: int, total: int) -> int:
    """A binary search, as :class:`LevelTables` stores it."""
    found = 0
    for stage, table in enumerate(tables.stages):
        found = found * 2 + (total >= table.entries[row * (1 << stage) + found])
    return found


def line_is_exact(levels: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether there is a line; if so, it gives what the levels give."""
    line = fit_line(levels, low, high)
    if line is None:
        return False
    assert 0 <= line.fraction <= MAX_FRACTION
    assert (line.step > 0).all()
    output = ActivationType(levels.shape[1].bit_length(), False)
    tables = line_tables(sum_shape=signed(12), output=output, line=line)
    for row in range(len(levels)):
        for total in range(int(low[row]), int(high[row]) + 1):
            assert divided(tables, row, total) == counted(levels, row, total)
            reached = sum(
                total << line.fraction >= line.start[row] + k * line.step[row] for k in range(len(levels[row]))
            )
            assert reached == counted(levels, row, total)
    return True


@st.composite
def rounded_lines(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels that training rounds up from evenly spaced reals, some beyond the sums that can occur."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    start = [draw(st.integers(-400, 400)) / 8 for _ in range(rows)]
    step = [draw(st.integers(0, 100)) / 8 for _ in range(rows)]
    k = np.arange((1 << width) - 1)
    levels = np.array([np.ceil(a + b * k) for a, b in zip(start, step, strict=True)], np.int64)
    low = np.array([draw(st.integers(-60, 20)) for _ in range(rows)])
    high = low + np.array([draw(st.integers(0, 60)) for _ in range(rows)])
    return levels, low, high


@settings(deadline=None, derandomize=True, max_examples=100)
@given(rounded_lines())
def test_a_rounded_line_is_found_and_exact(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert line_is_exact(*case)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.data())
def test_any_levels_are_exact_or_refused(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 3))
    row = st.lists(st.integers(-12, 12), min_size=(1 << width) - 1, max_size=(1 << width) - 1)
    levels = np.array([sorted(data.draw(row)) for _ in range(data.draw(st.integers(1, 3)))])
    low = np.full(len(levels), data.draw(st.integers(-14, 0)))
    line_is_exact(levels, low, low + data.draw(st.integers(0, 20)))


RANGE = np.array([-10]), np.array([10])


@pytest.mark.parametrize(
    "levels",
    [
        [0, 0, 0],  # steps far below one
        [-10, -10, -10],  # always, as low as sums go
        [-99, -50, -11],  # always
        [11, 11, 11],  # never
        [-99, 0, 99],  # one inside
        [-20, -3, 4],  # one clipped below: only bounded
        [10, 10, 11],
        [-9, -9, -9],
        [-7, 1, 9],
        [-7, 1, 8],
        [-7, 0, 8],
    ],
)
def test_lines_by_hand(levels: list[int]) -> None:
    assert line_is_exact(np.array([levels]), *RANGE)


@pytest.mark.parametrize("levels", [[-9, -5, 8], [0, 0, 5], [-8, 3, 4]])
def test_what_is_no_line_is_refused(levels: list[int]) -> None:
    assert fit_line(np.array([levels]), *RANGE) is None


def test_one_row_that_is_no_line_refuses_all() -> None:
    low, high = np.array([-10, -10]), np.array([10, 10])
    assert fit_line(np.array([[-2, 0, 2], [-9, -5, 8]]), low, high) is None
    assert fit_line(np.array([[-2, 0, 2], [-9, 0, 8]]), low, high) is not None


def listed_line(levels: np.ndarray, low: int, high: int, fraction: int) -> tuple[int, int] | None:
    """(start, step) of one row: every step that may fit is tried, and of those that do, the middle one is taken."""
    one = 1 << fraction
    inside = [k for k, level in enumerate(levels) if low < level <= high]
    if not inside:
        step = (high - low + 1) * one
        return low * one - (int((levels <= low).sum()) - 1) * step, step
    least, most = 1, (high - low + 2) * one
    if len(inside) > 1:
        rise, span = int(levels[inside[-1]] - levels[inside[0]]) * one, inside[-1] - inside[0]
        least, most = max((rise - one) // span, 1), max((rise + one) // span + 1, 1)
    steps = range(least, most + 1)
    if len(steps) > MAX_STEPS:
        steps = np.linspace(least, most, MAX_STEPS).astype(np.int64).tolist()
    found = []
    for step in steps:
        begins = [(min(level - 1, high)) * one + 1 - k * step for k, level in enumerate(levels) if level > low]
        ends = [max(level, low) * one - k * step for k, level in enumerate(levels) if level <= high]
        if max(begins, default=min(ends)) <= min(ends, default=max(begins)):
            found.append((int(min(ends, default=np.iinfo(np.int64).max)), step))
    return found[len(found) // 2] if found else None


@settings(deadline=None, derandomize=True, max_examples=60)
@given(rounded_lines(), st.sampled_from([1, 100, 2000]))
def test_lines_are_those_that_a_list_of_steps_gives(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], wider: int
) -> None:
    levels, low, high = case
    high = high + wider  # 2000: more steps than are tried
    for fraction in range(3):
        rows = [listed_line(*row, fraction) for row in zip(levels, low.tolist(), high.tolist(), strict=True)]
        if None not in rows:
            line = fit_line(levels, low, high)
            assert line is not None
            assert line.fraction == fraction
            assert list(zip(line.start.tolist(), line.step.tolist(), strict=True)) == rows
            return
    line = fit_line(levels, low, high)
    assert line is None or line.fraction > 2


def test_more_rows_than_are_fitted_at_once() -> None:
    rows = 2 * ROWS_AT_ONCE + 3
    levels = np.arange(7) * np.arange(1, rows + 1)[:, None] - 20
    low, high = np.full(rows, -900), np.full(rows, 900)
    line = fit_line(levels, low, high)
    assert line is not None
    assert line.fraction == 0
    assert (line.step == np.arange(1, rows + 1)).all()
    levels[-1] = [-9, -5, 8, 9, 9, 9, 90]
    assert fit_line(levels, low, high) is None


def test_wide_layers_take_little_memory() -> None:
    # 4,096 inputs of 8 bits; one level that sums reach may be on many lines, and the other row is on none
    high = np.full(2, 4096 * 255)
    levels = np.array([[-(1 << 30)] * 7 + [5] + [1 << 30] * 7, [*range(0, 14), 1 << 19]])
    tracemalloc.start()
    assert fit_line(levels, -high, high) is None
    assert fit_line(levels[:1], -high, high) is not None
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_half_needs_a_fraction() -> None:
    line = fit_line(np.array([[0, 1, 3, 4, 6, 7, 9]]), *RANGE)
    assert line is not None
    assert line.fraction >= 1


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_searches_find_the_count(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    levels = np.sort(rng.integers(-20, 21, (3, (1 << width) - 1)), axis=1)
    tables = level_tables(sum_shape=signed(6), output=ActivationType(width, True), levels=levels)
    assert [len(table.entries) for table in tables.stages] == [3 << stage for stage in range(width)]
    for row in range(3):
        for total in range(-22, 23):
            assert searched(tables, row, total) == counted(levels, row, total)


def bounds(rows: int, low: int, high: int) -> dict[str, np.ndarray]:
    return {"low": np.full(rows, low), "high": np.full(rows, high)}


def test_scores() -> None:
    tables = plan_tables(None, offset=np.array([3, -7]), **bounds(2, -4, 9))
    assert isinstance(tables, ScoreTables)
    assert (tables.sum_shape, tables.output_shape) == (signed(5), signed(5))
    assert tables.bias.entries == (3, -7)
    assert (tables.latency, tables.bits) == (3, 2 * 4)
    plain = plan_tables(None, offset=np.array([0, 0]), **bounds(2, 0, 9))
    assert (plain.sum_shape, plain.output_shape) == (signed(5), unsigned(4))
    assert (plain.latency, plain.bits) == (0, 0)


def test_shifts() -> None:
    requantize = ShiftRound(output=S4, bias=[1, 2], shift=[0, 3])
    tables = plan_tables(requantize, offset=np.array([10, 20]), **bounds(2, -4, 9))
    assert isinstance(tables, ShiftTables)
    assert tables.bias.entries == (11, 2 + 20 + 4)  # half of 8 rounds
    assert tables.shift.entries == (0, 3)
    assert tables.output_shape == signed(4)
    assert tables.latency == 5
    even = plan_tables(
        ShiftRound(output=S4, bias=[1, 2], shift=3),
        offset=np.array([0, 0]),
        low=np.array([-4, 0]),
        high=np.array([9, 9]),
    )
    assert even.latency == 4


def test_offsets_move_levels_and_unreachable_ones_are_clipped() -> None:
    requantize = Thresholds(output=U2, levels=[[-90, -5, 8]])
    tables = plan_tables(requantize, offset=np.array([2]), **bounds(1, -10, 5))
    assert isinstance(tables, LineTables) == (
        fit_line(np.array([[-92, -7, 6]]), np.array([-10]), np.array([5])) is not None
    )
    for total in range(-10, 6):
        found = divided(tables, 0, total) if isinstance(tables, LineTables) else searched(tables, 0, total)
        assert found == counted(requantize.levels, 0, total + 2)


def test_thresholds_on_a_line_are_divided_where_that_is_smaller() -> None:
    levels = np.arange(15) * 3 - 20 + np.arange(8)[:, None]
    line = plan_tables(Thresholds(output=U4, levels=levels), offset=np.zeros(8, np.int64), **bounds(8, -60, 60))
    assert isinstance(line, LineTables)
    assert line.latency == 2 + 1 + 4
    assert line.step.constant
    single = plan_tables(
        Thresholds(output=U1, levels=levels[:, :1]), offset=np.zeros(8, np.int64), **bounds(8, -60, 60)
    )
    assert isinstance(single, LevelTables)
    assert single.latency == 3


def test_levels_that_no_sum_reaches_fit_the_sum() -> None:
    far = [[-(1 << 31), 0, 1, 2, 2, 2, (1 << 31) - 1]]
    tables = plan_tables(
        Thresholds(output=ActivationType(3, False), levels=far), offset=np.array([0]), **bounds(1, -9, 9)
    )
    assert isinstance(tables, LevelTables)
    assert max(max(table.entries) for table in tables.stages) == 10  # one above the highest sum: never
    assert min(min(table.entries) for table in tables.stages) == -9  # the lowest sum: always


@pytest.mark.parametrize(
    ("low", "high", "shape"),
    [(0, 0, unsigned(1)), (0, 255, unsigned(8)), (-1, 0, signed(1)), (-8, 7, signed(4)), (-8, 8, signed(5))],
)
def test_shapes(low: int, high: int, shape: object) -> None:
    assert shape_of(low, high) == shape


def test_equal_entries_need_no_memory() -> None:
    assert Table((5, 5, 5)).bits == 0
    assert Table((5, 5, 4)).bits == 9
    assert Table((5, -5)).shape == signed(4)


def test_widest_codes() -> None:
    levels = np.arange(255)[None, :] - 100
    assert line_is_exact(levels, np.array([-300]), np.array([300]))
