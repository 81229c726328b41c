"""Ternary weights packed in base 3: five to a byte, since 3^5 = 243 fits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sterna.net.errors import InvalidValueError

TRITS_PER_BYTE = 5
_PLACES = 3 ** np.arange(TRITS_PER_BYTE)  # the first weight is the lowest digit
_MAX = 3**TRITS_PER_BYTE - 1
_WEIGHTS = (np.arange(_MAX + 1)[:, None] // _PLACES % 3 - 1).astype(np.int8)  # of every byte


def pack_trits(weights: np.ndarray) -> np.ndarray:
    """Pack weights in C order, digit = weight + 1, the last byte filled up with zeros.

    Parameters
    ----------
    weights : int8, any shape, -1, 0 or +1

    Returns
    -------
    uint8, (ceil(weights.size / 5),), 0 to 242
    """
    flat = np.zeros(-(-weights.size // TRITS_PER_BYTE) * TRITS_PER_BYTE, dtype=np.int64)
    flat[: weights.size] = weights.reshape(-1)
    return ((flat + 1).reshape(-1, TRITS_PER_BYTE) @ _PLACES).astype(np.uint8)


def unpack_trits(packed: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """:func:`pack_trits` undone: int8, of the given shape.

    Raises
    ------
    :exc:`ValueError`
        If ``packed`` has another length than the shape needs, a byte above 242, or other weights than zeros at the end.
    """
    count = math.prod(shape)
    wanted = -(-count // TRITS_PER_BYTE)
    if packed.shape != (wanted,):
        raise InvalidValueError(f"must have shape ({wanted},) for {count} weights, not {packed.shape}")
    if packed.size and packed.max() > _MAX:
        raise InvalidValueError(f"must be bytes from 0 to {_MAX}, not {packed.max()}")
    weights = _WEIGHTS[packed].reshape(-1)
    if weights[count:].any():
        raise InvalidValueError("must end in zeros")
    return weights[:count].reshape(tuple(shape))
