"""What an ideal entropy code would take: a bound to compare with, not a code to multiply in."""

from __future__ import annotations

import math
from typing import Any

from sterna.codes.storage import ArrayStorage, Storage
from sterna.codes.values import alphabet, check_matrix, code_bits
from sterna.net.checks import check_integer
from sterna.net.cost import entropy


def entropy_bound(matrix: Any, *, value_bits: int | None = None) -> Storage:
    """Storage of a code that reaches the entropy of single elements: no such code takes less on average.

    Codes that use what elements have to do with each other (a row's own statistics, runs) may take less.

    Parameters
    ----------
    matrix : (rows, columns), integers or floats, finite
    value_bits : :class:`int`
        Width of an entry of the table of values; ``None`` for that of the dtype.

    Returns
    -------
    :class:`Storage`
        ``values``, the table, and ``elements``, one entry of the whole stream's width, rounded up.
    """
    matrix = check_matrix(matrix)
    values = alphabet(matrix).values
    width = matrix.dtype.itemsize * 8
    if value_bits is not None:
        width = check_integer(value_bits, "value_bits", low=max(1, code_bits(len(values))), high=64)
    stream = math.ceil(matrix.size * entropy(matrix))
    return Storage(
        arrays=(
            ArrayStorage(name="values", entries=len(values), width=width),
            ArrayStorage(name="elements", entries=1, width=stream),
        )
    )
