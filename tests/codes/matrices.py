"""Matrices to test codes with, and the naive answers: drawn values and layouts, all kinds of memory order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import strategies as st

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64")
ORDERS = ("C", "F", "strided", "reversed", "big-endian")

#: The worked example of CER and CSER, and what each code's arrays must be.
EXAMPLE = np.array(
    [
        [0, 3, 0, 2, 4, 0, 0, 2, 3, 4, 0, 4],
        [4, 4, 0, 0, 0, 4, 0, 0, 4, 4, 0, 4],
        [4, 0, 3, 4, 0, 0, 0, 4, 0, 2, 0, 0],
        [0, 4, 4, 4, 0, 3, 4, 4, 0, 0, 0, 0],
        [0, 4, 4, 0, 0, 4, 0, 4, 0, 0, 0, 0],
    ],
    dtype=np.int8,
)
PADDED_EXAMPLE = np.array([[0, 0, 2, 0], [1, 1, 0, 0], [1, 0, 0, 2], [0, 0, 0, 0]], dtype=np.int8)

CORNERS = {
    "empty": np.zeros((0, 0), dtype=np.int8),
    "no rows": np.zeros((0, 5), dtype=np.float32),
    "no columns": np.zeros((5, 0), dtype=np.int16),
    "1 x 1 zero": np.zeros((1, 1), dtype=np.int8),
    "1 x 1": np.ones((1, 1), dtype=np.uint8),
    "all zero": np.zeros((3, 70), dtype=np.int8),
    "all one": np.ones((4, 9), dtype=np.int8),
    "single value": np.full((3, 5), -2.5, dtype=np.float32),
    "one row": np.array([[0, 0, 1, 0, -1, 0, 0]], dtype=np.int8),
    "one column": np.array([[0], [1], [0], [-1]], dtype=np.int8),
    "mode not zero": np.array([[7, 7, 7, 0], [7, 7, -1, 7]], dtype=np.int32),
    "ternary, mode -1": np.array([[-1, -1, 1, 0], [-1, -1, -1, 1]], dtype=np.int8),
    "empty rows": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0], [-1, 0, 1], [0, 0, 0]], dtype=np.int8),
    "last only": np.eye(1, 300, 299, dtype=np.int8),
    "long gaps": np.eye(7, 131, 3, dtype=np.int8) - np.eye(7, 131, 90, dtype=np.int8),
    "no zeros": np.where(np.arange(60).reshape(4, 15) % 2, 1, -1).astype(np.int8),
    "many values": np.arange(600, dtype=np.int16).reshape(2, 300),
    "65 columns": (np.arange(195).reshape(3, 65) % 7 == 0).astype(np.int8),
}


@st.composite
def matrices(draw: st.DrawFn, *, exact: bool = False) -> np.ndarray:
    """Few values in skewed shares, any dtype and memory order; ``exact``: products stay exact in float32."""
    dtype = np.dtype(draw(st.sampled_from(("ternary", *INTEGERS, *FLOATS)).map(lambda n: n.replace("ternary", "int8"))))
    values = draw(st.lists(_elements(dtype, exact=exact), min_size=1, max_size=9, unique=True))
    if draw(st.booleans()):
        values = [0, 1, -1][: draw(st.integers(1, 3))] if dtype.kind != "u" else [0, 1]
        values = draw(st.permutations(values))
    rows, columns = draw(st.sampled_from([(1, 1), (1, 40), (40, 1), (3, 300), (0, 3), (3, 0), (7, 64), (5, 23)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = rng.dirichlet(np.full(len(values), draw(st.sampled_from((0.1, 1.0, 50.0)))))
    drawn = np.array(values, dtype=dtype)[rng.choice(len(values), size=(rows, columns), p=shares)]
    return laid_out(drawn, draw(st.sampled_from(ORDERS)))


def _elements(dtype: np.dtype[Any], *, exact: bool) -> st.SearchStrategy[Any]:
    if dtype.kind == "f":
        if exact:
            return st.integers(-32, 32).map(lambda n: n / 4)
        return st.floats(width=8 * dtype.itemsize, allow_nan=False, allow_infinity=False).map(lambda v: v + 0.0)
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    return st.integers(max(low, -100), min(high, 100)) if exact else st.integers(low, high)


def laid_out(matrix: np.ndarray, order: str) -> np.ndarray:
    """The same matrix in another memory layout or byte order."""
    if order == "F":
        return np.asfortranarray(matrix)
    if order == "strided":
        wide = np.zeros((2 * matrix.shape[0], 3 * matrix.shape[1]), dtype=matrix.dtype)
        wide[::2, 1::3] = matrix
        return wide[::2, 1::3]
    if order == "reversed":
        return np.ascontiguousarray(matrix[::-1, ::-1])[::-1, ::-1]
    if order == "big-endian":
        return matrix.astype(matrix.dtype.newbyteorder(">"))
    return matrix


def is_ternary(matrix: np.ndarray) -> bool:
    return all(value in (-1, 0, 1) for value in matrix.ravel().tolist())


def most_frequent(matrix: np.ndarray) -> Any:
    """Found by counting; among ties 0, then the least."""
    counts = Counter(matrix.ravel().tolist())
    return min(counts, key=lambda value: (-counts[value], value != 0, value)) if counts else None


def frequency_order(matrix: np.ndarray) -> list[Any]:
    """All values, the most frequent first."""
    counts = Counter(matrix.ravel().tolist())
    return sorted(counts, key=lambda value: (-counts[value], value != 0, value))


def naive_product(matrix: np.ndarray, x: np.ndarray) -> list[Any]:
    """Row by row in Python's own numbers, which are exact for integers."""
    vector = x.tolist()
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix.tolist()]
