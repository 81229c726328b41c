"""Matrices of few values: what may be encoded, which values there are, and the least widths that hold numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.net.checks import as_array, check_finite
from sterna.net.errors import InvalidTypeError, InvalidValueError

INDEX_DTYPES = (np.uint8, np.uint16, np.uint32)
_FLOATS = (np.float16, np.float32, np.float64)


def check_matrix(matrix: Any) -> np.ndarray:
    """A C-contiguous copy in native byte order of what may be encoded.

    Parameters
    ----------
    matrix : (rows, columns), integers of up to 64 bits or floats of 16, 32 or 64 bits, finite
        In any memory order; either side may be 0. −0.0 becomes 0.0: the two are equal, and a mask leaves −0.0 behind.

    Raises
    ------
    :exc:`TypeError`
        If it holds something else.
    :exc:`ValueError`
        If it has not two dimensions, a side or the number of elements does not fit 32 bits, or a value is infinite or
        not a number.
    """
    array = as_array(matrix, "matrix")
    if array.dtype.kind not in "iu" and array.dtype.type not in _FLOATS:
        raise InvalidTypeError(f"matrix must hold integers, or floats of 16, 32 or 64 bits, not {array.dtype}")
    if array.ndim != 2:
        raise InvalidValueError(f"matrix must have two dimensions, not {array.ndim}")
    if max(array.shape) >= 1 << 32:
        raise InvalidValueError(f"sides of matrix must be below 2^32, not {array.shape}")
    check_matrix_size(array.shape)
    copy = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    if copy.dtype.kind == "f":
        check_finite(copy, "matrix")
        copy += copy.dtype.type(0)
    return copy


def check_matrix_size(shape: tuple[int, ...]) -> None:
    """:exc:`ValueError` if a matrix of that shape has more elements than indices of 32 bits can tell apart."""
    if math.prod(shape) >= 1 << 32:
        raise InvalidValueError(f"matrix must have fewer than 2^32 elements, not the shape {shape}")


@dataclass(frozen=True)
class Alphabet:
    """The distinct values of a matrix in the order of their frequency, the most frequent one first.

    Among equally frequent values 0 comes first, then the lesser one. (The worked examples have no ties among them, so
    this rule is ours.)

    Members
    -------
    values : dtype of the matrix, (K,)
    counts : int64, (K,)
        How often each occurs.
    ranks : unsigned, (rows, columns)
        Index in ``values`` of each element: 0 for the most frequent value.
    """

    values: np.ndarray
    counts: np.ndarray
    ranks: np.ndarray


def alphabet(matrix: np.ndarray) -> Alphabet:
    """Values, counts and ranks of a checked matrix."""
    if matrix.dtype.itemsize <= 2 and matrix.dtype.kind != "f":
        values, counts, inverse = _unique_short(matrix)
    else:
        values, inverse, counts = np.unique(matrix, return_inverse=True, return_counts=True)
    order = np.lexsort((values, values != 0, -counts))
    rank = np.empty(len(order), dtype=index_dtype(max(len(order) - 1, 0)))
    rank[order] = np.arange(len(order))
    return Alphabet(values[order], counts[order].astype(np.int64), rank[inverse].reshape(matrix.shape))


def _unique_short(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct values, counts and index of each element, by counting instead of sorting."""
    low = int(np.iinfo(matrix.dtype).min)
    codes = matrix.astype(np.int32).ravel() - low
    histogram = np.bincount(codes, minlength=1)
    present = np.flatnonzero(histogram)
    place = np.zeros(len(histogram), dtype=np.int32)
    place[present] = np.arange(len(present))
    return (present + low).astype(matrix.dtype), histogram[present], place[codes]


def bits_for(maximum: int) -> int:
    """Least width, in bits, of an unsigned number up to ``maximum``; at least 1."""
    return max(1, int(maximum).bit_length())


def code_bits(count: int) -> int:
    """Least width, in bits, of a code for one of ``count`` values: ceil(log2(count)); 0 where there is no choice."""
    return (count - 1).bit_length() if count > 1 else 0


def index_dtype(maximum: int) -> type[np.unsignedinteger]:
    """The smallest of uint8, uint16 and uint32 that holds ``maximum``; :exc:`ValueError` if none does."""
    for dtype in INDEX_DTYPES:
        if maximum <= np.iinfo(dtype).max:
            return dtype
    raise InvalidValueError(f"an index of {maximum} does not fit 32 bits")


def index_array(numbers: np.ndarray) -> np.ndarray:
    """Non-negative integers in the smallest of uint8, uint16 and uint32 that holds all of them."""
    return np.asarray(numbers).astype(index_dtype(int(numbers.max()) if numbers.size else 0))


def pointers(counts: np.ndarray) -> np.ndarray:
    """Where each of several runs of the given lengths starts, and the end of the last: int64, (len(counts) + 1,)."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def segment_sums(terms: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of ``terms[starts[i] : starts[i + 1]]``; an empty segment's is 0.

    Parameters
    ----------
    terms : (count,)
    starts : int64, (segments + 1,), not decreasing, from 0 to ``count``
    """
    sums = np.zeros(len(starts) - 1, dtype=terms.dtype)
    filled = starts[:-1] < starts[1:]
    if filled.any():  # reduceat gives an element, and not 0, where a segment is empty
        sums[filled] = np.add.reduceat(terms, starts[:-1][filled])
    return sums
