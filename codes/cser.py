"""CSER, compressed shared elements row: groups in any order, each naming its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.base import Kind
from sterna.codes.groups import GroupCode, find_groups, group_arrays
from sterna.codes.values import alphabet, check_matrix, index_array
from sterna.net.errors import InvalidValueError


class Cser(GroupCode):
    """Wiedemann, Müller and Samek 2018: CSER.

    ``values`` (Ω): the most frequent one, and the others rising; ``columns`` (colI), ``group_pointers`` (ΩPtr) and
    ``row_pointers`` (rowPtr) as in CER, but without empty groups; ``group_values`` (ΩI): the index in ``values`` of
    each group's value. Inside a row, groups follow the frequency of their values in the whole matrix, as in CER: any
    order would do, and this one is that of the worked example.
    """

    NAME = "cser"
    ARRAYS: ClassVar[Mapping[str, Kind]] = {
        "values": Kind.VALUES,
        "columns": Kind.INDEX,
        "group_values": Kind.INDEX,
        "group_pointers": Kind.INDEX,
        "row_pointers": Kind.INDEX,
    }

    @classmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix in CSER."""
        matrix = check_matrix(matrix)
        letters = alphabet(matrix)
        groups = find_groups(letters)
        rows, columns = matrix.shape
        order = np.concatenate([np.arange(len(letters.values))[:1], 1 + np.argsort(letters.values[1:])])
        place = np.argsort(order)  # of each rank in the rising order
        group_pointers, row_pointers = group_arrays(
            groups, slots=np.arange(len(groups.sizes)), per_row=np.bincount(groups.rows, minlength=rows)
        )
        return cls(
            shape=(rows, columns),
            dtype=matrix.dtype,
            arrays={
                "values": letters.values[order],
                "columns": index_array(groups.columns),
                "group_values": index_array(place[groups.ranks]),
                "group_pointers": index_array(group_pointers),
                "row_pointers": index_array(row_pointers),
            },
        )

    def _group_codes(self) -> np.ndarray:
        return self.arrays["group_values"].astype(np.int64) - 1

    def _check(self) -> None:
        self._check_groups()
        named, values = self.arrays["group_values"], self.arrays["values"]
        groups = len(self.arrays["group_pointers"]) - 1
        if len(named) != groups:
            raise InvalidValueError(f"array 'group_values' must have {groups} entries, not {len(named)}")
        if groups and not 1 <= int(named.min()) <= int(named.max()) < len(values):
            raise InvalidValueError(
                f"array 'group_values' must be from 1 to {len(values) - 1}, not {named.min()} to {named.max()}"
            )
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self._row_starts))
        if len(np.unique(rows * len(values) + named)) != groups:
            raise InvalidValueError("array 'group_values' must not have one value twice in a row")
        if self.empty_group_count:
            raise InvalidValueError("array 'group_pointers' must have no empty group")
