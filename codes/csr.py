"""CSR, compressed sparse rows: the elements that are not 0, with their columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Counts, Kind, MatrixCode
from sterna.codes.products import kernel_columns, kernels
from sterna.codes.values import check_matrix, index_array, pointers, segment_sums
from sterna.net.errors import InvalidValueError


def check_pointers(array: np.ndarray, name: str, *, count: int, end: int) -> None:
    """:exc:`ValueError` unless ``count`` pointers rise from 0 to ``end`` without ever falling."""
    if len(array) != count:
        raise InvalidValueError(f"array '{name}' must have {count} entries, not {len(array)}")
    if array[0] != 0 or array[-1] != end:
        raise InvalidValueError(f"array '{name}' must go from 0 to {end}, not from {array[0]} to {array[-1]}")
    falls = array[1:] < array[:-1]
    if falls.any():
        raise InvalidValueError(f"array '{name}' must not fall, as it does at {int(np.argmax(falls)) + 1}")


def check_columns(columns: np.ndarray, starts: np.ndarray, count: int) -> None:
    """:exc:`ValueError` unless the array ``columns`` is below ``count`` and rises inside each of the given segments."""
    if columns.size and int(columns.max()) >= count:
        raise InvalidValueError(f"array 'columns' must be below {count}, not {int(columns.max())}")
    rises = np.ones(len(columns) + 1, dtype=bool)
    rises[1:-1] = columns[1:] > columns[:-1]
    rises[starts] = True
    if not rises.all():
        raise InvalidValueError(f"array 'columns' must rise inside a run, as it does not at {int(np.argmin(rises))}")


class Csr(MatrixCode):
    """The elements that are not 0 row by row: ``values``, ``columns``, and ``row_pointers``, where rows start in both.

    It leaves out zeros, whatever value is the most frequent.
    """

    NAME = "csr"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {
        "values": Kind.VALUES,
        "columns": Kind.INDEX,
        "row_pointers": Kind.INDEX,
    }

    @classmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix without its zeros."""
        matrix = check_matrix(matrix)
        rows, columns = matrix.shape
        row, column = np.nonzero(matrix)
        return cls(
            shape=(rows, columns),
            dtype=matrix.dtype,
            arrays={
                "values": matrix[row, column],
                "columns": index_array(column),
                "row_pointers": index_array(pointers(np.bincount(row, minlength=rows))),
            },
        )

    def decode(self) -> np.ndarray:
        """The matrix."""
        matrix = np.zeros(self.shape, dtype=self.dtype)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self._starts))
        matrix[rows, self.arrays["columns"]] = self.arrays["values"]
        return matrix

    @cached_property
    def _starts(self) -> np.ndarray:
        return self.arrays["row_pointers"].astype(np.int64)

    def _check(self) -> None:
        values, columns = self.arrays["values"], self.arrays["columns"]
        if len(columns) != len(values):
            raise InvalidValueError(f"array 'columns' must have {len(values)} entries, not {len(columns)}")
        check_pointers(self.arrays["row_pointers"], "row_pointers", count=self.shape[0] + 1, end=len(values))
        check_columns(columns, self._starts, self.shape[1])
        if not values.all():
            raise InvalidValueError(f"array 'values' must not be 0, as it is at {int(np.argmin(values != 0))}")

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {}

    def _coefficients(self) -> np.ndarray:
        return self.arrays["values"]

    def _counts(self, *, multiplier_free: bool) -> Counts:
        kept = self.arrays["values"].size
        reads = {"values": kept, "columns": kept, "row_pointers": self.shape[0] + 1}
        return Counts(multiplications=0 if multiplier_free else kept, additions=kept, operand=kept, arrays=reads)

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        return segment_sums(self._factors(x.dtype) * x[self.arrays["columns"]], self._starts)

    @cached_property
    def _kernel_columns(self) -> np.ndarray:
        return kernel_columns(self.arrays["columns"])

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        kernel = kernels().csr if x.ndim == 1 else kernels().csr_many
        kernel(self._starts, self._kernel_columns, self._factors(out.dtype), x, out)
