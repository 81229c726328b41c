"""CER, compressed entropy row: groups in the order of their values' frequency, so that no group names its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Kind
from sterna.codes.groups import GroupCode, find_groups, group_arrays
from sterna.codes.values import alphabet, check_matrix, index_array, index_dtype, pointers
from sterna.net.errors import InvalidValueError


class Cer(GroupCode):
    """Wiedemann, Müller and Samek 2018: CER.

    ``values`` (the paper's Ω) in the order of their frequency, the first of them left out of everything else;
    ``columns`` (colI) row by row and inside a row group by group; ``group_pointers`` (ΩPtr), where each group starts in
    ``columns``; ``row_pointers`` (rowPtr), where each row starts in ``group_pointers``. The g-th group of a row has
    the value ``values[1 + g]``: a value that a row lacks before one that it has leaves an empty group, a pointer
    repeated; those after a row's last value leave nothing.
    """

    NAME = "cer"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {
        "values": Kind.VALUES,
        "columns": Kind.INDEX,
        "group_pointers": Kind.INDEX,
        "row_pointers": Kind.INDEX,
    }

    @classmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix in CER; :exc:`ValueError` if an index does not fit 32 bits."""
        matrix = check_matrix(matrix)
        letters = alphabet(matrix)
        groups = find_groups(letters)
        rows, columns = matrix.shape
        per_row = np.zeros(rows, dtype=np.int64)
        per_row[groups.rows] = groups.ranks  # the last, and greatest, rank of a row stays
        starts = pointers(per_row)
        index_dtype(int(starts[-1]))  # before so many groups are made
        group_pointers, row_pointers = group_arrays(
            groups, slots=starts[groups.rows] + groups.ranks - 1, per_row=per_row
        )
        return cls(
            shape=(rows, columns),
            dtype=matrix.dtype,
            arrays={
                "values": letters.values,
                "columns": index_array(groups.columns),
                "group_pointers": index_array(group_pointers),
                "row_pointers": index_array(row_pointers),
            },
        )

    def _group_codes(self) -> np.ndarray:
        starts = self._row_starts
        return np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))

    def _check(self) -> None:
        self._check_groups()
        per_row = np.diff(self._row_starts)
        allowed = max(len(self.arrays["values"]) - 1, 0)
        if per_row.size and (most := int(per_row.max())) > allowed:
            raise InvalidValueError(f"array 'row_pointers' must give a row at most {allowed} groups, not {most}")
        last = self._row_starts[1:][per_row > 0]
        if (self._group_starts[last] == self._group_starts[last - 1]).any():
            raise InvalidValueError("array 'group_pointers' must not end a row with an empty group")
