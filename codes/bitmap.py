"""Bitmap: a bit an element that says whether it has the most frequent value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Counts, Kind
from sterna.codes.elements import ElementCode
from sterna.codes.packing import check_packed, pack, words
from sterna.codes.products import kernels
from sterna.codes.values import alphabet, check_matrix, code_bits


class Bitmap(ElementCode):
    """``mask``: a bit an element, 1 where it is kept; ``values`` and ``codes`` as :class:`ElementCode` has them."""

    NAME = "bitmap"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {"values": Kind.VALUES, "mask": Kind.PACKED, "codes": Kind.PACKED}

    @classmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix with a bit an element, and a code for each that has not the most frequent value."""
        matrix = check_matrix(matrix)
        letters = alphabet(matrix)
        ranks = letters.ranks.ravel()
        kept = ranks[ranks > 0].astype(np.uint32) - np.uint32(1)
        rows, columns = matrix.shape
        return cls(
            shape=(rows, columns),
            dtype=matrix.dtype,
            arrays={
                "values": letters.values,
                "mask": np.packbits(ranks > 0, bitorder="little"),
                "codes": pack(kept, code_bits(len(letters.values) - 1)),
            },
        )

    def _positions(self) -> np.ndarray:
        return np.flatnonzero(np.unpackbits(self.arrays["mask"], count=self._size, bitorder="little"))

    @cached_property
    def _kept(self) -> int:
        return int(np.bitwise_count(self.arrays["mask"]).sum(dtype=np.int64))

    def _check(self) -> None:
        check_packed(self.arrays["mask"], 1, self._size, "array 'mask'")
        self._check_elements()

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {"mask": (self._size, 1), "codes": (self._kept, self._code_bits)}

    def _counts(self, *, multiplier_free: bool) -> Counts:
        reads = {"mask": self.arrays["mask"].size, **self._read_counts(multiplier_free=multiplier_free)}
        kept = self._kept
        return Counts(multiplications=0 if multiplier_free else kept, additions=kept, operand=kept, arrays=reads)

    @cached_property
    def _mask_words(self) -> np.ndarray:
        return words(self.arrays["mask"])

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        factors = self._factors(out.dtype)
        common = (self._mask_words, self._kept_pointers, self._code_words)
        if x.ndim == 1 and self._only_signs:
            kernels().bitmap_signs(*common, bool(factors.size and factors[0] < 0), len(factors) > 1, x, out)
        else:
            kernel = kernels().bitmap if x.ndim == 1 else kernels().bitmap_many
            kernel(*common, np.uint64(self._code_bits), factors, x, out)
