"""The network's input: from real values to codes (docs/arithmetic.md, rule 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sterna.net.arithmetic import quantize_input
from sterna.net.checks import as_array, check_batch, check_elements, check_finite, check_integer, check_size, shown
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.immutable import Immutable
from sterna.net.types import ActivationType
from sterna.net.windows import Shape


@dataclass(frozen=True, kw_only=True)
class InputRule(Immutable):
    """``code = clamp(round((x * gain + offset) / scale))``, in float64, halves to even, clamped to ``range`` (rule 2).

    Parameters
    ----------
    shape : tuple of :class:`int`
        (features,) or (channels, height, width).
    type : :class:`ActivationType`
        Type of the codes.
    scale : :class:`float`
        Real value of one step of the code; positive.
    range : (low, high), or empty for that of ``type``
        Smallest and largest code that a real value becomes, within ``type``. Codes that are given as such may be any.
    gain, offset : finite floats, one for all or one a channel (of (features,): one a feature)
        Preprocessing. Kept as tuples, of one number where all channels have the same.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a value is not as said; the message calls it as :class:`~sterna.net.Network` does, ``input_gain``.
    """

    shape: Shape
    type: ActivationType
    scale: float
    range: tuple[int, ...] = ()
    gain: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _check_shape(self.shape))
        if not isinstance(self.type, ActivationType):
            raise InvalidTypeError(f"input_type must be an ActivationType, not {shown(self.type)}")
        object.__setattr__(self, "scale", _check_scale(self.scale))
        object.__setattr__(self, "range", _check_range(self.range, self.type))
        for what in ("gain", "offset"):
            values = _check_channels(getattr(self, what), f"input_{what}", self.shape[0])
            object.__setattr__(self, what, values)

    @property
    def is_plain(self) -> bool:
        """Whether codes are ``clamp(round(x / scale))`` over all codes of ``type``, as before version 3 of the file."""
        return self.range == (self.type.min, self.type.max) and self.gain == (1.0,) and self.offset == (0.0,)

    def quantize(self, x: npt.ArrayLike) -> np.ndarray:
        """Codes of real inputs.

        Parameters
        ----------
        x : finite reals, (batch, \\*shape)
            Converted to float64 first.

        Returns
        -------
        int64, (batch, \\*shape)
            Codes in ``range``.

        Raises
        ------
        :exc:`TypeError`, :exc:`ValueError`
            If ``x`` has the wrong kind or shape, or a value is NaN or infinite.
        """
        array = as_array(x, "input")
        check_batch(array, self.shape)
        along = (-1, *[1] * (len(self.shape) - 1))
        gain, offset = (np.array(values).reshape(along) for values in (self.gain, self.offset))
        low, high = self.range
        return quantize_input(array, self.scale, self.type, range=(low, high), gain=gain, offset=offset)


def _check_shape(shape: object) -> Shape:
    if not isinstance(shape, (tuple, list)):
        raise InvalidTypeError(f"input_shape must be a tuple of integers, not {shown(shape)}")
    if len(shape) not in (1, 3):
        raise InvalidValueError(
            f"input_shape must be (features,) or (channels, height, width), not {shown(tuple(shape))}"
        )
    sizes = tuple(check_size(size, "input_shape", low=1) for size in shape)
    check_elements(sizes, "the input")
    return sizes


def _check_scale(scale: object) -> float:
    if isinstance(scale, bool) or not isinstance(scale, (int, float, np.integer, np.floating)):
        raise InvalidTypeError(f"input_scale must be a positive number, not {shown(scale)}")
    try:
        number = float(scale)
    except OverflowError:
        raise InvalidValueError(f"input_scale must fit a float, not {shown(scale)}") from None
    if not (math.isfinite(number) and number > 0):
        raise InvalidValueError(f"input_scale must be a positive number, not {scale}")
    return number


def _check_range(range: object, type: ActivationType) -> tuple[int, int]:
    if range == ():
        return type.min, type.max
    if not isinstance(range, (tuple, list)):
        raise InvalidTypeError(f"input_range must be (low, high) or None, not {shown(range)}")
    if len(range) != 2:
        raise InvalidValueError(f"input_range must be two integers, not {len(range)}")
    low, high = (check_integer(code, "input_range", low=type.min, high=type.max) for code in range)
    if low >= high:
        raise InvalidValueError(f"input_range must rise, but {low} is followed by {high}")
    return low, high


def _check_channels(values: npt.ArrayLike | Sequence[float], what: str, channels: int) -> tuple[float, ...]:
    """One finite float for all channels, or one each; ``-0.0`` is 0."""
    array = as_array(values, what)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InvalidTypeError(f"{what} must be numbers, not {shown(values)}")
    if array.ndim > 1 or array.size not in (1, channels):
        raise InvalidValueError(f"{what} must be one number, or one for each of {channels} channels, not {array.shape}")
    array = array.astype(np.float64) + 0.0
    check_finite(array, what)
    numbers = tuple(array.reshape(-1).tolist())
    return numbers[:1] if len(set(numbers)) == 1 else numbers
