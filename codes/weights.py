"""Weights from an ``.npz`` file, as matrices to encode."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from sterna.codes.values import check_matrix
from sterna.net.arrays import load_arrays
from sterna.net.checks import naming, shown
from sterna.net.container import in_file
from sterna.net.errors import InvalidValueError


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
    arrays = load_arrays(path)
    with in_file(path):
        matrices = {name: _matrix(array, name) for name, array in arrays.items() if array.ndim >= 2}
        if not matrices:
            raise InvalidValueError(f"none of its {len(arrays)} arrays has two dimensions or more: no weights")
    return Weights(matrices=MappingProxyType(matrices), skipped=len(arrays) - len(matrices))


def _matrix(array: np.ndarray, name: str) -> np.ndarray:
    with naming(f"array {shown(name)}"):
        return check_matrix(array.reshape(len(array), math.prod(array.shape[1:])))
