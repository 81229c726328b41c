# amaranth: UnusedElaboratable=no
"""Arithmetic blocks against the integer rules, for all inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal, Value, signed, unsigned
from prove import RefutedError, clocked, past, prove_always, prove_bounded, prove_inductive

from sterna.hw.index.columns import Window
from sterna.hw.index.walk import WordFormat
from sterna.hw.parts.requantize import clamped, requantizer
from sterna.hw.parts.tables import (
    LevelTables,
    LineTables,
    ScoreTables,
    ShiftTables,
    Table,
    Tables,
    code_shape,
    fit_line,
    level_tables,
    line_tables,
    plan_tables,
)
from sterna.hw.units.dense.lane import Lane
from sterna.hw.units.dense.pipeline import ISSUE_TO_END
from sterna.net import ActivationType, ShiftRound, Thresholds

U1, U2, U3 = (ActivationType(width, False) for width in (1, 2, 3))
S1, S2, S3 = (ActivationType(width, True) for width in (1, 2, 3))


def limited(value: Value, output: ActivationType) -> Value:
    """Clamped to a range, by comparisons."""
    return Mux(value > output.max, Const(output.max), Mux(value < output.min, Const(output.min), value))


SHAPES = [signed(1), signed(3), signed(6), unsigned(1), unsigned(3), unsigned(6)]


def clamp_spec(output: ActivationType, low: int) -> tuple[Module, list[Signal]]:
    """Every shape's values are clamped to the type, whose smallest code is ``low``."""
    m, inputs = Module(), []
    for shape in SHAPES:
        value, result = Signal(shape), Signal(code_shape(output))
        limited = Mux(value > output.max, Const(output.max), Mux(value < low, Const(low), value))
        m.d.comb += [result.eq(clamped(value, output)), Assert(result == limited)]
        inputs.append(value)
    return m, inputs


@pytest.mark.parametrize("output", [U1, S1, U3, S3], ids=str)
def test_clamp(output: ActivationType) -> None:
    prove_always(*clamp_spec(output, output.min))


def test_clamp_can_be_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_always(*clamp_spec(S3, S3.min + 1))


def requantizer_spec(
    tables: Tables, bounds: list[tuple[int, int]], expected: Callable[[int, Value], Value]
) -> tuple[Module, list[Signal]]:
    """Each sum within its row's bounds gives ``expected(row, sum)``, ``latency`` cycles later; and nothing else."""
    m, clock = clocked()
    m.submodules.unit = unit = requantizer(tables)
    valid, total = Signal(name="valid"), Signal(tables.sum_shape, name="total")
    row = Signal(range(len(bounds)))
    rows = range(len(bounds))
    m.d.comb += [
        unit.i_valid.eq(valid),
        unit.i_sum.eq(total),
        Assume((total >= Array(low for low, _ in bounds)[row]) & (total <= Array(high for _, high in bounds)[row])),
    ]
    with m.If(valid):
        m.d.sync += row.eq(Mux(row == len(bounds) - 1, 0, row + 1))
    result = Signal(tables.output_shape)
    m.d.comb += result.eq(Array(expected(r, total) for r in rows)[row])
    m.d.comb += Assert(unit.o_valid == past(m, valid, tables.latency))
    before = past(m, result, tables.latency)
    with m.If(unit.o_valid):
        m.d.comb += Assert(unit.o_data == before)
    return m, [clock, valid, total]


def counted(requantize: Thresholds) -> Callable[[int, Value], Value]:
    return lambda row, total: requantize.output.min + sum(total >= int(level) for level in requantize.levels[row])


def rounded(requantize: ShiftRound, offset: int) -> Callable[[int, Value], Value]:
    """Rule 8, its division by a power of two as a comparison with each code's bounds."""

    def expected(row: int, total: Value) -> Value:
        output, shift = requantize.output, int(requantize.shift[row])
        acc = total + offset + int(requantize.bias[row]) + (1 << shift >> 1)
        return output.min + sum(acc >= code << shift for code in range(output.min + 1, output.max + 1))

    return expected


LEVELS = Thresholds(output=S2, levels=[[-5, -2, 7], [-9, 0, 0], [3, 9, 9]])
BOUNDS = [(-8, 7), (-6, 6), (-8, 0)]
LINES = Thresholds(output=U2, levels=[[-4, 0, 5], [-9, -3, 3]])
SHIFTS = ShiftRound(output=S3, bias=[-3, 0, 5], shift=[0, 1, 3])
SHIFT = ShiftRound(output=U2, bias=[-3, 4], shift=[1, 1])


def searched() -> LevelTables:
    return level_tables(sum_shape=signed(4), output=LEVELS.output, levels=LEVELS.levels.astype(np.int64))


def divided(rows: int = 2) -> LineTables:
    levels = LINES.levels.astype(np.int64)[:rows]
    line = fit_line(levels, np.full(rows, -8), np.full(rows, 7))
    assert line is not None
    return line_tables(sum_shape=signed(4), output=LINES.output, line=line)


def shifted(requantize: ShiftRound, offset: int) -> Tables:
    rows = len(requantize.bias)
    low, high = np.full(rows, -8), np.full(rows, 7)
    return plan_tables(requantize, offset=np.full(rows, offset), low=low, high=high)


def scored(offsets: list[int]) -> Tables:
    low, high = np.full(len(offsets), -8), np.full(len(offsets), 7)
    return plan_tables(None, offset=np.array(offsets), low=low, high=high)


CASES = {
    "search": (searched(), BOUNDS, counted(LEVELS)),
    "line": (divided(), [(-8, 7)] * 2, counted(LINES)),
    "shifts": (shifted(SHIFTS, 2), [(-8, 7)] * 3, rounded(SHIFTS, 2)),
    "shift": (shifted(SHIFT, 0), [(-8, 7)] * 2, rounded(SHIFT, 0)),
    "scores": (scored([-3, 9]), [(-8, 7)] * 2, lambda row, total: total + [-3, 9][row]),
}


def test_every_kind_is_there() -> None:
    kinds = {type(tables) for tables, _, _ in CASES.values()}
    assert kinds == {LevelTables, LineTables, ShiftTables, ScoreTables}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_requantizer(case: tuple) -> None:
    """Every sum of every row, with any pauses, until the rows have come twice."""
    tables, bounds, expected = case
    spec, inputs = requantizer_spec(tables, bounds, expected)
    prove_bounded(spec, inputs, cycles=tables.latency + 2 * len(bounds) + 1)


ONE_ROW = {
    "search": (
        level_tables(sum_shape=signed(5), output=U3, levels=np.array([[-15, -9, -9, -1, 0, 7, 15]])),
        [(-16, 15)],
        counted(Thresholds(output=U3, levels=[[-15, -9, -9, -1, 0, 7, 15]])),
    ),
    "line": (divided(1), [(-8, 7)], counted(LINES)),
    "shift": (
        shifted(ShiftRound(output=S3, bias=[-5], shift=[1]), 0),
        [(-8, 7)],
        rounded(ShiftRound(output=S3, bias=[-5], shift=[1]), 0),
    ),
}


@pytest.mark.parametrize("case", ONE_ROW.values(), ids=ONE_ROW)
def test_requantizer_of_one_row_for_ever(case: tuple) -> None:
    """What a pipeline holds is gone after its latency: induction over so many cycles."""
    tables, bounds, expected = case
    spec, inputs = requantizer_spec(tables, bounds, expected)
    prove_inductive(spec, inputs, cycles=tables.latency + 2)


def raised(table: Table, entry: int) -> Table:
    return Table(tuple(value + (k == entry) for k, value in enumerate(table.entries)))


@pytest.mark.parametrize("case", ["search", "line", "shifts", "scores"])
def test_one_wrong_entry_is_refuted(case: str) -> None:
    tables, bounds, expected = CASES[case]
    if isinstance(tables, LevelTables):
        wrong: Tables = dataclasses.replace(tables, stages=(tables.stages[0], raised(tables.stages[1], 1)))
    elif isinstance(tables, LineTables):
        wrong = dataclasses.replace(tables, bias=raised(raised(tables.bias, 1), 1))
    else:
        wrong = dataclasses.replace(tables, bias=raised(tables.bias, 1))
    spec, inputs = requantizer_spec(wrong, bounds, expected)
    with pytest.raises(RefutedError):
        prove_bounded(spec, inputs, cycles=tables.latency + len(bounds) + 1)


def test_a_wrong_entry_is_refuted_by_induction_too() -> None:
    tables, bounds, expected = ONE_ROW["shift"]
    spec, inputs = requantizer_spec(dataclasses.replace(tables, bias=raised(tables.bias, 0)), bounds, expected)
    with pytest.raises(RefutedError):
        prove_inductive(spec, inputs, cycles=tables.latency + 2)


def lane_spec(
    code: ActivationType, *, escape_width: int, acc_width: int = 4, swapped: bool = False
) -> tuple[Module, list[Signal]]:
    """Any codes, then any words with any pauses: every row's sum, when it must be there.

    Positions are 4 to 7; the model adds where schedule.py says that a word leads, and forgets what does not fit.
    """
    m, clock = clocked()
    layout = Window(address_width=3, offset=4, elements=1, stride=1, live=(True,) * 4)
    fmt = WordFormat(lanes=1, run_width=2, escape_width=escape_width)
    m.submodules.lane = lane = Lane(
        word_format=fmt, window=layout, start=7, activation=code, elements=1, acc_width=acc_width
    )
    step, word = Signal(name="step"), Signal(fmt.lane_width, name="word")
    high, filler = Signal(fmt.high_width, name="high"), Signal(name="filler")
    entering, finish, written = Signal(name="entering"), Signal(name="finish"), Signal(code.width, name="written")
    loaded = Signal(3)
    codes = Array(Signal(code_shape(code), name=f"code_{k}") for k in range(4))
    with m.If(~loaded[2]):
        m.d.sync += [loaded.eq(loaded + 1), codes[loaded[:2]].eq(written.as_signed() if code.signed else written)]
    m.d.comb += [
        lane.control.write.eq(~loaded[2]),
        lane.control.write_address.eq(4 + loaded[:2]),
        lane.control.write_data.eq(written),
        lane.word.eq(word ^ (1 << fmt.run_width if swapped else 0)),
        lane.high.eq(high),
        lane.filler.eq(filler),
        lane.control.position.eq(past(m, step)),
        lane.control.entering.eq(past(m, entering)),
        lane.control.activation.eq(past(m, step, 3)),
        lane.control.finish.eq(past(m, step & finish, ISSUE_TO_END - 1)),
        Assume(~step | loaded[2]),
    ]
    distance, plus = word[: fmt.run_width], word[fmt.run_width]
    escapes = distance.all() if escape_width else Const(0)
    plain_filler = Const(0) if escape_width else word.all()
    silent = (word == 0) | (escapes & filler) | plain_filler
    position, acc, value = Signal(3, init=7), Signal(signed(acc_width)), Signal(signed(9))
    reached, code_there = Signal(5), Signal(code_shape(code))
    carries = step & (reached >= 8)
    begins = carries & ~entering
    after = Signal(signed(acc_width))
    frame_begins = Signal()
    m.d.comb += [
        reached.eq(position + Mux(escapes, high, distance) + (plus & ~plain_filler)),
        code_there.eq(codes[reached[:2]]),  # a carry changes no more than the third bit
        value.eq(Mux(silent, 0, Mux(plus, code_there, -code_there))),
        Assert(lane.escapes == escapes),
        after.eq(Mux(begins, 0, acc) + value),
        Assume(~step | (reached < 12)),  # a schedule's words lead no further
        Assume(~(step & frame_begins) | entering),  # what follows a frame's last word leads into the next frame
    ]
    with m.If(step):
        m.d.sync += position.eq(Mux(carries, reached + 4, reached))
    with m.If(step):
        m.d.sync += [acc.eq(Mux(finish, 0, after)), frame_begins.eq(finish)]
    row = past(m, begins, ISSUE_TO_END - 1)
    row_sum = past(m, acc, ISSUE_TO_END - 1)
    last = past(m, step & finish, ISSUE_TO_END)
    last_sum = past(m, after, ISSUE_TO_END)
    m.d.comb += Assert(past(m, lane.ended) == (row | last))
    with m.If(row):
        m.d.comb += Assert(lane.sum == row_sum)
    with m.If(last):
        m.d.comb += Assert(lane.sum == last_sum)
    return m, [clock, step, word, high, filler, entering, finish, written]


@pytest.mark.parametrize(
    ("code", "escape_width"),
    [
        *((code, width) for code in (U1, S1) for width in (0, 2)),
        *((code, 2) for code in (U2, S2)),
        *(pytest.param(code, 0, marks=pytest.mark.slow) for code in (U2, S2)),
    ],
    ids=str,
)
def test_lane(code: ActivationType, escape_width: int) -> None:
    """Four codes are written, then come up to six words."""
    prove_bounded(*lane_spec(code, escape_width=escape_width), cycles=4 + 6 + ISSUE_TO_END)


def test_a_narrow_sum_wraps() -> None:
    prove_bounded(*lane_spec(S2, escape_width=2, acc_width=2), cycles=4 + 5 + ISSUE_TO_END)


def test_a_swapped_sign_is_refuted() -> None:
    with pytest.raises(RefutedError):
        prove_bounded(*lane_spec(U2, escape_width=2, swapped=True), cycles=4 + 2 + ISSUE_TO_END)


def test_a_specification_must_assert_something() -> None:
    value = Signal()
    with pytest.raises(ValueError, match=r"^the specification asserts nothing$"):
        prove_always(Module(), [value])
