"""Requantizers alone: every sum of every row, the declared latency, sums back to back and apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment, Module, Signal, signed, unsigned
from bench import S1, S4, S8, U1, U2, U4, U8, run

from sterna.hw.parts.requantize import (
    LineThresholds,
    Requantizer,
    ScoreBias,
    ShiftRoundUnit,
    TableThresholds,
    clamped,
    elements,
    requantizer,
)
from sterna.hw.parts.rom import ROM_LATENCY, Rom
from sterna.hw.parts.tables import (
    LineTables,
    Tables,
    code_shape,
    fit_line,
    level_tables,
    line_tables,
    plan_tables,
    room_tables,
)
from sterna.net import ActivationType, Requantization, ShiftRound, Thresholds
from sterna.net.errors import InvalidValueError

GAPS = (0.0, 0.6)


def results(unit: Requantizer, sums: list[int], latency: int, gaps: float) -> list[int]:
    """Results of sums that come with some share of idle cycles; each must come ``latency`` cycles after its sum."""
    coin = np.random.default_rng(len(sums))
    sent: list[int] = []
    found: list[int] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(20 * len(sums) + 100):
            sending = len(sent) < len(sums) and bool(coin.random() >= gaps)
            ctx.set(unit.i_valid, sending)
            # a sum that is not valid must not matter
            ctx.set(unit.i_sum, sums[len(sent)] if sending else ~sums[-1])
            if sending:
                sent.append(cycle)
            valid, data = ctx.get(unit.o_valid), ctx.get(unit.o_data)
            assert bool(valid) == (cycle - latency in sent), f"wrong latency in cycle {cycle}"
            if valid:
                found.append(data)
            if len(found) == len(sums):
                return
            await ctx.tick()

    run(unit, bench)
    return found


def check(tables: Tables, low: np.ndarray, high: np.ndarray, expected: Callable[[int, int], int]) -> None:
    """``expected(row, sum)`` for every sum of every row; rows take turns, as results do."""
    rows = len(low)
    turns = int((high - low).max()) + 1
    sums = [int(low[row]) + turn % (int(high[row]) - int(low[row]) + 1) for turn in range(turns) for row in range(rows)]
    for gaps in GAPS:
        found = results(requantizer(tables), sums, tables.latency, gaps)
        assert found == [expected(k % rows, total) for k, total in enumerate(sums)]


def check_wide(
    tables: Tables, sums: np.ndarray, expected: Callable[[int, int], int], *, width: int, beats: int, gaps: float
) -> None:
    """Beats of several sums; row k has the k-th ``beats`` of them, and each sum is as if it came alone."""
    unit = requantizer(tables, width=width, beats=beats)
    coin = np.random.default_rng(len(sums))
    sent: list[int] = []
    found: list[list[int]] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(20 * len(sums) + 100):
            sending = len(sent) < len(sums) and bool(coin.random() >= gaps)
            ctx.set(unit.i_valid, sending)
            for k, each in enumerate(elements(unit.i_sum, tables.sum_shape, width)):
                ctx.set(each, int(sums[len(sent), k]) if sending else ~int(sums[-1, k]))
            if sending:
                sent.append(cycle)
            assert bool(ctx.get(unit.o_valid)) == (cycle - tables.latency in sent), f"wrong latency in cycle {cycle}"
            if ctx.get(unit.o_valid):
                found.append([ctx.get(each) for each in elements(unit.o_data, tables.output_shape, width)])
            if len(found) == len(sums):
                return
            await ctx.tick()

    run(unit, bench)
    rows = [k // beats % tables.rows for k in range(len(sums))]
    assert found == [[expected(row, total) for total in beat] for row, beat in zip(rows, sums.tolist(), strict=True)]


def wide_cases() -> dict[str, tuple[Requantization | None, list[int]]]:
    """Requantizations of three rows, and the offsets of these."""
    line = np.array([[-20], [-3], [5]]) + np.array([[2], [3], [1]]) * np.arange(15)
    searched = np.sort(np.random.default_rng(0).integers(-30, 30, (3, 7)), axis=1)
    return {
        "scores": (None, [5, -7, 0]),
        "scores without bias": (None, [0, 0, 0]),
        "one shift": (ShiftRound(output=S4, bias=[-9, 0, 20], shift=[1, 1, 1]), [0, 0, 0]),
        "shifts": (ShiftRound(output=U4, bias=[-9, 0, 20], shift=[0, 2, 5]), [1, 2, 3]),
        "line": (Thresholds(output=S4, levels=line), [0, 0, 4]),
        "search": (Thresholds(output=ActivationType(3, False), levels=searched), [0, -2, 2]),
        "one bit": (Thresholds(output=U1, levels=[[-3], [0], [4]]), [0, 0, 0]),
    }


@pytest.mark.parametrize("case", wide_cases().values(), ids=wide_cases())
@pytest.mark.parametrize(("width", "beats"), [(2, 1), (3, 2), (8, 1), (1, 3), (4, 5)])
def test_several_sums_in_a_beat_and_beats_of_a_row(
    case: tuple[Requantization | None, list[int]], width: int, beats: int
) -> None:
    requantize, offset = case
    offsets, low, high = np.array(offset), np.full(3, -40), np.full(3, 41)
    tables = plan_tables(requantize, offset=offsets, low=low, high=high)
    expected = (lambda row, total: total + offset[row]) if requantize is None else by_definition(requantize, offsets)
    sums = np.random.default_rng(width).integers(-40, 42, (3 * beats * 7 + 1, width))
    for gaps in GAPS:
        check_wide(tables, sums, expected, width=width, beats=beats, gaps=gaps)


@pytest.mark.parametrize("case", wide_cases().values(), ids=wide_cases())
def test_tables_that_can_be_loaded(case: tuple[Requantization | None, list[int]]) -> None:
    """Both requantizations as thresholds, in memories whose widths no entry decides."""
    requantize, offset = case
    offsets, bound = np.array(offset), 45
    tables = room_tables(requantize, offset=offsets, bound=bound)
    assert {table.shape for table in tables.tables} == {signed(7)}
    assert tables.sum_shape == signed(7)
    expected = (lambda row, total: total + offset[row]) if requantize is None else by_definition(requantize, offsets)
    check(tables, np.full(3, -bound), np.full(3, bound), expected)


def test_a_bias_that_is_larger_than_any_sum_cannot_be_loaded() -> None:
    with pytest.raises(InvalidValueError, match="a bias of 46 is beyond any sum of its inputs, 45 at most"):
        room_tables(None, offset=np.array([0, -46]), bound=45)


def by_definition(requantize: Requantization, offset: np.ndarray) -> Callable[[int, int], int]:
    def expected(row: int, total: int) -> int:
        acc, output = total + int(offset[row]), requantize.output
        if isinstance(requantize, Thresholds):
            return output.min + sum(int(level) <= acc for level in requantize.levels[row])
        bias, shift = int(np.resize(requantize.bias, row + 1)[row]), int(np.resize(requantize.shift, row + 1)[row])
        return min(max((acc + bias + (2**shift // 2)) // 2**shift, output.min), output.max)

    return expected


def check_planned(requantize: Requantization, rows: int, low: int, high: int, offset: int = 0) -> Tables:
    offsets, lows, highs = np.full(rows, offset), np.full(rows, low), np.full(rows, high)
    highs[-1] = max(high - 1, low)  # one row unlike the others
    tables = plan_tables(requantize, offset=offsets, low=lows, high=highs)
    check(tables, lows, highs, by_definition(requantize, offsets))
    return tables


@pytest.mark.parametrize("output", [U1, S1, U2, U4, S4, U8, S8], ids=str)
@pytest.mark.parametrize("shift", [0, 1, 3, 9])
def test_one_shift_for_all(output: ActivationType, shift: int) -> None:
    bias = np.array([-3, 0, 70])
    check_planned(ShiftRound(output=output, bias=bias, shift=np.full(3, shift)), 3, -70, 70)


@pytest.mark.parametrize("output", [U1, S1, U4, S8], ids=str)
def test_a_shift_for_each_row(output: ActivationType) -> None:
    requantize = ShiftRound(output=output, bias=[-9, 0, 5, 100], shift=[0, 2, 7, 31])
    check_planned(requantize, 4, -60, 60, offset=-4)


def test_one_row_and_one_sum() -> None:
    check_planned(ShiftRound(output=U4, bias=[3], shift=[1]), 1, 0, 0)
    check_planned(Thresholds(output=U1, levels=[[0]]), 1, 0, 0)
    check_planned(Thresholds(output=S1, levels=[[1]]), 1, -1, 0)


@pytest.mark.parametrize("output", [U1, S1, U2, S4], ids=str)
def test_searched_thresholds(output: ActivationType) -> None:
    levels = np.sort(np.random.default_rng(output.width).integers(-40, 40, (5, (1 << output.width) - 1)), axis=1)
    levels[1] = -3  # equal levels skip codes
    levels[2] = 99  # never
    levels[3] = -99  # always
    low, high = np.full(5, -33), np.full(5, 35)
    tables = level_tables(sum_shape=signed(7), output=output, levels=np.clip(levels, -33, 36))
    check(tables, low, high, by_definition(Thresholds(output=output, levels=levels), np.zeros(5, np.int64)))
    check_planned(Thresholds(output=output, levels=levels), 5, -33, 35, offset=2)


@pytest.mark.parametrize("output", [U1, S1, U2, U4, S4], ids=str)
@pytest.mark.parametrize("step", [0.25, 1.0, 2.5, 30.0])
def test_divided_thresholds(output: ActivationType, step: float) -> None:
    start = np.array([-20.0, -3.3, 0.5, 50.0])
    levels = np.ceil(start[:, None] + step * np.arange((1 << output.width) - 1)).astype(np.int64)
    low, high = np.full(4, -41), np.array([41, 40, 3, 0])
    line = fit_line(levels, low, high)
    assert line is not None
    tables = line_tables(sum_shape=signed(7), output=output, line=line)
    check(tables, low, high, by_definition(Thresholds(output=output, levels=levels), np.zeros(4, np.int64)))
    searched = level_tables(sum_shape=signed(7), output=output, levels=np.clip(levels, -41, 42))
    check(searched, low, high, by_definition(Thresholds(output=output, levels=levels), np.zeros(4, np.int64)))


def test_eight_bits_both_ways() -> None:
    for output in (U8, S8):
        levels = np.arange(255)[None, :] // 2 - 60 + np.array([[0], [7]])
        requantize = Thresholds(output=output, levels=levels)
        assert isinstance(check_planned(requantize, 2, -80, 90), LineTables)
        line = level_tables(sum_shape=signed(8), output=output, levels=levels)
        check(line, np.full(2, -80), np.full(2, 90), by_definition(requantize, np.zeros(2, np.int64)))


@pytest.mark.parametrize("offset", [[0, 0, 0], [5, 5, 5], [-40, 0, 9], [60, 80, 100]])
def test_scores(offset: list[int]) -> None:
    low, high = np.array([-9, -3, 0]), np.array([9, 12, 1])
    tables = plan_tables(None, offset=np.array(offset), low=low, high=high)
    check(tables, low, high, lambda row, total: total + offset[row])


def test_the_component_for_some_tables() -> None:
    levels, low, high = np.array([[-3, 0, 3], [-9, 0, 9]]), np.full(2, -9), np.full(2, 9)
    line = fit_line(levels, low, high)
    assert line is not None
    shift = ShiftRound(output=U4, bias=[0, 0], shift=[1, 1])
    units = [
        requantizer(plan_tables(None, offset=np.array([1, 2]), low=low, high=high)),
        requantizer(plan_tables(shift, offset=np.array([1, 2]), low=low, high=high)),
        requantizer(line_tables(sum_shape=signed(5), output=U2, line=line)),
        requantizer(level_tables(sum_shape=signed(5), output=U2, levels=levels)),
    ]
    for unit in units:
        Fragment.get(unit, None)  # used, or Amaranth warns
    assert [type(unit) for unit in units] == [ScoreBias, ShiftRoundUnit, LineThresholds, TableThresholds]


def test_tables_without_a_component() -> None:
    with pytest.raises(TypeError, match=r"^no requantizer for Tables$"):
        requantizer(Tables(rows=1, sum_shape=signed(2), output_shape=unsigned(2)))


@pytest.mark.parametrize("output", [U1, S1, U2, U4, S4, U8, S8], ids=str)
@pytest.mark.parametrize("shape", [signed(1), signed(2), signed(4), signed(9), unsigned(1), unsigned(4), unsigned(9)])
def test_clamped(output: ActivationType, shape: Any) -> None:
    value, result = Signal(shape), Signal(code_shape(output))
    module = Module()
    module.d.comb += result.eq(clamped(value, output))
    low = -(1 << (shape.width - 1)) if shape.signed else 0

    async def bench(ctx: Any) -> None:
        for number in range(low, low + (1 << shape.width)):
            ctx.set(value, number)
            assert ctx.get(result) == min(max(number, output.min), output.max)

    run(module, bench)


@pytest.mark.parametrize("entries", [[1, 2, 3], [7, 7], [5], [-4, 3]])
def test_rom(entries: list[int]) -> None:
    rom = Rom(shape=signed(4), init=entries)

    async def bench(ctx: Any) -> None:
        for cycle in range(len(entries) + ROM_LATENCY):
            ctx.set(rom.address, min(cycle, len(entries) - 1))
            await ctx.tick()
            if cycle >= ROM_LATENCY - 1:
                assert ctx.get(rom.data) == entries[min(cycle - ROM_LATENCY + 1, len(entries) - 1)]

    run(rom, bench)
