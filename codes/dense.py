"""Dense: every element as it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Counts, Kind, MatrixCode
from sterna.codes.products import kernels
from sterna.codes.values import check_matrix
from sterna.net.errors import InvalidValueError


class Dense(MatrixCode):
    """All elements row by row, in the matrix's dtype: what the others are compared with.

    A product multiplies and adds every element without looking at it, so it is never multiplier-free.
    """

    NAME = "dense"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {"values": Kind.VALUES}

    @classmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix as it is."""
        matrix = check_matrix(matrix)
        rows, columns = matrix.shape
        return cls(shape=(rows, columns), dtype=matrix.dtype, arrays={"values": matrix.ravel()})

    def decode(self) -> np.ndarray:
        """The matrix."""
        return self.arrays["values"].reshape(self.shape).copy()

    def _check(self) -> None:
        rows, columns = self.shape
        if self.arrays["values"].size != rows * columns:
            raise InvalidValueError(
                f"array 'values' must have {rows * columns} entries for shape {self.shape}, "
                f"not {self.arrays['values'].size}"
            )

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {}

    def _coefficients(self) -> np.ndarray:
        return self.arrays["values"]

    @cached_property
    def is_multiplier_free(self) -> bool:
        """Never: a dense loop does not look at its values."""
        return False

    def _counts(self, *, multiplier_free: bool) -> Counts:
        size = self.arrays["values"].size
        return Counts(multiplications=size, additions=size, operand=size, arrays={"values": size})

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        return self._factors(x.dtype).reshape(self.shape) @ x

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        matrix = self._factors(out.dtype).reshape(self.shape)
        (kernels().dense if x.ndim == 1 else kernels().dense_many)(matrix, x, out)
