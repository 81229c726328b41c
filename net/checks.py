"""Checks that turn a user's values into exact, read-only integers, or say what is wrong with them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from sterna.net.errors import InvalidTypeError, InvalidValueError


def describe_index(index: Sequence[int]) -> str:
    """``(3, 5)`` as ``[3, 5]``, without numpy's own type names."""
    return str([int(i) for i in index])


def check_integer(value: object, what: str, *, low: int | None = None, high: int | None = None) -> int:
    """A Python ``int`` from any integer between ``low`` and ``high``, both included.

    Raises
    ------
    :exc:`TypeError`
        If ``value`` is no integer (``bool`` is none).
    :exc:`ValueError`
        If it is out of range.
    """
    if low is None and high is None:
        wanted = "an integer"
    elif high is None:
        wanted = {0: "a non-negative integer", 1: "a positive integer"}.get(low or 0, f"an integer of at least {low}")
    else:
        wanted = f"an integer from {low} to {high}"
    if isinstance(value, (bool, np.bool_)):
        raise InvalidTypeError(f"{what} must be {wanted}, not {value}")
    try:
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise InvalidTypeError(f"{what} must be {wanted}, not {value!r}") from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise InvalidValueError(f"{what} must be {wanted}, not {number}")
    return number


def check_pair(value: object, what: str, *, low: int) -> tuple[int, int]:
    """``(vertical, horizontal)`` from one integer for both or from two."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidValueError(f"{what} must be one integer or two, not {len(value)}")
        return check_integer(value[0], what, low=low), check_integer(value[1], what, low=low)
    number = check_integer(value, what, low=low)
    return number, number


def check_array(
    value: npt.ArrayLike, what: str, *, dtype: npt.DTypeLike, low: int, high: int, allowed: str = ""
) -> np.ndarray:
    """A read-only copy of integers, in ``dtype``.

    Parameters
    ----------
    value : array of any integer dtype, or nested sequences of integers
        What the user gave.
    what : :class:`str`
        Its name in messages.
    dtype : integer dtype
        The exact dtype of the result.
    low, high : :class:`int`
        Smallest and largest value allowed.
    allowed : :class:`str`
        The same in words, where "between ... and ..." is not the natural way to say it.

    Raises
    ------
    :exc:`TypeError`
        If the array does not hold integers.
    :exc:`ValueError`
        If a value is out of range; the message gives the first one and its index.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise InvalidTypeError(f"{what} must be integers, not {array.dtype}")
    wrong = (array < low) | (array > high)
    if wrong.any():
        index = np.unravel_index(int(np.argmax(wrong)), array.shape)
        place = f" at {describe_index([int(i) for i in index])}" if array.ndim else ""
        allowed = allowed or f"between {low} and {high}"
        raise InvalidValueError(f"{what} must be {allowed}, not {array[index]}{place}")
    return read_only(array, dtype)


def read_only(array: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """A copy on immutable bytes, whose ``writeable`` flag cannot be raised again."""
    exact = np.asarray(array, dtype=dtype)
    return np.frombuffer(exact.tobytes(), dtype=exact.dtype).reshape(exact.shape)
