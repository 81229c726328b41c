"""Sums and requantization as hardware has them: arithmetic of its own, which the golden model does not share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from sterna.net import ActivationType, Requantization, ShiftRound, Thresholds

L = TypeVar("L", bound=Any)


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


def sum_bounds(weights: np.ndarray, input_type: ActivationType) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sum that each row can have; int64, (rows,).

    Every type has the code 0, so that the same bounds hold where padding takes the place of some inputs.
    """
    plus = np.count_nonzero(weights > 0, axis=1).astype(np.int64)
    minus = np.count_nonzero(weights < 0, axis=1).astype(np.int64)
    return plus * input_type.min - minus * input_type.max, plus * input_type.max - minus * input_type.min


def select(requantize: Requantization | None, rows: np.ndarray) -> Requantization | None:
    """The requantization of some rows, in a new order."""
    if isinstance(requantize, Thresholds):
        return Thresholds(output=requantize.output, levels=requantize.levels[rows])
    if isinstance(requantize, ShiftRound):
        return ShiftRound(output=requantize.output, bias=requantize.bias[rows], shift=requantize.shift[rows])
    return None


def in_order(layer: L, order: Sequence[int]) -> L:
    """A layer of sums with its output channels in an order.

    Parameters
    ----------
    layer
        Dataclass with ``channels``, ``weights`` (by output channel first), ``offset`` and ``requantize``.
    order : sequence of int
        All its channels.
    """
    place = {int(channel): k for k, channel in enumerate(layer.channels)}
    rows = np.array([place[channel] for channel in order])
    ordered: L = replace(
        layer,
        channels=layer.channels[rows],
        weights=layer.weights[rows],
        offset=layer.offset[rows],
        requantize=select(layer.requantize, rows),
    )
    return ordered
