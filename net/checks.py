"""Checks that turn a user's values into exact, read-only integers, or say what is wrong with them."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from sterna.net.errors import InvalidTypeError, InvalidValueError

MAX_ELEMENTS = (1 << 31) - 1  # of a map, a padded input or a node's weights (docs/arithmetic.md, rule 11)
_LONG = 256  # bits of integers that messages write out; Python itself refuses more than 4,300 digits


class _Repr(reprlib.Repr):
    """Representations of a bounded length and depth: what a file holds may be nested, or long, without end."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 200
        self.maxdict = self.maxlist = self.maxtuple = 16

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= _LONG else f"an integer of {x.bit_length()} bits"


_REPR = _Repr()


def shown(value: object) -> str:
    """What messages write for a value that may be anything: its ``repr``, cut where it is long or deeply nested."""
    return _REPR.repr(value)


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Puts ``what: `` in front of the messages of the checks in its block."""
    try:
        yield
    except (InvalidTypeError, InvalidValueError) as error:
        raise type(error)(f"{what}: {error}") from None


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
        raise InvalidTypeError(f"{what} must be {wanted}, not {shown(value)}") from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise InvalidValueError(f"{what} must be {wanted}, not {shown(number)}")
    return number


def check_size(value: object, what: str, *, low: int) -> int:
    """A Python ``int`` from ``low`` to :data:`MAX_ELEMENTS`: a side, a distance or a number of elements.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If it is no integer, or out of range.
    """
    number = check_integer(value, what, low=low)
    if number > MAX_ELEMENTS:
        raise InvalidValueError(f"{what} must be below 2^31, not {shown(number)}")
    return number


def check_elements(shape: Sequence[int], what: str) -> None:
    """:exc:`ValueError` if an array of that shape has more than :data:`MAX_ELEMENTS` elements, sides of 0 left out."""
    elements = 1
    for side in shape:  # step by step: the product of a long list would take long
        elements *= max(side, 1)
        if elements > MAX_ELEMENTS:
            raise InvalidValueError(f"{what} must have fewer than 2^31 elements, not the shape {shown(tuple(shape))}")


def check_pair(value: object, what: str, *, low: int) -> tuple[int, int]:
    """``(vertical, horizontal)`` from one size for both or from two."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidValueError(f"{what} must be one integer or two, not {len(value)}")
        return check_size(value[0], what, low=low), check_size(value[1], what, low=low)
    number = check_size(value, what, low=low)
    return number, number


def as_array(value: Any, what: str) -> np.ndarray:
    """An array of a user's value, without a copy where it is one.

    Raises
    ------
    :exc:`ValueError`
        If it is none, as rows of different lengths are.
    """
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValueError(f"{what} must be an array: {error}") from None


def check_batch(array: np.ndarray, shape: tuple[int, ...]) -> None:
    """:exc:`ValueError` unless ``array`` has the shape (batch, \\*shape)."""
    if array.shape[1:] != shape or array.ndim != len(shape) + 1:
        wanted = ", ".join(["batch", *map(str, shape)])
        hint = ": add a batch axis in front" if array.shape == shape else ""
        raise InvalidValueError(f"input must have shape ({wanted}), not {array.shape}{hint}")


def check_finite(array: np.ndarray, what: str) -> None:
    """:exc:`ValueError` with the first value that is infinite or not a number, and its index."""
    finite = np.isfinite(array)
    if not finite.all():
        index = np.unravel_index(int(np.argmin(finite)), array.shape)
        place = f" at {describe_index([int(i) for i in index])}" if array.ndim else ""
        raise InvalidValueError(f"{what} must be finite, not {array[index]}{place}")


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
    array = as_array(value, what)
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
