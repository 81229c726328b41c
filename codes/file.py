"""An encoded matrix's file: ``.safetensors``, with a JSON header in its metadata (docs/codes.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from sterna.codes.base import MatrixCode
from sterna.codes.registry import find_code
from sterna.net.checks import shown
from sterna.net.container import check_digest, open_container, write_container
from sterna.net.describe import check_entry
from sterna.net.errors import InvalidTypeError, InvalidValueError

CODE_FORMAT_VERSION = 1
_KEY = "sterna_code"
_FIELDS = ("version", "code", "shape", "dtype", "parameters", "digest")
_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")


def save_code(coded: MatrixCode, path: str | os.PathLike[str]) -> None:
    """Write an encoded matrix. The same matrix in the same code gives the same bytes.

    The file is written beside ``path`` and then renamed, so that ``path`` never holds half a matrix.

    Raises
    ------
    :exc:`TypeError`
        If ``coded`` is no encoded matrix.
    :exc:`OSError`
        If the file cannot be written.
    """
    if not isinstance(coded, MatrixCode):
        raise InvalidTypeError(f"coded must be an encoded matrix, not {shown(coded)}")
    header = {
        "version": CODE_FORMAT_VERSION,
        "code": coded.NAME,
        "shape": list(coded.shape),
        "dtype": coded.dtype.name,
        "parameters": dict(coded.parameters),
        "digest": coded.digest,
    }
    write_container(Path(path), _KEY, header, coded.arrays)


def load_code(path: str | os.PathLike[str]) -> MatrixCode:
    """Read an encoded matrix, and check its arrays and the digest it was saved with.

    Raises
    ------
    :exc:`~sterna.net.FileFormatError`
        If the file is not what :func:`save_code` writes, or was damaged since; the message names file and field.
    :exc:`OSError`
        If the file cannot be read.
    """
    with open_container(Path(path), _KEY, versions=(CODE_FORMAT_VERSION,), what="encoded matrix") as (header, stored):
        fields = check_entry(header, "its header", _FIELDS)
        return _build(fields, {name: stored.read(name) for name in stored.names})


def _build(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> MatrixCode:
    shape, parameters = header["shape"], header["parameters"]
    if not isinstance(shape, list) or len(shape) != 2:
        raise InvalidValueError(f"shape must be two integers, not {shown(shape)}")
    if header["dtype"] not in _DTYPES:
        raise InvalidValueError(f"dtype must be one of {', '.join(_DTYPES)}, not {shown(header['dtype'])}")
    if not isinstance(parameters, dict):
        raise InvalidTypeError(f"parameters must be an object, not {shown(parameters)}")
    check_digest(header["digest"])
    code = find_code(header["code"])
    coded = code(shape=(shape[0], shape[1]), dtype=np.dtype(header["dtype"]), arrays=arrays, parameters=parameters)
    if coded.digest != header["digest"]:
        raise InvalidValueError(f"its digest is {coded.digest}, but its header says {header['digest']}: it was changed")
    return coded
