"""Requantization as the hardware rounds: arithmetic of its own, which the golden model does not share."""

from __future__ import annotations

import numpy as np

from sterna.net import Requantization, ShiftRound


def rounded_bias(requantize: ShiftRound) -> np.ndarray:
    """int64, (channels,): the bias, and half of what the shift divides by (docs/arithmetic.md, ShiftRound)."""
    shift = requantize.shift.astype(np.int64)
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return requantize.bias.astype(np.int64) + half


def codes_of(requantize: Requantization, sums: np.ndarray) -> np.ndarray:
    """Codes of one sum a channel.

    Parameters
    ----------
    sums : int64, (channels,)

    Returns
    -------
    int64, (channels,)
    """
    output = requantize.output
    if isinstance(requantize, ShiftRound):
        shifted = (sums + rounded_bias(requantize)) >> requantize.shift.astype(np.int64)
        return np.minimum(np.maximum(shifted, output.min), output.max)
    reached = requantize.levels.astype(np.int64) <= sums[:, None]
    return output.min + reached.sum(axis=1)
