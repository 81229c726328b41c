"""What CER and CSER share: columns grouped by value, so that a product multiplies once a group (distributivity)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sterna.codes.base import Counts, MatrixCode
from sterna.codes.csr import check_columns, check_pointers
from sterna.codes.packed import check_distinct
from sterna.codes.products import kernel_columns, kernels
from sterna.codes.values import Alphabet, pointers, segment_sums
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The kept elements of a matrix, row by row and inside a row by value, the most frequent value of the matrix first.

    Members
    -------
    columns : int64, (kept,)
        Of each element, rising inside a group.
    rows, ranks, sizes : int64, (groups,)
        Of each group: its row, the rank of its value (1 for the most frequent one kept), its number of elements.
    """

    columns: np.ndarray
    rows: np.ndarray
    ranks: np.ndarray
    sizes: np.ndarray


def find_groups(letters: Alphabet) -> Groups:
    """Groups of the elements that have not the most frequent value."""
    row, column = np.nonzero(letters.ranks)
    count = max(len(letters.values), 1)
    keys = row * count + letters.ranks[row, column]
    order = np.argsort(keys, kind="stable")
    present, sizes = np.unique(keys, return_counts=True)
    return Groups(columns=column[order], rows=present // count, ranks=present % count, sizes=sizes)


class GroupCode(MatrixCode):
    """A code of columns grouped by value, with pointers to groups and to rows.

    A product adds the operand's entries of a group, multiplies the sum once by the group's value less the most frequent
    one, and adds up the groups of a row; the most frequent value times the sum of all entries is added to every row.
    """

    @abstractmethod
    def _group_codes(self) -> np.ndarray:
        """Index in ``values[1:]`` of the value of every group, empty ones included: int64, (groups,)."""

    @property
    def _background_array(self) -> np.ndarray:
        return self.arrays["values"][:1]

    @cached_property
    def _row_starts(self) -> np.ndarray:
        return self.arrays["row_pointers"].astype(np.int64)

    @cached_property
    def _group_starts(self) -> np.ndarray:
        return self.arrays["group_pointers"].astype(np.int64)

    def _check_groups(self) -> None:
        values, columns = self.arrays["values"], self.arrays["columns"]
        check_distinct(values)
        if self.shape[0] * self.shape[1] and not len(values):
            raise InvalidValueError("array 'values' must not be empty")
        groups = len(self.arrays["group_pointers"]) - 1
        check_pointers(self.arrays["row_pointers"], "row_pointers", count=self.shape[0] + 1, end=max(groups, 0))
        check_pointers(self.arrays["group_pointers"], "group_pointers", count=max(groups, 0) + 1, end=len(columns))
        check_columns(columns, self._group_starts, self.shape[1])
        self._check_rows()

    def _check_rows(self) -> None:
        """No column twice in a row."""
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self._group_starts[self._row_starts]))
        places = np.sort(rows * self.shape[1] + self.arrays["columns"])
        if (places[1:] == places[:-1]).any():
            again = int(places[1:][places[1:] == places[:-1]][0])
            row, column = divmod(again, self.shape[1])
            raise InvalidValueError(f"array 'columns' must not have column {column} twice in row {row}")

    def decode(self) -> np.ndarray:
        """The matrix."""
        matrix = np.full(self.shape, self.background, dtype=self.dtype)
        sizes = np.diff(self._group_starts)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self._row_starts))
        codes = np.repeat(self._group_codes(), sizes)
        matrix[np.repeat(rows, sizes), self.arrays["columns"]] = self.arrays["values"][1:][codes]
        return matrix

    def _widths(self) -> Mapping[str, tuple[int, int]]:
        return {}

    def _coefficients(self) -> np.ndarray:
        values = self.arrays["values"]
        exact = values.astype(np.int64 if self.dtype.kind in "iu" else np.float64)
        with np.errstate(over="ignore"):
            return exact[1:] - exact[:1]

    @cached_property
    def group_count(self) -> int:
        """Groups that are not empty."""
        return int(np.count_nonzero(np.diff(self._group_starts)))

    @cached_property
    def empty_group_count(self) -> int:
        """Empty groups, which only CER has."""
        return len(self._group_starts) - 1 - self.group_count

    def _counts(self, *, multiplier_free: bool) -> Counts:
        kept, groups = self.arrays["columns"].size, self.group_count
        reads = {name: array.size for name, array in self.arrays.items() if name != "values"}
        return Counts(
            multiplications=0 if multiplier_free else groups,
            additions=kept + groups,
            operand=kept,
            arrays={**reads, "values": 0 if multiplier_free else groups},
        )

    def _doubled(self) -> int:
        filled = self._group_codes()[np.diff(self._group_starts) > 0]
        return int(np.count_nonzero(np.abs(self._coefficients()[filled]) == 2))

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        sums = segment_sums(x[self.arrays["columns"]], self._group_starts)
        return segment_sums(self._factors(x.dtype)[self._group_codes()] * sums, self._row_starts)

    @cached_property
    def _kernel_columns(self) -> np.ndarray:
        return kernel_columns(self.arrays["columns"])

    @cached_property
    def _kernel_groups(self) -> np.ndarray:
        return self._group_codes().astype(np.int32)

    @cached_property
    def _kernel_signs(self) -> np.ndarray:
        return (self._coefficients() < 0)[self._kernel_groups]

    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        common = (self._row_starts, self._group_starts, self._kernel_columns)
        if self._only_signs:
            kernel = kernels().group_signs if x.ndim == 1 else kernels().group_signs_many
            kernel(*common, self._kernel_signs, x, out)
        else:
            kernel = kernels().groups if x.ndim == 1 else kernels().groups_many
            kernel(*common, self._kernel_groups, self._factors(out.dtype), x, out)


def group_arrays(groups: Groups, *, slots: np.ndarray, per_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group and row pointers of groups that are spread over slots.

    Parameters
    ----------
    slots : int64, (groups,)
        Place of each group; places between are empty groups.
    per_row : int64, (rows,)
        Places that each row has.
    """
    row_pointers = pointers(per_row)
    sizes = np.zeros(int(row_pointers[-1]), dtype=np.int64)
    sizes[slots] = groups.sizes
    return pointers(sizes), row_pointers
