"""What a code costs, from a matrix's statistics alone: for matrices that are only thought of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from sterna.codes.base import Kind
from sterna.codes.base3 import TRITS
from sterna.codes.packing import packed_bytes
from sterna.codes.registry import find_code
from sterna.codes.report import CodeCost
from sterna.codes.run_length import MAX_RUN_BITS
from sterna.codes.storage import ArrayStorage, Storage
from sterna.codes.values import bits_for, code_bits, index_dtype
from sterna.net.checks import check_integer
from sterna.net.cost import MatrixStatistics
from sterna.net.energy import OPERAND, RESULT, TABLE_I, Access, EnergyTable, Operations, energy
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True)
class _Array:
    """One array. ``size`` is the width of packed entries and the greatest entry of an index array."""

    name: str
    kind: Kind
    entries: int
    size: int = 0
    read: int | None = None  # entries; all of them unless given

    def storage(self, *, value_bits: int, tight: bool) -> ArrayStorage:
        entries, width = self.entries, self.size
        if self.kind is Kind.VALUES:
            width = value_bits
        elif self.kind is Kind.INDEX:
            width = bits_for(self.size) if tight else 8 * np.dtype(index_dtype(self.size)).itemsize
        elif not tight:
            entries, width = packed_bytes(self.entries, self.size), 8
        return ArrayStorage(name=self.name, entries=entries, width=width)

    @property
    def reads(self) -> int:
        if self.read is not None:
            return self.read
        return packed_bytes(self.entries, self.size) if self.kind is Kind.PACKED else self.entries


@dataclass(frozen=True)
class _Estimate:
    """Arrays and operations of one code; a product with a most frequent value of 0."""

    multiplications: int
    additions: int
    operand: int
    arrays: tuple[_Array, ...]


def estimate(
    code: str,
    statistics: MatrixStatistics,
    *,
    value_bits: int = 32,
    operand_bits: int = 32,
    result_bits: int = 32,
    tight: bool = False,
    ternary: bool = False,
    table: EnergyTable = TABLE_I,
) -> CodeCost:
    """A matrix of given statistics in one code, as :func:`matrix_costs` has it for a matrix.

    The most frequent value is taken for 0, and some element of the last column for kept. Where both hold, storage and
    operations are exact in all codes but run length, which is that of independent elements.

    Parameters
    ----------
    code : :class:`str`
        Of :data:`CODES`; base 3 for ternary matrices only.
    ternary : :class:`bool`
        Whether values are −1, 0 and 1, so that only dense multiplies.
    value_bits, operand_bits, result_bits, tight, table
        As :func:`matrix_costs` takes them.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If there is no such code, a width is out of range, or base 3 is asked for without ``ternary``.
    """
    value_bits = check_integer(value_bits, "value_bits", low=1, high=64)
    operand_bits = check_integer(operand_bits, "operand_bits", low=1, high=64)
    result_bits = check_integer(result_bits, "result_bits", low=1, high=64)
    found = _ESTIMATES[find_code(code).NAME](statistics, not ternary)
    accesses, stored = [], []
    for array in found.arrays:
        storage = array.storage(value_bits=value_bits, tight=tight)
        width = 8 if array.kind is Kind.PACKED else storage.width
        accesses.append(Access(array=array.name, reads=array.reads, width=width, array_bits=storage.bits))
        stored.append(storage)
    vector, result = statistics.columns * operand_bits, statistics.rows * result_bits
    accesses.append(Access(array=OPERAND, reads=found.operand, width=operand_bits, array_bits=vector))
    accesses.append(Access(array=RESULT, reads=0, writes=statistics.rows, width=result_bits, array_bits=result))
    operations = Operations(
        multiplications=found.multiplications,
        additions=found.additions,
        operation_bits=operand_bits,
        accesses=tuple(accesses),
    )
    return CodeCost(storage=Storage(arrays=tuple(stored)), operations=operations, energy=energy(operations, table))


def _elements(statistics: MatrixStatistics) -> int:
    return statistics.rows * statistics.columns


def _dense(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    count = _elements(statistics)
    return _Estimate(count, count, count, (_Array("values", Kind.VALUES, count),))


def _packed(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    count, values = _elements(statistics), statistics.values
    arrays = (
        _Array("values", Kind.VALUES, values, read=count * multiply),
        _Array("codes", Kind.PACKED, count, code_bits(values)),
    )
    return _Estimate(count * multiply, count, count, arrays)


def _base3(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    if multiply:
        raise InvalidValueError("code base3 is for ternary matrices only")
    count = _elements(statistics)
    return _Estimate(0, count, count, (_Array("trits", Kind.PACKED, -(-count // TRITS), 8),))


def _kept(statistics: MatrixStatistics, multiply: bool, *arrays: _Array) -> _Estimate:
    """A code that looks at kept elements one by one."""
    kept = statistics.kept
    return _Estimate(kept * multiply, kept, kept, arrays)


def _kept_codes(statistics: MatrixStatistics, multiply: bool) -> tuple[_Array, _Array]:
    """The table of values, and a code for each kept element."""
    values, kept = statistics.values, statistics.kept
    return (
        _Array("values", Kind.VALUES, values, read=kept * multiply),
        _Array("codes", Kind.PACKED, kept, code_bits(values - 1)),
    )


def _bitmap(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    mask = _Array("mask", Kind.PACKED, _elements(statistics), 1)
    return _kept(statistics, multiply, mask, *_kept_codes(statistics, multiply))


def _run_length(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    """A word skips M = 2^w − 1 elements with probability p0^M: kept / (1 − p0^M) words are to be expected."""
    widths = np.arange(1, MAX_RUN_BITS + 1)
    longest = (1 << widths) - 1
    words = np.zeros(len(widths))
    if statistics.kept:
        words = statistics.kept / -np.expm1(longest * np.log(statistics.most_frequent_share))
    best = int(np.argmin(widths * words))
    runs = _Array("runs", Kind.PACKED, round(float(words[best])), int(widths[best]))
    return _kept(statistics, multiply, runs, *_kept_codes(statistics, multiply))


def _columns(statistics: MatrixStatistics) -> _Array:
    return _Array("columns", Kind.INDEX, statistics.kept, max(statistics.columns - 1, 0))


def _row_pointers(statistics: MatrixStatistics, last: int) -> _Array:
    return _Array("row_pointers", Kind.INDEX, statistics.rows + 1, last)


def _csr(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    kept = statistics.kept
    values = _Array("values", Kind.VALUES, kept)
    return _kept(statistics, multiply, values, _columns(statistics), _row_pointers(statistics, kept))


def _grouped(statistics: MatrixStatistics, multiply: bool, places: int, *more: _Array) -> _Estimate:
    """CER or CSER with so many groups, empty ones included."""
    groups, kept = statistics.groups, statistics.kept
    arrays = (
        _Array("values", Kind.VALUES, statistics.values, read=groups * multiply),
        _columns(statistics),
        *more,
        _Array("group_pointers", Kind.INDEX, places + 1, kept),
        _row_pointers(statistics, places),
    )
    return _Estimate(groups * multiply, kept + groups, kept, arrays)


def _cer(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    return _grouped(statistics, multiply, statistics.groups + statistics.empty_groups)


def _cser(statistics: MatrixStatistics, multiply: bool) -> _Estimate:
    group_values = _Array("group_values", Kind.INDEX, statistics.groups, max(statistics.values - 1, 0))
    return _grouped(statistics, multiply, statistics.groups, group_values)


_ESTIMATES: Mapping[str, Callable[[MatrixStatistics, bool], _Estimate]] = MappingProxyType(
    {
        "dense": _dense,
        "packed": _packed,
        "base3": _base3,
        "bitmap": _bitmap,
        "csr": _csr,
        "run_length": _run_length,
        "cer": _cer,
        "cser": _cser,
    }
)
