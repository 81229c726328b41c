"""Adders of two terms that compute the rows of a matrix, and the proof that they do."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sterna.hw.sums.equations import Equations
from sterna.net.errors import InvalidValueError

#: Columns of the matrix that are computed at a time: at most so many numbers.
_NUMBERS = 1 << 25


@dataclass(frozen=True, kw_only=True, eq=False)
class SumGraph:
    """Adders, each of two terms. Terms are numbers: the inputs, and the adders behind them.

    Attributes
    ----------
    inputs : int
        Columns of the matrix.
    left, right : int64, (adders,)
        Terms of each adder; both stand before it.
    subtract : bool, (adders,)
        ``left - right`` in place of ``left + right``.
    outputs : int64, (rows,)
        Each row's term; -1 for a row without weights.
    negative : bool, (rows,)
        The row is the term's negative.
    """

    inputs: int
    left: np.ndarray
    right: np.ndarray
    subtract: np.ndarray
    outputs: np.ndarray
    negative: np.ndarray

    @property
    def adders(self) -> int:
        """Number of adders."""
        return len(self.left)

    @cached_property
    def levels(self) -> np.ndarray:
        """Adders on the longest way from the inputs to each term; int64, (inputs + adders,)."""
        levels = np.zeros(self.inputs + self.adders, np.int64)
        for number, (left, right) in enumerate(zip(self.left, self.right, strict=True), self.inputs):
            levels[number] = 1 + max(levels[left], levels[right])
        return levels

    @property
    def depth(self) -> int:
        """Adders on the longest way from the inputs to a row."""
        used = self.outputs[self.outputs >= 0]
        return int(self.levels[used].max(initial=0))

    def waits(self, depth: int) -> np.ndarray:
        """Levels that each term waits for its last reader, or for all rows to be at ``depth``; int64.

        An adder reads both terms at the level below its own.
        """
        levels = self.levels
        wanted = levels.copy()
        below = levels[self.inputs :] - 1
        np.maximum.at(wanted, self.left, below)
        np.maximum.at(wanted, self.right, below)
        wanted[self.outputs[self.outputs >= 0]] = depth
        return np.asarray(wanted - levels)

    def compute(self, inputs: np.ndarray) -> np.ndarray:
        """The rows' sums: integers of the type of ``inputs``, (batch, inputs) to (batch, rows)."""
        return self._rows(self._terms(inputs)).T

    def _terms(self, inputs: np.ndarray) -> np.ndarray:
        """Every term's value, (inputs + adders, batch)."""
        terms = np.empty((self.inputs + self.adders, len(inputs)), inputs.dtype)
        terms[: self.inputs] = inputs.T
        for number in range(self.adders):
            left, right = terms[self.left[number]], terms[self.right[number]]
            terms[self.inputs + number] = left - right if self.subtract[number] else left + right
        return terms

    def _rows(self, terms: np.ndarray) -> np.ndarray:
        """The rows' values of the terms', (rows, batch)."""
        sums = np.where(self.negative, -1, 1).astype(terms.dtype)[:, None] * terms[self.outputs]
        sums[self.outputs < 0] = 0
        return sums

    def ranges(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value of every term, exactly: by how often it has each input.

        An adder's terms may have inputs in common, which cancel or count twice. So the ends of its terms do not give
        its own.

        Parameters
        ----------
        low, high : int64, (inputs,)
            Of the inputs.

        Returns
        -------
        low, high : int64, (inputs + adders,)
        """
        lows, highs = (np.zeros(self.inputs + self.adders, np.int64) for _ in range(2))
        for columns, counts in self._counts():
            for count, least, most in zip(counts.T, low[columns].tolist(), high[columns].tolist(), strict=True):
                ends = np.int64(count) * least, np.int64(count) * most
                lows += np.minimum(*ends)
                highs += np.maximum(*ends)
        return lows, highs

    def check(self, weights: np.ndarray) -> None:
        """Proves that it computes a matrix, for all inputs: a graph of adders is linear, and each column is tried.

        Parameters
        ----------
        weights : int8, (rows, columns)

        Raises
        ------
        :exc:`ValueError`
            If it does not; the message names the first row.
        """
        rows, columns = weights.shape
        if (rows, columns) != (len(self.outputs), self.inputs):
            raise InvalidValueError(
                f"a graph of {len(self.outputs)} sums of {self.inputs} is no matrix of {weights.shape}"
            )
        for tried, counts in self._counts():
            wrong = np.flatnonzero((self._rows(counts) != weights[:, tried]).any(axis=1))
            if len(wrong):
                raise InvalidValueError(f"the shared sums are wrong: row {wrong[0]} is not that of the matrix")

    def _counts(self) -> Iterator[tuple[slice, np.ndarray]]:
        """How often every term has each of some inputs, int32, (terms, some); some inputs at a time."""
        step = max(1, _NUMBERS // max(1, self.inputs + self.adders))
        for first in range(0, self.inputs, step):
            columns = slice(first, min(first + step, self.inputs))
            units = np.zeros((columns.stop - first, self.inputs), np.int32)
            units[np.arange(len(units)), first + np.arange(len(units))] = 1
            yield columns, self._terms(units)


def graph_of(equations: Equations, rows: int) -> SumGraph:
    """Adders for equations: of many terms those are added first that are there first, so that ways are short."""
    builder = _Builder(equations)
    ends = [builder.term(~row) for row in range(rows)]
    left, right, subtract = (
        (np.array(values) for values in zip(*builder.adders, strict=True))
        if builder.adders
        else (np.zeros(0, int),) * 3
    )
    return SumGraph(
        inputs=equations.columns,
        left=left.astype(np.int64),
        right=right.astype(np.int64),
        subtract=subtract.astype(bool),
        outputs=np.array([term for term, _ in ends], np.int64),
        negative=np.array([sign < 0 for _, sign in ends], bool),
    )


class _Builder:
    """Turns equations into adders, those first that others need."""

    def __init__(self, equations: Equations) -> None:
        self._equations = equations
        self._made: dict[int, tuple[int, int]] = {}
        self._levels = [0] * equations.columns
        self._known: dict[tuple[int, int, bool], int] = {}
        self.adders: list[tuple[int, int, bool]] = []

    def term(self, equation: int) -> tuple[int, int]:
        """The term that an equation's sum is, and its sign; -1 where it has no terms."""
        waiting = [equation]
        while waiting:
            terms = self._equations.terms[waiting[-1]]
            missing = [term for term in terms if term >= self._equations.columns and term not in self._made]
            if missing:
                waiting += missing
            else:
                self._made[waiting.pop()] = self._tree(terms)
        return self._made[equation]

    def _tree(self, terms: dict[int, int]) -> tuple[int, int]:
        heap = []
        for term, sign in terms.items():
            number, own = self._made.get(term, (term, 1))
            heap.append((self._levels[number], number, sign * own))
        heapq.heapify(heap)
        while len(heap) > 1:
            _, first, one = heapq.heappop(heap)
            _, second, other = heapq.heappop(heap)
            if one < other:
                first, one, second, other = second, other, first, one
            number = self._adder(first, second, one != other)
            heapq.heappush(heap, (self._levels[number], number, one))
        return (heap[0][1], heap[0][2]) if heap else (-1, 1)

    def _adder(self, left: int, right: int, subtract: bool) -> int:
        key = (left, right, subtract) if subtract or left < right else (right, left, subtract)
        if key not in self._known:
            self.adders.append(key)
            self._levels.append(1 + max(self._levels[left], self._levels[right]))
            self._known[key] = len(self._levels) - 1
        return self._known[key]
