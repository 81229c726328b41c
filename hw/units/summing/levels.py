"""Thresholds of sums: how many a sum reaches, and how many have to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Cat, Mux, Value

from sterna.hw.units.summing.layer import SumLayer
from sterna.net import Thresholds


def count_reached(reached: Sequence[Value]) -> Value:
    """How many of 2^n - 1 levels in rising order are reached, n bits: a binary search."""
    if len(reached) == 1:
        return Cat(reached[0])
    half = len(reached) // 2
    below, above = count_reached(reached[:half]), count_reached(reached[half + 1 :])
    return Cat(Mux(reached[half], above, below), reached[half])


def compared_levels(layer: SumLayer) -> np.ndarray:
    """Of each row, different thresholds that some of its sums reach, and some do not; int64, (rows,)."""
    if not isinstance(layer.requantize, Thresholds):
        return np.zeros(len(layer.weights), np.int64)
    low, high = layer.bounds
    levels = layer.requantize.levels.astype(np.int64) - layer.offset[:, None]
    compared = (low[:, None] < levels) & (levels <= high[:, None])
    return np.array([len(np.unique(row[some])) for row, some in zip(levels, compared, strict=True)], np.int64)
