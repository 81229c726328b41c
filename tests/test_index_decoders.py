# amaranth: UnusedElaboratable=no
"""The decoders that benchmarks compare the lanes' words with: each finds every weight, in the cycles that it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from decoders import Decoder, decode, elements
from decoders_cost import levels
from decoders_lane import UnitFront
from decoders_masks import Base3, Bitmap, Packed
from decoders_runs import RICE_WORD, Csr, Grouped, Rice, RunLength, SignGroups
from index_bits import MAX_UNARY, code_bits, fixed_bits, idea_bits, linear_runs, row_runs, sign_planes

from sterna.hw.index.columns import place_columns
from sterna.hw.index.schedule import compile_format, compile_schedule
from sterna.hw.index.walk import WordFormat

ROWS, COLUMNS = 12, 40
#: Rows of the matrix without a weight, and rows without the more frequent of -1 and 1 that have the other.
EMPTY, LACKING = 3, 2
#: Bits of the three values, which no decoder stores.
VALUE_TABLE = 6


def matrix() -> np.ndarray:
    """Empty rows alone and side by side, first and last columns, signs that a row lacks, long gaps, a full row."""
    rng = np.random.default_rng(5)
    weights = np.where(rng.random((ROWS, COLUMNS)) < 0.2, rng.choice([-1, 1], (ROWS, COLUMNS)), 0).astype(np.int8)
    weights[2] = weights[3] = weights[7] = 0
    weights[4] = 0
    weights[4, [0, -1]] = [1, -1]
    weights[5] = -np.abs(weights[5])
    weights[6] = np.abs(weights[6])
    weights[8] = 0
    weights[8, -1] = -1
    weights[9] = 0
    weights[9, 0] = 1
    weights[10] = rng.choice([-1, 1], COLUMNS)
    return weights


CASES: dict[str, Callable[[np.ndarray], Decoder]] = {
    "packed": Packed,
    "base3": Base3,
    "bitmap, 8": lambda weights: Bitmap(weights, word=8),
    "bitmap, 16": lambda weights: Bitmap(weights, word=16),
    "csr": Csr,
    "cer": lambda weights: Grouped(weights, code="cer"),
    "cser": lambda weights: Grouped(weights, code="cser"),
    "run length, 1": lambda weights: RunLength(weights, run_bits=1),
    "run length, 5": lambda weights: RunLength(weights, run_bits=5),
    "sign groups, 4": lambda weights: SignGroups(weights, run_bits=4),
    "rice, 0": lambda weights: Rice(weights, remainder=0),
    "rice, 2": lambda weights: Rice(weights, remainder=2),
}


def words_without(weights: np.ndarray, word: int) -> int:
    """Mask words without a weight, up to the last weight."""
    filled = np.asarray(np.pad(weights, ((0, 0), (0, -COLUMNS % word))).reshape(-1, word).any(axis=1))
    last = int(np.flatnonzero(filled)[-1])
    return last - int(np.count_nonzero(filled[:last]))


def escapes(weights: np.ndarray, most: int) -> int:
    """Moves by ``most`` zeros that find no weight."""
    return int((linear_runs(weights) // most).sum())


def expected_cycles(name: str, weights: np.ndarray) -> int:
    """What each decoder's docstring says, up to the last weight."""
    code, _, number = name.partition(", ")
    if code in ("packed", "base3"):
        return int(np.flatnonzero(weights)[-1]) + 1
    lost = {
        "bitmap": lambda: words_without(weights, int(number)),
        "csr": lambda: EMPTY,
        "cer": lambda: EMPTY + LACKING,
        "cser": lambda: EMPTY,
        "run length": lambda: escapes(weights, (1 << int(number)) - 1),
        "sign groups": lambda: escapes(sign_planes(weights), (1 << int(number)) - 1),
        "rice": lambda: escapes(weights, MAX_UNARY << int(number)),
    }
    return int(np.count_nonzero(weights)) + lost[code]()


@pytest.mark.parametrize("name", CASES)
def test_a_decoder_finds_every_weight_in_the_cycles_that_it_says(name: str) -> None:
    weights = matrix()
    found, cycles = decode(CASES[name](weights), int(np.count_nonzero(weights)))
    assert found == elements(weights)
    assert cycles == expected_cycles(name, weights)


@pytest.mark.parametrize("lanes", [1, 4])
def test_the_lanes_of_a_unit_find_every_weight_in_the_steps_of_the_schedule(lanes: int) -> None:
    weights = matrix()
    schedule = compile_schedule(weights, lanes=lanes)
    found, cycles = decode(UnitFront(schedule, weights.shape), schedule.nonzeros)
    assert found == elements(weights)
    assert cycles <= schedule.steps


def test_lanes_that_escape_find_every_weight() -> None:
    weights = matrix()
    fmt = WordFormat(lanes=4, run_width=3, escape_width=2, groups=2)
    schedule = compile_format(weights, fmt, place_columns(weights, elements=1, run_width=3))
    assert all(schedule.escapes)
    assert decode(UnitFront(schedule, weights.shape), schedule.nonzeros)[0] == elements(weights)


def test_computed_bits_are_those_of_the_memories() -> None:
    weights = matrix()
    across, nonzeros = linear_runs(weights), int(np.count_nonzero(weights))
    bits = {**code_bits(weights), **idea_bits(weights)}
    assert bits["run_length"] == fixed_bits(across) + nonzeros + VALUE_TABLE
    assert RunLength(weights).memory_bits == fixed_bits(across) + nonzeros
    assert SignGroups(weights).memory_bits == bits["sign_groups"]
    assert 0 <= Rice(weights).memory_bits - bits["rice"] < RICE_WORD
    assert Packed(weights).memory_bits == bits["packed"] - VALUE_TABLE
    assert (sign_planes(weights)[::2] - sign_planes(weights)[1::2] == weights).all()


def test_runs_in_rows_begin_anew() -> None:
    weights = np.array([[0, 1, 0, -1], [0, 0, 0, 0], [1, 1, 0, 0]], np.int8)
    assert row_runs(weights).tolist() == [1, 1, 0, 0]
    assert linear_runs(weights).tolist() == [1, 1, 4, 0]
    # words of 1 bit: a 1 is an escape by one place; two flags a weight, and for the empty row too
    assert idea_bits(weights)["row_flags"] == 1 * (4 + 2 + 1) + 2 * 5


@pytest.mark.parametrize("wrong", [np.ones((4, 8), np.int8), np.zeros((4, 8), np.int8)])
def test_a_matrix_without_three_values_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="matrix must hold 0, most often, and -1 and 1"):
        Packed(wrong)
    with pytest.raises(ValueError, match="matrix must hold 0, most often, and -1 and 1"):
        Grouped(wrong, code="cer")


def test_words_that_move_further_than_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="words move by up to 63, further than a row of 40 columns is long"):
        RunLength(matrix(), run_bits=6)
    with pytest.raises(ValueError, match="remainder must be at most 7, not 8"):
        Rice(matrix(), remainder=8)


def cell(kind: str, inputs: list[int], output: int) -> dict[str, object]:
    return {
        "type": kind,
        "port_directions": {"I": "input", "O": "output"},
        "connections": {"I": inputs, "O": [output]},
    }


def test_levels_count_tables_and_whole_carry_chains() -> None:
    cells = {
        "register": cell("TRELLIS_FF", [9], 1),
        "table": cell("LUT4", [1, 2], 3),
        "first": cell("CCU2C", [3, 2], 4),
        "second": cell("CCU2C", [4, 2], 5),
        "last": cell("LUT4", [5, 1], 9),
    }
    assert levels(cells) == 3
    assert levels({"register": cells["register"]}) == 0
