"""Base 3: five ternary elements in a byte."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Counts, Kind, MatrixCode
from sterna.codes.products import frozen, kernels
from sterna.codes.values import check_matrix
from sterna.net.checks import describe_index
from sterna.net.errors import InvalidValueError

TRITS = 5  # 3^5 = 243 of a byte's 256 values are used: 1.6 bits an element, of log2(3) = 1.585
_POWERS = 3 ** np.arange(TRITS)


@cache
def trit_table() -> np.ndarray:
    """The five elements of every byte: int8, (243, 5), −1, 0 or 1."""
    return (np.arange(3**TRITS)[:, None] // _POWERS % 3 - 1).astype(np.int8)


class Base3(MatrixCode):
    """Ternary matrices only: element −1, 0 or 1 is the digit 0, 1 or 2; five digits, the first the least, are a byte.

    Rows follow each other without gaps; the last byte is filled with elements 0. A product adds and subtracts, and
    looks at every element.
    """

    NAME = "base3"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {"trits": Kind.PACKED}

    @classmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix, of any dtype but with values −1, 0 and 1 only; :exc:`ValueError` for others."""
        matrix = check_matrix(matrix)
        wrong = (matrix != 0) & (matrix != 1)
        if matrix.dtype.kind != "u":
            wrong &= matrix != -1
        if wrong.any():
            index = np.unravel_index(int(np.argmax(wrong)), matrix.shape)
            place = describe_index([int(i) for i in index])
            raise InvalidValueError(f"matrix must be -1, 0 or +1 for code base3, not {matrix[index]} at {place}")
        rows, columns = matrix.shape
        digits = np.ones(-(-matrix.size // TRITS) * TRITS, dtype=np.int64)
        digits[: matrix.size] = matrix.ravel().astype(np.int8) + 1
        trits = (digits.reshape(-1, TRITS) @ _POWERS).astype(np.uint8)
        return cls(shape=(rows, columns), dtype=matrix.dtype, arrays={"trits": trits})

    def decode(self) -> np.ndarray:
        """The matrix."""
        elements = trit_table()[self.arrays["trits"]].ravel()[: self._size]
        return elements.astype(self.dtype).reshape(self.shape)

    @property
    def _size(self) -> int:
        return self.shape[0] * self.shape[1]

    def _check(self) -> None:
        trits = self.arrays["trits"]
        wanted = -(-self._size // TRITS)
        if len(trits) != wanted:
            raise InvalidValueError(f"array 'trits' must have {wanted} bytes for shape {self.shape}, not {len(trits)}")
        if wanted and int(trits.max()) >= len(trit_table()):
            raise InvalidValueError(f"array 'trits' must be below {len(trit_table())}, not {int(trits.max())}")
        if wanted and trit_table()[trits[-1]][self._size - (wanted - 1) * TRITS :].any():
            raise InvalidValueError("array 'trits' must be filled with elements 0 at its end")
        if self.dtype.kind == "u" and wanted and (trit_table()[trits] < 0).any():
            raise InvalidValueError(f"array 'trits' must hold no -1 for {self.dtype}")

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {"trits": (self.arrays["trits"].size, 8)}

    def _coefficients(self) -> np.ndarray:
        return np.array([-1, 0, 1], dtype=np.int64)

    @cached_property
    def is_multiplier_free(self) -> bool:
        """Always."""
        return True

    def _extremes(self) -> list[Any]:
        return [-1, 1]

    def _counts(self, *, multiplier_free: bool) -> Counts:
        size = self._size
        return Counts(
            multiplications=0 if multiplier_free else size,
            additions=size,
            operand=size,
            arrays={"trits": self.arrays["trits"].size},
        )

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        return self.decode().astype(x.dtype) @ x

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        kernel = kernels().base3 if x.ndim == 1 else kernels().base3_many
        kernel(self.arrays["trits"], frozen(trit_table().astype(out.dtype)), x, out)
