"""The integer rules of docs/arithmetic.md as functions on numpy arrays.

Every function is vectorized, takes integers and gives int64. Hardware and training follow these rules, never the other
way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sterna.net.checks import as_array, check_batch, describe_index
from sterna.net.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from sterna.net.types import ActivationType, ValueType

#: Levels of a channel up to which counting is faster than bisection.
_FEW_LEVELS = 3


def bits_for_range(low: int, high: int) -> int:
    """Bits that hold every integer from ``low`` to ``high``, at least 1.

    Two's complement where ``low`` is negative, unsigned otherwise.
    """
    if low > high:
        raise InvalidValueError(f"low must not exceed high, but {low} is above {high}")
    if low >= 0:
        return max(1, int(high).bit_length())
    return 1 + max(int(high).bit_length() if high >= 0 else 0, int(~low).bit_length())


def clamp(x: np.ndarray, type: ValueType) -> np.ndarray:
    """``min(max(x, type.min), type.max)``, int64."""
    return np.clip(np.asarray(x, dtype=np.int64), type.min, type.max)


def quantize_input(
    x: npt.ArrayLike,
    scale: float,
    type: ActivationType,
    *,
    range: tuple[int, int] | None = None,
    gain: float | np.ndarray = 1.0,
    offset: float | np.ndarray = 0.0,
) -> np.ndarray:
    """Codes of real inputs: ``clamp(round((x * gain + offset) / scale))``, halves to even (rule 2).

    :meth:`sterna.net.Network.quantize` calls it with all that a network says of its input.

    Parameters
    ----------
    x : finite reals, any shape
        Converted to float64 first.
    scale : :class:`float`
        Real value of one step of the code, positive.
    type : :class:`ActivationType`
        Type of the codes.
    range : (low, high), or ``None`` for that of ``type``
        Codes are clamped to it.
    gain, offset : finite float64, broadcast with ``x``
        Preprocessing.

    Raises
    ------
    :exc:`TypeError`
        If ``x`` does not hold real numbers.
    :exc:`ValueError`
        If a value is NaN or infinite.
    """
    array = as_array(x, "input")
    if array.dtype.kind not in "iuf":
        raise InvalidTypeError(f"input must be real numbers, not {array.dtype}")
    real = array.astype(np.float64)
    _refuse(~np.isfinite(real), array, "input must be finite")
    low, high = range or (type.min, type.max)
    with np.errstate(over="ignore"):  # what leaves float64 lies beyond every range, too
        steps = np.rint((real * gain + offset) / scale)
    return np.clip(steps, low, high).astype(np.int64)


def check_input(x: npt.ArrayLike, shape: tuple[int, ...], type: ActivationType) -> np.ndarray:
    """Codes that a network may take, as int64 of shape (batch, \\*shape); every ``predict`` calls this first.

    Parameters
    ----------
    x : integers of any dtype, or floats that are integral, (batch, \\*shape)
        Codes in the range of ``type``. The batch may be empty.
    shape : tuple of :class:`int`
        Shape of one input.
    type : :class:`ActivationType`
        Type of the network's input.

    Raises
    ------
    :exc:`TypeError`
        If ``x`` holds neither integers nor floats.
    :exc:`ValueError`
        If the shape is wrong, or a value is NaN, not integral, or out of range. The message gives the first such value
        and its index.
    """
    array = as_array(x, "input")
    if array.dtype.kind not in "iuf":
        raise InvalidTypeError(f"input must be integer codes, not {array.dtype}")
    check_batch(array, shape)
    if array.dtype.kind == "f":
        _refuse(np.isnan(array), array, "input must be integer codes")
        _refuse(np.isfinite(array) & (array != np.rint(array)), array, "input must be integer codes")
    _refuse((array < type.min) | (array > type.max), array, f"input codes must be {type.min} to {type.max} ({type})")
    return array.astype(np.int64)


def thresholds(acc: np.ndarray, levels: np.ndarray, y_min: int, axis: int = 1) -> np.ndarray:
    """``y = y_min + #{k : acc >= levels[c, k]}`` (rule 7), by bisection of the sorted levels in log2(K + 1) steps.

    Where there are few levels, they are counted.

    Parameters
    ----------
    acc : integers, C channels along ``axis``
        Accumulators.
    levels : integers, (C, K), K = 2^w - 1, non-decreasing along axis 1
        One row a channel.
    y_min : :class:`int`
        Smallest code of the output type.

    Returns
    -------
    int64, the shape of ``acc``
        Codes, y_min to y_min + K.
    """
    channels, count = levels.shape
    if count <= _FEW_LEVELS:
        codes = np.full(np.shape(acc), y_min, dtype=np.int64)
        for level in np.asarray(levels, dtype=np.int64).T:
            codes += acc >= _along(level, np.ndim(acc), axis)
        return codes
    flat = np.ascontiguousarray(levels, dtype=np.int64).reshape(-1)
    # `below` is the flat position of the channel's first level not known to be <= acc, less one step.
    below = np.empty(np.shape(acc), dtype=np.int64)
    below[...] = _along(np.arange(channels, dtype=np.int64) * count, np.ndim(acc), axis)
    first = below.copy()
    step = (count + 1) // 2
    while step:
        below += step * (acc >= flat.take(below + (step - 1)))
        step //= 2
    return below - first + y_min


def shift_round(
    acc: np.ndarray, bias: np.ndarray, shift: np.ndarray, type: ActivationType, axis: int = 1
) -> np.ndarray:
    """``y = clamp((acc + bias + 2^(shift - 1)) >> shift)``, arithmetic shift; shift 0 adds no rounding term (rule 8).

    Parameters
    ----------
    acc : integers, C channels along ``axis``
        Accumulators; the sum in brackets must fit int64, as every :class:`~sterna.net.Network` makes sure.
    bias, shift : integers, (C,), shift 0 to 31
        One of each a channel.
    type : :class:`ActivationType`
        Output type.

    Returns
    -------
    int64, the shape of ``acc``
        Codes of ``type``.
    """
    shift = np.asarray(shift, dtype=np.int64)
    offset = np.asarray(bias, dtype=np.int64) + rounding_term(shift)
    ndim = np.ndim(acc)
    total = np.asarray(acc, dtype=np.int64) + _along(offset, ndim, axis)
    return clamp(total >> _along(shift, ndim, axis), type)


def rounding_term(shift: np.ndarray) -> np.ndarray:
    """``2^(shift - 1)``, and 0 where ``shift`` is 0; int64."""
    return (np.int64(1) << np.asarray(shift, dtype=np.int64)) >> 1


def argmax(scores: np.ndarray) -> np.ndarray:
    """Index of the largest score along axis 1, the lowest among equals; int64, (batch,)."""
    return np.argmax(scores, axis=1).astype(np.int64)


def _along(values: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    shape = [1] * ndim
    shape[axis] = len(values)
    return values.reshape(shape)


def _refuse(wrong: np.ndarray, array: np.ndarray, rule: str) -> None:
    if wrong.any():
        index = np.unravel_index(int(np.argmax(wrong)), array.shape)
        raise InvalidValueError(f"{rule}, not {array[index]} at {describe_index([int(i) for i in index])}")
