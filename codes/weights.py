"""Weights from an ``.npz`` file, as matrices to encode."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from sterna.codes.values import check_matrix
from sterna.net.container import FileFormatError

_DAMAGE = (ValueError, EOFError, OSError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What a file holds.

    Members
    -------
    matrices : mapping from name to array, (out, the rest)
        Every array of two or more dimensions, in the file's order and its own dtype.
    skipped : :class:`int`
        Number of arrays of fewer dimensions (biases, normalization), which are left out.
    """

    matrices: Mapping[str, np.ndarray]
    skipped: int


def load_weights(path: str | os.PathLike[str]) -> Weights:
    """Read the weights of an ``.npz`` file, as ``numpy.savez`` writes it: one array a tensor, (out, ...).

    A convolution, (out, in, height, width), becomes the matrix of its filters. Nothing is unpickled.

    Raises
    ------
    :exc:`~sterna.net.FileFormatError`
        If it is no such file, an array cannot be encoded, or none has two dimensions; the message names file and array.
    :exc:`OSError`
        If the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise FileFormatError(f"{path}: not a whole .npz file, which numpy.savez writes: one array a layer")
        file.seek(0)
        try:
            arrays = np.load(file, allow_pickle=False)
            names = list(arrays.files)
        except _DAMAGE as error:
            raise FileFormatError(f"{path}: damaged: {error}") from None
        read = {name: _read(arrays, name, path) for name in names}
    matrices = {name: _matrix(array, name, path) for name, array in read.items() if array.ndim >= 2}
    if not matrices:
        raise FileFormatError(f"{path}: none of its {len(read)} arrays has two dimensions or more: no weights")
    return Weights(matrices=MappingProxyType(matrices), skipped=len(read) - len(matrices))


def _read(arrays: Mapping[str, Any], name: str, path: Path) -> np.ndarray:
    try:
        array = arrays[name]
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            reason = f"array '{name}' holds Python objects, which are not loaded: save arrays of numbers"
            raise FileFormatError(f"{path}: {reason}") from None
        raise FileFormatError(f"{path}: array '{name}' is damaged: {error}") from None
    if not isinstance(array, np.ndarray):
        raise FileFormatError(f"{path}: '{name}' is no NumPy array; save weights with numpy.savez, one array a layer")
    return array


def _matrix(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    try:
        return check_matrix(array.reshape(len(array), math.prod(array.shape[1:])))
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: array '{name}': {error}") from None
