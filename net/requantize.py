"""Requantizations: from accumulators to activation codes without a multiplier (docs/arithmetic.md, rules 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sterna.net.arithmetic import rounding_term
from sterna.net.checks import check_array, read_only, shown
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.immutable import Immutable
from sterna.net.types import ActivationType

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1
MAX_SHIFT = 31


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds(Immutable):
    """``y = y_min + #{k : acc >= levels[c, k]}``.

    Equal levels are legal: they skip a code. So are levels that no accumulator reaches.

    Parameters
    ----------
    output : :class:`ActivationType`
        Type of y, of w bits.
    levels : int32, (channels, 2^w - 1), non-decreasing along axis 1
        Any integer dtype is taken; a read-only int32 copy is kept.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If ``levels`` are no int32 integers of that shape and order.
    """

    output: ActivationType
    levels: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        _check_output(self.output)
        levels = check_array(self.levels, "levels", dtype=np.int32, low=INT32_MIN, high=INT32_MAX)
        count = (1 << self.output.width) - 1
        if levels.ndim != 2 or levels.shape[0] < 1 or levels.shape[1] != count:
            raise InvalidValueError(f"levels for {self.output} must have shape (channels, {count}), not {levels.shape}")
        falls = levels[:, 1:] < levels[:, :-1]
        if falls.any():
            channel, k = divmod(int(np.argmax(falls)), count - 1)
            raise InvalidValueError(
                f"levels must not decrease within a channel, but {levels[channel, k]} is followed by "
                f"{levels[channel, k + 1]} at [{channel}, {k + 1}]"
            )
        object.__setattr__(self, "levels", levels)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.levels.shape[0])

    def for_channels(self, channels: int, node: str) -> Thresholds:
        """Itself, if it is made for so many channels; :exc:`ValueError` naming the node otherwise."""
        if channels != self.channels:
            raise InvalidValueError(f"node '{node}' has {channels} channels, but its requantize has {self.channels}")
        return self


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftRound(Immutable):
    """``y = clamp((acc + bias + 2^(shift - 1)) >> shift)``; shift 0 adds no rounding term.

    Parameters
    ----------
    output : :class:`ActivationType`
        Type of y; the clamp is to its range.
    bias : int32, (channels,), or one for the layer
        Any integer dtype is taken; a read-only int32 copy is kept.
    shift : 0 to 31, (channels,), or one for the layer
        Likewise. The node that carries it spreads one for the layer over its channels.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If ``bias`` and ``shift`` are no integers of those ranges and of one length.
    """

    output: ActivationType
    bias: np.ndarray = field(repr=False)
    shift: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        _check_output(self.output)
        bias = check_array(self.bias, "bias", dtype=np.int32, low=INT32_MIN, high=INT32_MAX)
        shift = check_array(self.shift, "shift", dtype=np.int32, low=0, high=MAX_SHIFT)
        for what, array in (("bias", bias), ("shift", shift)):
            if array.ndim > 1 or array.size < 1:
                raise InvalidValueError(f"{what} must be one integer or have shape (channels,), not {array.shape}")
        if bias.ndim and shift.ndim and len(bias) != len(shift):
            raise InvalidValueError(f"bias and shift must have one length, not {len(bias)} and {len(shift)}")
        if bias.ndim != shift.ndim:
            channels = max(bias.size, shift.size)
            bias, shift = _spread(bias, channels), _spread(shift, channels)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "shift", shift)

    @property
    def channels(self) -> int | None:
        """Number of channels, ``None`` while one bias and shift serve a layer of any."""
        return len(self.bias) if self.bias.ndim else None

    @property
    def offset(self) -> np.ndarray:
        """What is added to the accumulator before the shift: bias and rounding term; int64, the shape of ``bias``."""
        return self.bias + rounding_term(self.shift)

    def for_channels(self, channels: int, node: str) -> ShiftRound:
        """The same with one bias and shift a channel; :exc:`ValueError` naming the node if it has other channels."""
        if self.channels is None:
            return ShiftRound(
                output=self.output, bias=_spread(self.bias, channels), shift=_spread(self.shift, channels)
            )
        if channels != self.channels:
            raise InvalidValueError(f"node '{node}' has {channels} channels, but its requantize has {self.channels}")
        return self


Requantization = Thresholds | ShiftRound


def _check_output(output: object) -> None:
    if not isinstance(output, ActivationType):
        raise InvalidTypeError(f"output must be an ActivationType, not {shown(output)}")


def _spread(values: np.ndarray, channels: int) -> np.ndarray:
    return values if values.ndim else read_only(np.full(channels, values), values.dtype)
