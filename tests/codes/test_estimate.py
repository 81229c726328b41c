"""Expected statistics against enumeration, and costs from statistics against encoded matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sterna.codes import CODES, encode, matrix_costs
from sterna.codes.estimate import estimate
from sterna.net import cost

SHARES = {
    "ternary": [0.5, 0.3, 0.2],
    "four": [0.4, 0.3, 0.2, 0.1],
    "alike": [0.25] * 4,
    "two": [0.9, 0.1],
    "one": [1.0],
    "one never": [0.7, 0.3, 0.0],
}


def drawn(
    shares: list[float] | np.ndarray, rows: int, columns: int, *, ternary: bool = False, seed: int = 1
) -> np.ndarray:
    """A matrix whose most frequent value is 0."""
    values = np.array([0, 1, -1]) if ternary else np.arange(len(shares)) * 0.5
    ranks = np.random.default_rng(seed).choice(len(shares), size=(rows, columns), p=shares)
    return values[ranks].astype(np.int8 if ternary else np.float32)


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_expected_groups_by_enumeration(shares: list[float], columns: int) -> None:
    """Every row there is, by its probability."""
    present = empty = 0.0
    for row in itertools.product(range(len(shares)), repeat=columns):
        probability = float(np.prod([shares[rank] for rank in row]))
        groups = len(set(row) - {0})
        present += probability * groups
        empty += probability * (max(row) - groups)
    assert cost.expected_groups(np.array(shares), columns=columns) == pytest.approx((present, empty), abs=1e-12)


def test_expected_statistics() -> None:
    found = cost.expected_statistics(np.array([0.5, 0.25, 0.25]), rows=4, columns=3)
    assert found == cost.MatrixStatistics(
        rows=4,
        columns=3,
        values=3,  # 2.94
        kept=6,
        entropy=1.5,
        min_entropy=1.0,
        most_frequent_share=0.5,
        groups=5,  # 1.156 a row
        empty_groups=1,  # 0.297 a row
    )
    single = cost.expected_statistics(np.array([1.0, 0.0]), rows=3, columns=5)
    assert (single.values, single.kept, single.groups, single.empty_groups) == (1, 0, 0, 0)
    assert (str(single.entropy), str(single.min_entropy)) == ("0.0", "0.0")


@pytest.mark.parametrize("shares", [[0.95, 0.025, 0.025], [0.3, 0.29, 0.2, 0.1, 0.06, 0.05], 0.9 ** np.arange(60)])
def test_expected_statistics_of_drawn_matrices(shares: list[float]) -> None:
    shares = np.array(shares) / np.sum(shares)
    wanted = cost.expected_statistics(shares, rows=400, columns=50)
    found = cost.matrix_statistics(drawn(shares, 400, 50))
    assert found.values == wanted.values
    for name in ("kept", "groups", "entropy", "min_entropy", "most_frequent_share"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=0.03)
    assert abs(found.empty_groups - wanted.empty_groups) < 3 * wanted.empty_groups**0.5


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize(
    ("shares", "rows", "columns"),
    [
        ([0.9, 0.06, 0.04], 40, 300),
        ([0.4, 0.3, 0.3], 7, 256),
        ([0.34, 0.33, 0.33], 300, 257),  # more elements than 16 bits count
        ([0.5, 0.5], 3, 9),
        ([1.0], 6, 9),
        ([0.3, *[0.7 / 299] * 299], 30, 400),  # values that need 16 bits
        ([0.95, *[0.05 / 20] * 20], 30, 5),
        ([0.5, 0.5], 0, 4),
        ([0.5, 0.5], 4, 0),
    ],
)
def test_exact_for_statistics_of_a_matrix(shares: list[float], rows: int, columns: int, tight: bool) -> None:
    ternary = len(shares) <= 3
    matrix = drawn(shares, rows, columns, ternary=ternary)
    if len(shares) > 1 and matrix.size:
        matrix[0, -1] = matrix.max()
    found = matrix_costs(matrix, tight=tight)
    assert not matrix.size or encode(matrix, "cer").background == 0
    for code in set(found.codes) - {"run_length"}:
        guess = estimate(code, found.statistics, tight=tight, ternary=ternary)
        assert guess.storage.bits == found.codes[code].storage.bits, code
        by_name = {array.name: array for array in found.codes[code].storage.arrays}
        assert all(array == by_name[array.name] for array in guess.storage.arrays if array.entries or not tight), code
        for figure in ("multiplications", "additions", "reads", "writes"):
            assert getattr(guess.operations, figure) == getattr(found.codes[code].operations, figure), (code, figure)
        assert guess.energy.total == pytest.approx(found.codes[code].energy.total), code


@pytest.mark.parametrize("zeros", [0.4, 0.9, 0.998])
@pytest.mark.parametrize("tight", [False, True])
def test_run_length_of_drawn_matrices(zeros: float, tight: bool) -> None:
    matrix = drawn([zeros, (1 - zeros) / 2, (1 - zeros) / 2], 400, 500, ternary=True)
    found = matrix_costs(matrix, codes=["run_length"], tight=tight)
    guess = estimate("run_length", found.statistics, tight=tight, ternary=True)
    assert guess.storage.bits == pytest.approx(found.codes["run_length"].storage.bits, rel=0.02)
    assert guess.energy.total == pytest.approx(found.codes["run_length"].energy.total, rel=0.02)


@pytest.mark.parametrize("zeros", [0.0, 1.0])
def test_run_length_of_one_value(zeros: float) -> None:
    matrix = np.full((3, 70), 1 - zeros, dtype=np.int8)
    found = matrix_costs(matrix, codes=["run_length"])
    guess = estimate("run_length", found.statistics, ternary=True)
    assert guess.storage.bits == found.codes["run_length"].storage.bits


def test_formulas_of_the_paper() -> None:
    """What the arrays take is what net/cost.py says."""
    found = cost.expected_statistics(np.array([0.6, 0.2, 0.15, 0.05]), rows=50, columns=60)
    widths = {"value_bits": 32, "column_bits": 8, "row_pointer_bits": 16}
    pointers = {"value_bits": 32, "column_bits": 8, "row_pointer_bits": 8, "group_pointer_bits": 16}
    assert found.kept > 255 > found.groups + found.empty_groups
    assert estimate("csr", found).storage.bits == cost.csr_bits(rows=50, kept=found.kept, **widths)
    assert estimate("cer", found).storage.bits == cost.cer_bits(found, **pointers)
    assert estimate("cser", found).storage.bits == cost.cser_bits(found, **pointers, group_value_bits=8)
    assert estimate("dense", found).storage.bits == cost.dense_bits(3000, 32)


def test_every_code_has_an_estimate() -> None:
    found = cost.expected_statistics(np.array([0.6, 0.2, 0.2]), rows=5, columns=6)
    for code in CODES:
        assert estimate(code, found, ternary=True).storage.bits > 0


def test_refused() -> None:
    found = cost.expected_statistics(np.array([0.6, 0.2, 0.2]), rows=5, columns=6)
    with pytest.raises(ValueError, match=r"^code base3 is for ternary matrices only$"):
        estimate("base3", found)
    with pytest.raises(ValueError, match=r"^code must be one of dense, .*, cser, not 'lzw'$"):
        estimate("lzw", found)
    for name in ("value_bits", "operand_bits", "result_bits"):
        with pytest.raises(ValueError, match=rf"^{name} must be an integer from 1 to 64, not 0$"):
            estimate("csr", found, **{name: 0})


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ([], "shares must be one or more probabilities in an order that does not rise"),
        ([[0.5, 0.5]], "shares must be one or more probabilities in an order that does not rise"),
        ([0.4, 0.6], "shares must be one or more probabilities in an order that does not rise"),
        ([1.5, -0.5], "shares must be one or more probabilities in an order that does not rise"),
        ([float("nan")], "shares must be one or more probabilities in an order that does not rise"),
        ([0.5, 0.4], "shares must have the sum 1, not 0.9"),
    ],
)
def test_no_probabilities(shares: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        cost.expected_statistics(np.array(shares), rows=2, columns=3)
