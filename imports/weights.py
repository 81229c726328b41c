"""Weights of other people's networks as -1, 0 and +1, times a scale for each output channel."""

from __future__ import annotations

import numpy as np

from sterna.imports.errors import NodeRefused

_SHOWN = 9  # values that a histogram shows


def ternary(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signs and scales of weights.

    Parameters
    ----------
    weights : floats, (out, ...)

    Returns
    -------
    signs : int8, -1, 0 or +1, the shape of ``weights``
    scales : the dtype of ``weights``, (out,)
        Positive; 1 for a channel of zeros.

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
    if not ((magnitudes == 0) | (magnitudes == scales[:, None])).all():
        raise NodeRefused(f"its weights are not -1, 0 and +1 times a scale: {_histogram(flat)}; train ternary weights")
    return np.sign(weights).astype(np.int8), np.where(scales > 0, scales, 1).astype(weights.dtype)


def _histogram(flat: np.ndarray) -> str:
    """How often each value is there, in steps of the smallest magnitude where all are multiples of it."""
    nonzero = np.abs(flat[flat != 0])
    smallest = nonzero.min()
    steps = flat / smallest
    if np.abs(steps - np.rint(steps)).max() < 1e-3 and np.abs(steps).max() < 1 << 15:
        values, counts = np.unique(np.rint(steps).astype(int), return_counts=True)
        unit = f" (steps of {smallest:g})"
    else:
        values, counts = np.unique(flat, return_counts=True)
        unit = ""
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
