"""Stall patterns: when a source offers no beat, or a sink is not ready. One bit a cycle, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sterna.net.errors import InvalidTypeError, InvalidValueError


class Stall(Protocol):
    """A pattern of stalled cycles."""

    def cycles(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """``bool, (count,)``: whether each cycle is stalled; at least one is not."""


def _share(value: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InvalidTypeError(f"{what} must be a number, not {value!r}")
    if not 0 <= value < 1:
        raise InvalidValueError(f"{what} must be at least 0 and below 1, not {value}")
    return float(value)


def _positive(value: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidTypeError(f"{what} must be a positive integer, not {value!r}")
    if value < 1:
        raise InvalidValueError(f"{what} must be a positive integer, not {value}")
    return int(value)


@dataclass(frozen=True, kw_only=True)
class RandomStall:
    """Each cycle stalls by itself.

    Parameters
    ----------
    share : :class:`float`
        Probability of a stall, at least 0 and below 1.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", _share(self.share, "share"))

    def cycles(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """See :class:`Stall`."""
        stalled: np.ndarray = rng.random(count) < self.share
        return _some_free(stalled)


@dataclass(frozen=True, kw_only=True)
class BurstStall:
    """Runs of free cycles and runs of stalls take turns; both lengths are geometric.

    Parameters
    ----------
    free, stalled : :class:`int`
        Mean lengths, in cycles.
    """

    free: int = 16
    stalled: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", _positive(self.free, "free"))
        object.__setattr__(self, "stalled", _positive(self.stalled, "stalled"))

    def cycles(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """See :class:`Stall`."""
        lengths = np.empty(count + 2, dtype=np.int64)
        lengths[0::2] = rng.geometric(1 / self.free, len(lengths[0::2]))
        lengths[1::2] = rng.geometric(1 / self.stalled, len(lengths[1::2]))
        first = int(rng.integers(2))
        turns = (np.arange(len(lengths)) % 2).astype(bool)
        return _some_free(np.repeat(turns[first:], lengths[first:])[:count])


@dataclass(frozen=True, kw_only=True)
class PeriodicStall:
    """The same cycles of every period stall.

    Parameters
    ----------
    period : :class:`int`
        Cycles.
    stalled : :class:`int`
        How many of them stall, fewer than ``period``.
    phase : :class:`int`
        Free cycles before the first stall.
    """

    period: int
    stalled: int = 1
    phase: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", _positive(self.period, "period"))
        object.__setattr__(self, "stalled", _positive(self.stalled, "stalled"))
        if self.stalled >= self.period:
            raise InvalidValueError(f"{self.stalled} stalled cycles leave none free in a period of {self.period}")
        if not isinstance(self.phase, int) or self.phase < 0:
            raise InvalidValueError(f"phase must be a non-negative integer, not {self.phase!r}")

    def cycles(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """See :class:`Stall`."""
        stalled: np.ndarray = (np.arange(count) - self.phase) % self.period < self.stalled
        return stalled


def _some_free(stalled: np.ndarray) -> np.ndarray:
    if stalled.all():
        stalled[-1] = False
    return stalled
