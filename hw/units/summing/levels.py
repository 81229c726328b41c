"""How many thresholds a sum reaches."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Mux, Value


def count_reached(reached: Sequence[Value]) -> Value:
    """How many of 2^n - 1 levels in rising order are reached, n bits: a binary search."""
    if len(reached) == 1:
        return Cat(reached[0])
    half = len(reached) // 2
    below, above = count_reached(reached[:half]), count_reached(reached[half + 1 :])
    return Cat(Mux(reached[half], above, below), reached[half])
