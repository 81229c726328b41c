"""Counts of operations against a naive counter that sees only the matrix, and the paper's formulas."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matrices import CORNERS, EXAMPLE, frequency_order, is_ternary, matrices, most_frequent

from sterna.codes import CODES, Base3, Cer, Cser, Csr, Dense, encode
from sterna.net import cost
from sterna.net.energy import OPERAND, RESULT

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]


def naive_elements(matrix, background, free):
    """Multiplications, additions and reads of the vector of a loop over the elements that are not the background."""
    multiplications = additions = 0
    for value in matrix.ravel().tolist():
        if value != background:
            multiplications += not free
            additions += 1 + (free and abs(value - background) == 2)
    return multiplications, additions, sum(value != background for value in matrix.ravel().tolist())


def naive_groups(matrix, background, free):
    """The same of a loop over the groups of each row."""
    multiplications = additions = reads = 0
    for row in matrix.tolist():
        for value in {value for value in row if value != background}:
            multiplications += not free
            additions += row.count(value) + 1 + (free and abs(value - background) == 2)
            reads += row.count(value)
    return multiplications, additions, reads


def naive_background(matrix, background, free):
    """Once the sum of the vector, times the background, added to every row."""
    rows, columns = matrix.shape
    return (int(not free), columns + rows, columns) if background else (0, 0, 0)


def naive_counts(code, matrix, multiply_units):
    free = is_ternary(matrix) and not multiply_units and code != "dense"
    if code in ("dense", "packed", "base3"):
        return (matrix.size * (not free), matrix.size, matrix.size)
    if code == "csr":
        return naive_elements(matrix, 0, free)
    background = most_frequent(matrix)
    first = (naive_groups if code in ("cer", "cser") else naive_elements)(matrix, background, free)
    return tuple(a + b for a, b in zip(first, naive_background(matrix, background, free), strict=True))


@settings(max_examples=80, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices(exact=True))
def test_counts(matrix):
    for name in CODES:
        if name == "base3" and not is_ternary(matrix):
            continue
        coded = encode(matrix, name)
        for multiply_units in (False, True):
            made = coded.operations(multiply_units=multiply_units)
            found = (made.multiplications, made.additions, made.access(OPERAND).reads)
            assert found == naive_counts(name, matrix, multiply_units), (name, multiply_units)
            assert made.writes == made.access(RESULT).writes == matrix.shape[0]
            assert made.access(RESULT).reads == 0


@settings(max_examples=80, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices(exact=True))
def test_reads_of_arrays(matrix):
    """Every entry of an index once, every byte of a packed array once, a value where it is multiplied by."""
    for name in CODES:
        if name == "base3" and not is_ternary(matrix):
            continue
        coded = encode(matrix, name)
        for multiply_units in (False, True):
            free = is_ternary(matrix) and not multiply_units and name != "dense"
            made = coded.operations(multiply_units=multiply_units)
            reads = {access.array: access.reads for access in made.accesses}
            wanted = {array: entries.size for array, entries in coded.arrays.items()}
            if name in ("packed", "bitmap", "run_length", "cer", "cser"):
                wanted["values"] = 0 if free else made.multiplications
            wanted |= {OPERAND: naive_counts(name, matrix, multiply_units)[2], RESULT: 0}
            assert reads == wanted, (name, multiply_units)


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices(exact=True))
def test_the_formulas_of_the_paper(matrix):
    """With 0 the most frequent value: dense N and N, CSR nnz and nnz, CER and CSER m k̄ and nnz + m k̄."""
    statistics = cost.matrix_statistics(matrix)
    made = Dense.encode(matrix).operations()
    assert (made.multiplications, made.additions) == (matrix.size, matrix.size)
    kept = np.count_nonzero(matrix)
    made = Csr.encode(matrix).operations(multiply_units=True)
    assert (made.multiplications, made.additions) == (kept, kept)
    if most_frequent(matrix) == 0:
        for code in (Cer, Cser):
            made = code.encode(matrix).operations(multiply_units=True)
            assert made.multiplications == statistics.groups
            assert made.additions == statistics.kept + statistics.groups


def test_by_hand():
    """The worked example: 10 groups, 28 kept elements, 5 rows, 12 columns."""
    made = Cser.encode(EXAMPLE).operations(operand_bits=8, result_bits=16, value_bits=4)
    assert (made.multiplications, made.additions, made.operation_bits) == (10, 38, 8)
    assert [(a.array, a.reads, a.writes, a.width, a.array_bits) for a in made.accesses] == [
        ("values", 10, 0, 4, 16),
        ("columns", 28, 0, 8, 28 * 8),
        ("group_values", 10, 0, 8, 10 * 8),
        ("group_pointers", 11, 0, 8, 11 * 8),
        ("row_pointers", 6, 0, 8, 6 * 8),
        (OPERAND, 28, 0, 8, 12 * 8),
        (RESULT, 0, 5, 16, 5 * 16),
    ]
    assert (made.reads, made.writes) == (10 + 28 + 10 + 11 + 6 + 28, 5)


def test_tight_widths_of_reads():
    widths = {a.array: a.width for a in Cser.encode(EXAMPLE).operations(tight=True).accesses}
    assert widths == {
        "values": 8,
        "columns": 4,
        "group_values": 2,
        "group_pointers": 5,
        "row_pointers": 4,
        OPERAND: 32,
        RESULT: 32,
    }
    made = encode(EXAMPLE, "packed").operations(tight=True)
    assert (made.access("codes").width, made.access("codes").reads) == (8, math.ceil(60 * 2 / 8))
    assert made.access("codes").array_bits == 120


@pytest.mark.parametrize("matrix", CORNERS.values(), ids=list(CORNERS))
def test_ternary_matrices_need_no_multiplier(matrix):
    for name, code in CODES.items():
        if code is Base3 and not is_ternary(matrix):
            continue
        coded = code.encode(matrix)
        assert coded.is_multiplier_free == (is_ternary(matrix) and name != "dense")
        if coded.is_multiplier_free:
            assert coded.operations().multiplications == 0


def test_values_of_a_scale_need_one():
    for name in ("packed", "bitmap", "csr", "run_length", "cer", "cser"):
        coded = encode([[0.5, 0, 0, -0.5]], name)
        assert not coded.is_multiplier_free
        assert coded.operations().multiplications > 0


def test_the_most_frequent_value_is_added_once():
    matrix = np.full((3, 50), 7)
    matrix[1, 4] = 9
    assert frequency_order(matrix) == [7, 9]
    made = Cer.encode(matrix).operations()
    assert (made.multiplications, made.additions) == (1 + 1, 1 + 1 + 50 + 3)
    assert made.access("values").reads == 1 + 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("operand_bits", 0, "operand_bits must be an integer from 1 to 64, not 0"),
        ("result_bits", 65, "result_bits must be an integer from 1 to 64, not 65"),
        ("value_bits", 1, "value_bits must be an integer from 2 to 64, not 1"),
    ],
)
def test_wrong_widths(option, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Cer.encode(EXAMPLE).operations(**{option: value})
