"""Run length: the distance to the next kept element in a fixed number of bits, with an escape for long ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Counts, Kind
from sterna.codes.elements import ElementCode
from sterna.codes.packing import check_packed, pack, packed_bytes, unpack, words
from sterna.codes.products import frozen, kernels
from sterna.codes.values import alphabet, check_matrix, code_bits
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidValueError

MAX_RUN_BITS = 16


def escapes(runs: np.ndarray, bits: int) -> np.ndarray:
    """Escapes before each run: a word of ``bits`` ones skips 2^bits − 1 elements and keeps none."""
    return runs // ((1 << bits) - 1)


def best_run_bits(runs: np.ndarray) -> int:
    """The width, 1 to 16, with which the words of all runs take the fewest bits; the least of equally good ones.

    Parameters
    ----------
    runs : int64, (kept,)
        Elements left out before each kept one.
    """
    lengths, counts = np.unique(runs, return_counts=True)

    def stored(bits: int) -> int:
        return bits * int((counts * (1 + escapes(lengths, bits))).sum())

    return min(range(1, MAX_RUN_BITS + 1), key=stored)


class RunLength(ElementCode):
    """``runs``: words of ``run_bits`` bits, row after row without ends; ``values``, ``codes`` as ElementCode.

    A word below 2^run_bits − 1 is the number of elements left out before the next kept one. The word of all ones is the
    escape: 2^run_bits − 1 elements are left out, and the next word goes on. Nothing follows the last kept element. The
    kept elements' codes are a stream of their own, so that an escape costs no more than its word.

    Parameters
    ----------
    run_bits : :class:`int`
        1 to 16.
    words : :class:`int`
        Number of words.
    """

    NAME = "run_length"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {"values": Kind.VALUES, "runs": Kind.PACKED, "codes": Kind.PACKED}
    PARAMETERS: ClassVar[Mapping[str, tuple[int, int]]] = {
        "run_bits": (1, MAX_RUN_BITS),
        "words": (0, 2**53),  # above, a JSON reader may round
    }

    @classmethod
    def encode(cls, matrix: Any, *, run_bits: int | None = None) -> Self:
        """The matrix with words of ``run_bits`` bits; ``None`` takes the width that stores it in the fewest bits."""
        matrix = check_matrix(matrix)
        letters = alphabet(matrix)
        ranks = letters.ranks.ravel()
        positions = np.flatnonzero(ranks)
        runs = np.diff(positions, prepend=-1) - 1
        if run_bits is None:
            run_bits = best_run_bits(runs)
        run_bits = check_integer(run_bits, "run_bits", low=1, high=MAX_RUN_BITS)
        before = escapes(runs, run_bits)
        ends = np.cumsum(before + 1) - 1  # the word of each kept element
        stream = np.full(int(ends[-1]) + 1 if len(ends) else 0, (1 << run_bits) - 1, dtype=np.uint32)
        stream[ends] = runs - before * ((1 << run_bits) - 1)
        rows, columns = matrix.shape
        kept = ranks[positions].astype(np.uint32) - np.uint32(1)
        return cls(
            shape=(rows, columns),
            dtype=matrix.dtype,
            arrays={
                "values": letters.values,
                "runs": pack(stream, run_bits),
                "codes": pack(kept, code_bits(len(letters.values) - 1)),
            },
            parameters={"run_bits": run_bits, "words": len(stream)},
        )

    @property
    def _escape(self) -> int:
        return (1 << self.parameters["run_bits"]) - 1

    def _words(self) -> np.ndarray:
        return unpack(self.arrays["runs"], self.parameters["run_bits"], self.parameters["words"])

    @cached_property
    def _kept(self) -> int:
        return int(np.count_nonzero(self._words() != self._escape))

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Word and position of every kept element: two int64, (kept,)."""
        stream = self._words()
        ends = np.flatnonzero(stream != self._escape)
        skipped = np.cumsum(stream, dtype=np.int64)[ends]
        return ends, skipped + np.arange(len(ends))

    def _positions(self) -> np.ndarray:
        return self._ends()[1]

    def _check(self) -> None:
        count = self.parameters["words"]
        check_packed(self.arrays["runs"], self.parameters["run_bits"], count, "array 'runs'")
        ends, positions = self._ends()
        if count and (not len(ends) or ends[-1] != count - 1):
            raise InvalidValueError("array 'runs' must end with a kept element, not with an escape")
        if len(positions) and positions[-1] >= self._size:
            raise InvalidValueError(f"array 'runs' must stay within {self._size} elements, not reach {positions[-1]}")
        self._check_elements()

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {
            "runs": (self.parameters["words"], self.parameters["run_bits"]),
            "codes": (self._kept, self._code_bits),
        }

    def _counts(self, *, multiplier_free: bool) -> Counts:
        read = packed_bytes(self.parameters["words"], self.parameters["run_bits"])
        reads = {"runs": read, **self._read_counts(multiplier_free=multiplier_free)}
        kept = self._kept
        return Counts(multiplications=0 if multiplier_free else kept, additions=kept, operand=kept, arrays=reads)

    @cached_property
    def _run_words(self) -> np.ndarray:
        return words(self.arrays["runs"])

    @cached_property
    def _row_starts(self) -> tuple[np.ndarray, np.ndarray]:
        """The word with which a row's first kept element begins, and the position there; not stored.

        Two int64, (rows + 1,): the words of rows follow each other without ends, and threads start in between.
        """
        ends, positions = self._ends()
        first = self._kept_pointers
        words_before = np.concatenate([[0], ends + 1])
        positions_before = np.concatenate([[0], positions + 1])
        return words_before[first], positions_before[first]

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        factors = self._factors(out.dtype)
        run_bits = np.uint64(self.parameters["run_bits"])
        common = (self._run_words, run_bits, *self._row_starts, self._kept_pointers, self._code_words)
        if x.ndim == 1 and self._only_signs:
            both = np.concatenate([-x, x] if factors.size and factors[0] < 0 else [x, -x])
            kernels().runs_signs(*common, len(factors) > 1, frozen(both), out)
        else:
            kernel = kernels().runs if x.ndim == 1 else kernels().runs_many
            kernel(*common, np.uint64(self._code_bits), factors, x, out)
