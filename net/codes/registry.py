"""All codes by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sterna.net.codes.base import MatrixCode
from sterna.net.codes.base3 import Base3
from sterna.net.codes.bitmap import Bitmap
from sterna.net.codes.cer import Cer
from sterna.net.codes.cser import Cser
from sterna.net.codes.csr import Csr
from sterna.net.codes.dense import Dense
from sterna.net.codes.packed import Packed
from sterna.net.codes.run_length import RunLength

CODES: Mapping[str, type[MatrixCode]] = MappingProxyType(
    {code.NAME: code for code in (Dense, Packed, Base3, Bitmap, Csr, RunLength, Cer, Cser)}
)


def find_code(name: object) -> type[MatrixCode]:
    """The code of that name; :exc:`ValueError` if there is none."""
    if not isinstance(name, str) or name not in CODES:
        raise ValueError(f"code must be one of {', '.join(CODES)}, not {name!r}")
    return CODES[name]


def encode(matrix: Any, code: str, **parameters: Any) -> MatrixCode:
    """The matrix in the code of that name.

    Parameters
    ----------
    matrix : (rows, columns), integers or floats, finite
    code : :class:`str`
        Of :data:`CODES`.
    parameters
        What the code's ``encode`` takes beside: ``bits`` of packed, ``run_bits`` of run_length.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If there is no such code, or it cannot hold the matrix.
    """
    return find_code(code).encode(matrix, **parameters)
