"""Storage: the sum of the arrays as they lie in memory, the formulas, tight widths, and an entropy bound."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matrices import CORNERS, EXAMPLE, frequency_order, is_ternary, matrices

from sterna.codes import (
    CODES,
    ArrayStorage,
    Base3,
    Bitmap,
    Cer,
    Cser,
    Csr,
    Dense,
    Kind,
    Packed,
    RunLength,
    encode,
    entropy_bound,
)
from sterna.net import cost

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]


def bits(storage):
    return {array.name: array.bits for array in storage.arrays}


def encoded(matrix):
    return [code.encode(matrix) for code in CODES.values() if code is not Base3 or is_ternary(matrix)]


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_the_default_is_what_lies_in_memory(matrix):
    for coded in encoded(matrix):
        storage = coded.storage()
        assert bits(storage) == {name: 8 * array.nbytes for name, array in coded.arrays.items()}
        assert storage.bits == 8 * sum(array.nbytes for array in coded.arrays.values())
        assert storage.entries == sum(array.size for array in coded.arrays.values())


def least_index_bits(array):
    largest = max(array.tolist(), default=0)
    return 8 if largest < 256 else 16 if largest < 65536 else 32


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_index_arrays_take_the_smallest_width_that_holds_them(matrix):
    for coded in encoded(matrix):
        for name, kind in coded.ARRAYS.items():
            if kind is Kind.INDEX:
                array = coded.arrays[name]
                tight = coded.storage(tight=True).array(name)
                assert 8 * array.dtype.itemsize == least_index_bits(array)
                assert tight.width == (max(1, len(f"{array.max():b}")) if array.size else 0)
                assert tight.entries == array.size


@pytest.mark.parametrize(("side", "width"), [(256, 8), (257, 16), (65536, 16), (65537, 32)])
def test_widths_of_columns(side, width):
    matrix = np.zeros((1, side), dtype=np.int8)
    matrix[0, -1] = 1
    for name in ("csr", "cer", "cser"):
        assert encode(matrix, name).storage().array("columns").width == width


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_formulas(matrix):
    """The formulas of Wiedemann, Müller and Samek, with statistics found elsewhere."""
    statistics = cost.matrix_statistics(np.ascontiguousarray(matrix))
    rows = matrix.shape[0]
    for tight in (False, True):

        def widths(coded, tight=tight):
            return {array.name: array.width for array in coded.storage(value_bits=32, tight=tight).arrays}

        coded = Csr.encode(matrix)
        width = widths(coded)
        assert coded.storage(value_bits=32, tight=tight).bits == cost.csr_bits(
            rows=rows,
            kept=np.count_nonzero(matrix),
            value_bits=32,
            column_bits=width["columns"],
            row_pointer_bits=width["row_pointers"],
        )
        coded = Cer.encode(matrix)
        width = widths(coded)
        assert coded.storage(value_bits=32, tight=tight).bits == cost.cer_bits(
            statistics,
            value_bits=32,
            column_bits=width["columns"],
            group_pointer_bits=width["group_pointers"],
            row_pointer_bits=width["row_pointers"],
        )
        coded = Cser.encode(matrix)
        width = widths(coded)
        assert coded.storage(value_bits=32, tight=tight).bits == cost.cser_bits(
            statistics,
            value_bits=32,
            column_bits=width["columns"],
            group_value_bits=width["group_values"],
            group_pointer_bits=width["group_pointers"],
            row_pointer_bits=width["row_pointers"],
        )
    assert Dense.encode(matrix).storage(value_bits=32).bits == cost.dense_bits(matrix.size, 32)


def test_formulas_by_hand():
    """The worked example: K = 4, nnz = 28, m = 5, 10 groups, none of them empty."""
    statistics = cost.matrix_statistics(EXAMPLE)
    widths = {"value_bits": 32, "column_bits": 8, "group_pointer_bits": 16, "row_pointer_bits": 8}
    assert cost.csr_bits(rows=5, kept=28, value_bits=32, column_bits=8, row_pointer_bits=16) == 28 * 40 + 6 * 16
    assert cost.cer_bits(statistics, **widths) == 4 * 32 + 28 * 8 + 11 * 16 + 6 * 8
    assert cost.cser_bits(statistics, group_value_bits=2, **widths) == 4 * 32 + 28 * 8 + 10 * 2 + 11 * 16 + 6 * 8
    assert cost.dense_bits(60, 7) == 420


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_tight_bits_of_packed_arrays(matrix):
    size = matrix.size
    values = frequency_order(matrix)
    kept = size - Counter(matrix.ravel().tolist())[values[0]] if values else 0
    code = math.ceil(math.log2(len(values) - 1)) if len(values) > 2 else 0
    assert bits(Packed.encode(matrix).storage(tight=True))["codes"] == size * (
        math.ceil(math.log2(len(values))) if len(values) > 1 else 0
    )
    assert bits(Bitmap.encode(matrix).storage(tight=True)) == {
        "values": len(values) * matrix.itemsize * 8,
        "mask": size,
        "codes": kept * code,
    }
    if is_ternary(matrix):
        assert bits(Base3.encode(matrix).storage(tight=True)) == {"trits": 8 * math.ceil(size / 5)}


def naive_run_bits(matrix, width):
    """Words of all runs, walked element by element."""
    values = frequency_order(matrix)
    words = run = 0
    for value in matrix.ravel().tolist():
        if value == values[0]:
            run += 1
            continue
        while run >= 2**width - 1:
            run -= 2**width - 1
            words += 1
        words += 1
        run = 0
    return words * width


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(matrix=matrices())
def test_the_width_of_runs_is_the_best_one(matrix):
    matrix = np.ascontiguousarray(matrix)
    wanted = [naive_run_bits(matrix, width) for width in range(1, 17)]
    for width in (1, 2, 5):
        coded = RunLength.encode(matrix, run_bits=width)
        assert bits(coded.storage(tight=True))["runs"] == wanted[width - 1]
    coded = RunLength.encode(matrix)
    assert bits(coded.storage(tight=True))["runs"] == min(wanted)
    assert coded.parameters["run_bits"] == 1 + wanted.index(min(wanted))


def test_the_width_of_values():
    for name in ("dense", "csr", "cer", "cser", "bitmap", "run_length", "packed"):
        coded = encode(EXAMPLE.astype(np.float32), name)
        entries = coded.arrays["values"].size
        assert coded.least_value_bits == 2
        assert coded.storage().array("values") == ArrayStorage(name="values", entries=entries, width=32)
        assert coded.storage(value_bits=2).array("values").bits == 2 * entries
        for wrong in (1, 65):
            with pytest.raises(ValueError, match=rf"^value_bits must be an integer from 2 to 64, not {wrong}$"):
                coded.storage(value_bits=wrong)
    assert encode([[0, 1]], "base3").least_value_bits == 1


def test_ternary_sizes():
    """Of 10,000 weights, 1,000 not zero."""
    matrix = np.zeros(10_000, dtype=np.int8)
    matrix[::10] = np.where(np.arange(1000) % 2, 1, -1)
    matrix = matrix.reshape(100, 100)
    sizes = {name: encode(matrix, name).storage(tight=True).bits for name in CODES}
    assert sizes == {
        "dense": 80_000,
        "packed": 3 * 8 + 20_000,
        "base3": 16_000,
        "bitmap": 3 * 8 + 10_000 + 1000,
        "csr": 1000 * (8 + 7) + 101 * 10,
        "run_length": 3 * 8 + 999 * 4 + 4 + 1000,
        "cer": 3 * 8 + 1000 * 7 + 201 * 10 + 101 * 8,
        "cser": 3 * 8 + 1000 * 7 + 200 * 2 + 201 * 10 + 101 * 8,
    }


def test_an_array_that_is_not_there():
    storage = encode(EXAMPLE, "dense").storage()
    with pytest.raises(KeyError, match="columns"):
        storage.array("columns")


@pytest.mark.parametrize("matrix", CORNERS.values(), ids=list(CORNERS))
def test_the_bound_is_the_entropy(matrix):
    counts = Counter(matrix.ravel().tolist()).values()
    entropy = -sum(count * math.log2(count / matrix.size) for count in counts)
    storage = entropy_bound(matrix, value_bits=32)
    assert storage.array("values").bits == 32 * len(counts)
    assert entropy - 1e-6 <= storage.array("elements").bits < entropy + 1
    assert entropy_bound(matrix).array("values").width == matrix.itemsize * 8


def test_the_bound_refuses_what_codes_refuse():
    with pytest.raises(ValueError, match=r"^matrix must have two dimensions, not 1$"):
        entropy_bound([1])
    with pytest.raises(ValueError, match=r"^value_bits must be an integer from 2 to 64, not 1$"):
        entropy_bound(EXAMPLE, value_bits=1)
