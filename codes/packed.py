"""Packed: every element as a code of n bits, with a table of the values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Counts, Kind, MatrixCode
from sterna.codes.packing import check_packed, pack, packed_bytes, unpack, words
from sterna.codes.products import frozen, kernels
from sterna.codes.values import alphabet, check_matrix, code_bits
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidValueError


def check_distinct(values: np.ndarray) -> None:
    """:exc:`ValueError` unless the array ``values`` holds each value once."""
    if len(np.unique(values)) != len(values):
        raise InvalidValueError("array 'values' must hold each value once")


class Packed(MatrixCode):
    """Dense with n bits an element: ``values`` in the order of their frequency; ``codes``, indices in it, row by row.

    Parameters
    ----------
    bits : :class:`int`
        n, 0 to 32; 0 where there is one value only.
    """

    NAME = "packed"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {"values": Kind.VALUES, "codes": Kind.PACKED}
    PARAMETERS: ClassVar[Mapping[str, tuple[int, int]]] = {"bits": (0, 32)}

    @classmethod
    def encode(cls, matrix: Any, *, bits: int | None = None) -> Self:
        """The matrix with ``bits`` bits an element; ``None`` takes the least that tells its values apart."""
        matrix = check_matrix(matrix)
        letters = alphabet(matrix)
        least = code_bits(len(letters.values))
        bits = least if bits is None else check_integer(bits, "bits", low=0, high=32)
        if bits < least:
            raise InvalidValueError(f"{len(letters.values)} values need {least} bits, not {bits}")
        rows, columns = matrix.shape
        return cls(
            shape=(rows, columns),
            dtype=matrix.dtype,
            arrays={"values": letters.values, "codes": pack(letters.ranks.ravel(), bits)},
            parameters={"bits": bits},
        )

    def decode(self) -> np.ndarray:
        """The matrix."""
        return self.arrays["values"][self._codes()].reshape(self.shape)

    def _codes(self) -> np.ndarray:
        return unpack(self.arrays["codes"], self.parameters["bits"], self._size)

    @property
    def _size(self) -> int:
        return self.shape[0] * self.shape[1]

    def _check(self) -> None:
        values = self.arrays["values"]
        check_distinct(values)
        check_packed(self.arrays["codes"], self.parameters["bits"], self._size, "array 'codes'")
        if self._size:
            largest = int(self._codes().max()) if self.parameters["bits"] else 0
            if largest >= len(values):
                raise InvalidValueError(f"array 'codes' must be below {len(values)}, not {largest}")

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {"codes": (self._size, self.parameters["bits"])}

    def _coefficients(self) -> np.ndarray:
        return self.arrays["values"]

    def _counts(self, *, multiplier_free: bool) -> Counts:
        size = self._size
        read = packed_bytes(size, self.parameters["bits"])
        return Counts(
            multiplications=0 if multiplier_free else size,
            additions=size,
            operand=size,
            arrays={"codes": read, "values": 0 if multiplier_free else size},
        )

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        return self._factors(x.dtype)[self._codes()].reshape(self.shape) @ x

    @cached_property
    def _words(self) -> np.ndarray:
        return words(self.arrays["codes"])

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        factors, bits = self._factors(out.dtype), self.parameters["bits"]
        if x.ndim == 1 and bits == 2:  # ternary matrices
            four = np.resize(factors, 4)  # what stands for a code that does not occur does not matter
            table = four[np.arange(256)[:, None] >> np.arange(0, 8, 2) & 3]
            kernels().packed_quarters(self.arrays["codes"], frozen(table), x, out)
        else:
            kernel = kernels().packed if x.ndim == 1 else kernels().packed_many
            kernel(self._words, np.uint64(bits), factors, x, out)
