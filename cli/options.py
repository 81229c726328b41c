"""Checks of options, whose messages name the option. Ranges of integers are Typer's own, so that --help shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from sterna.net.errors import SternaError

__all__ = ["MAX_SEED", "MAX_SEEDS", "naming", "within"]

#: The largest seed of frames and stalls.
MAX_SEED = 2**63 - 1
#: So often may be placed and routed.
MAX_SEEDS = 1000


@contextmanager
def naming(option: str) -> Iterator[None]:
    """What the block refuses is refused as that option's value."""
    try:
        yield
    except SternaError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None


def within(low: float, high: float) -> Callable[[float | None], float | None]:
    """A check that an option's number lies between ``low`` and ``high``, both included."""

    def check(value: float | None) -> float | None:
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            raise typer.BadParameter(f"must be a number from {low:g} to {high:g}, not {value}")
        return value

    return check
