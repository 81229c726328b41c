"""Uniform quantization: the grid, its zero, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices import FLOATS

from sterna.codes import quantize_uniform


@pytest.mark.parametrize(
    ("elements", "bits", "wanted"),
    [
        ([-1.0, 0.0, 0.5, 2.0], 2, [-1.0, 0.0, 0.0, 2.0]),  # 0 is a value anyway; halfway goes to the even one
        ([-1.0, 0.4, 0.6, 1.5, 2.0], 2, [-1.0, 0.0, 1.0, 2.0, 2.0]),
        ([-1.0, 0.1, 1.0], 2, [-4 / 3, 0.0, 2 / 3]),  # moved by half a step; the upper end is cut off
        ([-1.0, 0.0, 1.25], 2, [-0.75, 0.0, 1.5]),  # moved by a third of a step
        ([0.0, 0.2, 0.9, 3.0], 2, [0.0, 0.0, 1.0, 3.0]),
        ([-3.0, -1.2, 0.0], 2, [-3.0, -1.0, 0.0]),
        ([1.0, 1.4, 1.6, 4.0], 2, [1.0, 1.0, 2.0, 4.0]),  # 0 is not between: from min to max
        ([-4.0, -1.4, -1.0], 2, [-4.0, -1.0, -1.0]),
        ([-1.0, 0.0, 6.0], 3, [-1.0, 0.0, 6.0]),
        ([0.7, 0.7], 5, [np.float32(0.7)] * 2),
        ([0.0, -0.0], 5, [0.0, 0.0]),
        ([5e-324, 0.0], 7, [0.0, 0.0]),  # below what float32 has, and the step below what float64 has
    ],
)
def test_worked_examples(elements: list[float], bits: int, wanted: list[float]) -> None:
    found = quantize_uniform(np.array([elements]), bits)
    assert found.dtype == np.float32
    assert found.tolist() == [[float(np.float32(value)) for value in wanted]]
    assert not np.signbit(found[found == 0]).any()


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 16),
    st.sampled_from(FLOATS),
    st.floats(-30, 30),
    st.sampled_from((0, 0.9)),
)
def test_grid(seed: int, bits: int, dtype: str, offset: float, zeros: float) -> None:
    rng = np.random.default_rng(seed)
    matrix = (rng.normal(size=(5, 40)) * 10 + offset).astype(dtype)
    matrix[rng.random(matrix.shape) < zeros] = 0
    before = matrix.copy()
    found = quantize_uniform(matrix, bits)
    assert (matrix == before).all()
    assert (found.dtype, found.shape) == (np.float32, matrix.shape)
    assert (found[matrix == 0] == 0).all()
    exact = matrix.astype(np.float64)
    step = (exact.max() - exact.min()) / (2**bits - 1)
    rounding = np.finfo(np.float32).eps * np.abs(exact).max() * 2
    assert np.abs(found - exact).max() <= step / 2 + rounding
    values = np.unique(found).astype(np.float64)
    assert len(values) <= 2**bits
    places = (values - values[0]) / step
    assert np.abs(places - np.rint(places)).max() <= 2 * rounding / step
    assert places[-1] <= 2**bits - 1 + 2 * rounding / step
    order = np.argsort(exact, axis=None)
    assert (np.diff(found.ravel()[order]) >= 0).all()


@pytest.mark.parametrize("bits", [2, 5, 7, 16])
def test_all_values_are_used(bits: int) -> None:
    matrix = np.linspace(-1, 1.7, 2**18).reshape(2, -1)
    assert len(np.unique(quantize_uniform(matrix, bits))) == 2**bits


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_empty(shape: tuple[int, int]) -> None:
    found = quantize_uniform(np.zeros(shape), 7)
    assert (found.dtype, found.shape) == (np.float32, shape)


def test_the_largest_elements() -> None:
    largest = float(np.finfo(np.float32).max) / 2
    found = quantize_uniform(np.array([[-largest, largest]]), 2)
    assert found.tolist() == [[pytest.approx(-4 / 3 * largest), pytest.approx(2 / 3 * largest)]]


@pytest.mark.parametrize(
    ("matrix", "bits", "error", "reason"),
    [
        (np.ones((2, 2)), 1, ValueError, "bits must be an integer from 2 to 16, not 1"),
        (np.ones((2, 2)), 17, ValueError, "bits must be an integer from 2 to 16, not 17"),
        (np.ones((2, 2)), 5.0, TypeError, "bits must be an integer from 2 to 16, not 5.0"),
        (np.ones((2, 2), dtype=np.int8), 5, TypeError, "matrix must hold floats to be quantized, not int8"),
        (np.ones(2), 5, ValueError, "matrix must have two dimensions, not 1"),
        (np.array([[0, np.nan]]), 5, ValueError, "matrix must be finite, not nan at [0, 1]"),
        (np.array([[1e300, 0]]), 5, ValueError, "matrix must stay within ±1.7e+38 to be quantized, not reach 1e+300"),
        (np.array([[-2e38, 0]]), 5, ValueError, "matrix must stay within ±1.7e+38 to be quantized, not reach 2e+38"),
    ],
)
def test_refused(matrix: np.ndarray, bits: int, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(reason)}$"):
        quantize_uniform(matrix, bits)
