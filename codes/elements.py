"""What bitmap and run length share: elements that differ from the background, in order, each with a short code."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from sterna.codes.base import MatrixCode
from sterna.codes.packed import check_distinct
from sterna.codes.packing import check_packed, unpack, words
from sterna.codes.values import code_bits, pointers, segment_sums
from sterna.net.errors import InvalidValueError


class ElementCode(MatrixCode):
    """A code of the places of kept elements, those that do not have the most frequent value, and of what they are.

    Arrays: ``values`` in the order of their frequency, the background first, and ``codes``, the index in ``values[1:]``
    of each kept element, row by row, in ceil(log2(K − 1)) bits: one bit, the sign, for ternary matrices. Subclasses add
    the places.
    """

    @abstractmethod
    def _positions(self) -> np.ndarray:
        """Kept elements as indices into the flat matrix, rising: int64, (kept,)."""

    @property
    @abstractmethod
    def _kept(self) -> int:
        """Number of kept elements."""

    @property
    def _code_bits(self) -> int:
        return code_bits(len(self.arrays["values"]) - 1)

    @property
    def _background_array(self) -> np.ndarray:
        return self.arrays["values"][:1]

    @property
    def _size(self) -> int:
        return self.shape[0] * self.shape[1]

    def _check_elements(self) -> None:
        values = self.arrays["values"]
        check_distinct(values)
        if (least := (self._size > 0) + (self._kept > 0)) > len(values):
            raise InvalidValueError(f"array 'values' must have {least} entries or more, not {len(values)}")
        check_packed(self.arrays["codes"], self._code_bits, self._kept, "array 'codes'")
        if self._kept and (largest := int(self._codes().max())) >= len(values) - 1:
            raise InvalidValueError(f"array 'codes' must be below {len(values) - 1}, not {largest}")

    def _codes(self) -> np.ndarray:
        return unpack(self.arrays["codes"], self._code_bits, self._kept)

    def decode(self) -> np.ndarray:
        """The matrix."""
        matrix = np.full(self._size, self.background, dtype=self.dtype)
        matrix[self._positions()] = self.arrays["values"][1:][self._codes()]
        return matrix.reshape(self.shape)

    def _coefficients(self) -> np.ndarray:
        values = self.arrays["values"]
        exact = values.astype(np.int64 if self.dtype.kind in "iu" else np.float64)
        with np.errstate(over="ignore"):
            return exact[1:] - exact[:1]

    def _doubled(self) -> int:
        return int(np.count_nonzero(np.abs(self._coefficients()[self._codes()]) == 2))

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        positions = self._positions()
        row, column = np.divmod(positions, max(self.shape[1], 1))
        starts = pointers(np.bincount(row, minlength=self.shape[0]))
        return segment_sums(self._factors(x.dtype)[self._codes()] * x[column], starts)

    @cached_property
    def _kept_pointers(self) -> np.ndarray:
        """Kept elements before each row, and altogether: int64, (rows + 1,). Found once for kernels; not stored."""
        rows, columns = self.shape
        return np.searchsorted(self._positions(), np.arange(rows + 1) * columns).astype(np.int64)

    @cached_property
    def _code_words(self) -> np.ndarray:
        return words(self.arrays["codes"])

    def _read_counts(self, *, multiplier_free: bool) -> Mapping[str, int]:
        return {"codes": self.arrays["codes"].size, "values": 0 if multiplier_free else self._kept}
