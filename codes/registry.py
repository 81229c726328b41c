"""All codes by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sterna.codes.base import MatrixCode
from sterna.codes.base3 import Base3
from sterna.codes.bitmap import Bitmap
from sterna.codes.cer import Cer
from sterna.codes.cser import Cser
from sterna.codes.csr import Csr
from sterna.codes.dense import Dense
from sterna.codes.packed import Packed
from sterna.codes.run_length import RunLength
from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError

CODES: Mapping[str, type[MatrixCode]] = MappingProxyType(
    {code.NAME: code for code in (Dense, Packed, Base3, Bitmap, Csr, RunLength, Cer, Cser)}
)


def find_code(name: object) -> type[MatrixCode]:
    """The code of that name; :exc:`ValueError` if there is none."""
    if not isinstance(name, str) or name not in CODES:
        raise InvalidValueError(f"code must be one of {', '.join(CODES)}, not {shown(name)}")
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
