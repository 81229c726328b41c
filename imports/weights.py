"""Weights of other people's networks as -1, 0 and +1, times a scale for each output channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sterna.imports.errors import NodeRefused

_SHOWN = 9  # values that a histogram shows
_ALIKE = 2.0**-21  # of a magnitude: what float32 may round it by, in a few operations


@dataclass(frozen=True, kw_only=True, eq=False)
class Ternary:
    """Weights -1, 0 and +1 times a scale.

    Parameters
    ----------
    signs : int8, (out, ...)
    scales : floats, (out,)
        Positive; a channel of zeros has that of the others.
    exact : bool
        Whether every weight is its sign times the scale, and not only but for float32's rounding.
    """

    signs: np.ndarray
    scales: np.ndarray
    exact: bool


def ternary(weights: np.ndarray) -> Ternary:
    """Signs and scales of weights.

    Parameters
    ----------
    weights : floats, (out, ...)

    Raises
    ------
    NodeRefused
        If a channel has nonzero weights of several magnitudes; the message has the histogram.
    """
    if weights.dtype.kind not in "fiu" or not weights.size or not np.isfinite(weights).all():
        raise NodeRefused("its weights must be finite numbers")
    flat = weights.reshape(len(weights), -1)
    magnitudes = np.abs(flat)
    scales = magnitudes.max(axis=1)
    apart = np.where(magnitudes == 0, 0, scales[:, None] - magnitudes)
    if (apart > _ALIKE * scales[:, None]).any():
        raise NodeRefused(f"its weights are not -1, 0 and +1 times a scale: {_histogram(flat)}; train ternary weights")
    others = scales[scales > 0]
    scales = np.where(scales > 0, scales, others[0] if others.size else 1).astype(weights.dtype)
    return Ternary(signs=np.sign(weights).astype(np.int8), scales=scales, exact=not apart.any())


def _histogram(flat: np.ndarray) -> str:
    """How often each value is there, in steps of the smallest magnitude, of the tensor or of each channel.

    Of these the one with fewer values is shown, where all are multiples of it, and else the values themselves.
    """
    magnitudes = np.where(flat == 0, np.inf, np.abs(flat))
    rows = magnitudes.min(axis=1, keepdims=True)
    values, counts = np.unique(flat + 0.0, return_counts=True)  # -0.0 is 0
    unit = ""
    for units in (np.full_like(rows, rows.min()), np.where(np.isfinite(rows), rows, rows.min())):
        steps = flat / units
        if np.abs(steps - np.rint(steps)).max() < 1e-3 and np.abs(steps).max() < 1 << 15:
            found, often = np.unique(np.rint(steps).astype(int), return_counts=True)
            if not unit or len(found) < len(values):
                values, counts = found, often
                low, high = units.min(), units.max()
                unit = f" (steps of {low:g})" if low == high else f" (steps of {low:g} to {high:g} by channel)"
    order = sorted(np.argsort(-counts, kind="stable")[:_SHOWN])
    text = ", ".join(f"{values[k]:g}: {counts[k]}" for k in order)
    return f"{len(values)} values{unit}, {text}{', ...' if len(values) > _SHOWN else ''}"


def lowest_bit(values: np.ndarray) -> float:
    """The largest power of two of which all values are multiples; infinity for zeros."""
    mantissas, exponents = np.frexp(values[values != 0].astype(np.float64))
    if not mantissas.size:
        return float("inf")
    whole = np.abs(mantissas * 2.0**53).astype(np.int64)
    bits = exponents - 53 + np.log2(whole & -whole).astype(int)
    return float(2.0 ** bits.min())
