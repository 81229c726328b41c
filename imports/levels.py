"""Thresholds of a function from exact sums to codes, read off over the whole range of the sums, and its ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Step, run
from sterna.imports.recognize import Quantizer
from sterna.net import ActivationType
from sterna.net.nodes import Bounds

_VALUES = 1 << 21  # sums that are evaluated at a time
_MOST = 1 << 31  # sums of one layer: a minute's work
#: Of the largest value on the way: eight steps of float32, what a few operations in another order may change.
FLOAT32_ERROR = 2.0**-21


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """A layer's function from sums to codes, as levels.

    Parameters
    ----------
    levels : int64, (channels, 2^width - 1)
        As :class:`~sterna.net.Thresholds` has them, for sums of flipped channels negated.
    earliest, latest : int64, the same
        Where float32 may put them.
    flipped : bool, (channels,)
        Whether codes fall with the sum: the channel's weights are to be negated.
    constant : bool, (channels,)
        Whether the code is the same for all sums.
    ties : int
        Sums of all channels at which float32 may give another code.
    """

    levels: np.ndarray
    earliest: np.ndarray
    latest: np.ndarray
    flipped: np.ndarray
    constant: np.ndarray
    ties: int


def find_levels(
    steps: Sequence[Step],
    before: Sequence[Step] | None,
    quantizer: Quantizer,
    output: ActivationType,
    bounds: Bounds,
    slack: float,
    *,
    stride: int = 1,
    start: int = 0,
) -> Levels:
    """The levels of ``quantizer`` behind ``steps``, for every sum from ``bounds[0]`` to ``bounds[1]``.

    Parameters
    ----------
    steps : sequence of Step
        From the sum to what is quantized.
    before : sequence of Step, or None
        From the sum to what a maximum is taken of, where a pool stands among the steps.
    quantizer : Quantizer
    output : ActivationType
        Of the codes.
    bounds : (low, high), int64, (channels,) each
    slack : float
        By how much of a step the original's sum may be off.
    stride, start : int
        A code is worth ``stride * code + start`` of the quantizer's integers.

    Raises
    ------
    NodeRefused
        If codes both rise and fall with a channel's sum, or with what a maximum is taken of.
    """
    low, high = (np.asarray(bound, dtype=np.int64)[:, None] for bound in bounds)
    base, end = int(low.min()), int(high.max())
    if (end - base + 1) * len(low) > _MOST:
        raise NodeRefused(f"its sums take {end - base + 1} values in {len(low)} channels, too many to evaluate each")
    found = _Counts(len(low), output)
    samples = max(2, _VALUES // len(low))
    for first in range(base, end + 1, samples):
        sums = np.clip(np.arange(first, min(first + samples, end + 1)), low, high)
        nominal, lowest, highest = _codes(steps, quantizer, sums, slack)
        compared = nominal if before is None else run(before, sums.astype(np.float64))[0]
        codes = [(part.astype(np.int64) - start) // stride - output.min for part in (nominal, lowest, highest)]
        found.add(codes, compared, ties=(lowest != highest) & (low < high))
    return found.levels(low, high, base, end)


def _codes(
    steps: Sequence[Step], quantizer: Quantizer, sums: np.ndarray, slack: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integers of sums: as float64 gives them, and the smallest and largest that float32 may give."""
    with np.errstate(all="ignore"):
        exact, largest = run(steps, sums.astype(np.float64))
        single = run(steps, sums.astype(np.float32))[0]
        nominal = quantizer.function(exact)
        others = [nominal, quantizer.function(single).astype(np.float64)]
        rounded = single != exact
        if rounded.any():
            reach = np.where(rounded, FLOAT32_ERROR * largest, 0)
            others += [quantizer.function(exact - reach), quantizer.function(exact + reach)]
        if slack:
            others += [quantizer.function(run(steps, sums + sign * slack)[0]) for sign in (-1, 1)]
    if not np.isfinite(nominal).all():
        raise NodeRefused("its codes are not finite: a gain, a scale or a variance is out of range")
    return nominal, np.minimum.reduce(others), np.maximum.reduce(others)


class _Counts:
    """How many sums of each channel have each code; for a rising or falling function, that is where its levels are."""

    def __init__(self, channels: int, output: ActivationType) -> None:
        self._size = 1 << output.width
        self._counts = np.zeros((3, channels, self._size), dtype=np.int64)
        self._rises = np.zeros(channels, dtype=bool)
        self._falls = np.zeros(channels, dtype=bool)
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._ties = 0

    def add(self, codes: Sequence[np.ndarray], compared: np.ndarray, ties: np.ndarray) -> None:
        """More samples, that follow the ones before: codes (nominal, lowest, highest), and what they must rise with."""
        self._ties += int(ties.sum())
        channels = np.arange(len(compared))[:, None] * self._size
        for count, part in zip(self._counts, codes, strict=True):
            places = channels + np.clip(part, 0, self._size - 1)
            count += np.bincount(places.ravel(), minlength=count.size).reshape(count.shape)
        nominal = codes[0]
        if self._last is not None:
            nominal = np.concatenate([self._last[0], nominal], axis=1)
            compared = np.concatenate([self._last[1], compared], axis=1)
        self._last = nominal[:, -1:], compared[:, -1:]
        steps, directions = np.diff(nominal, axis=1), np.sign(np.diff(compared, axis=1))
        self._rises |= (steps > 0).any(axis=1)
        self._falls |= (steps < 0).any(axis=1)
        if (steps * directions < 0).any():
            channel = int(np.argmax((steps * directions < 0).any(axis=1)))
            raise NodeRefused(
                f"codes of channel {channel} fall with what the pool before takes the maximum of: swap both, or keep "
                "the gain positive"
            )

    def levels(self, low: np.ndarray, high: np.ndarray, base: int, end: int) -> Levels:
        """The levels of all sums from ``base`` to ``end``; those beyond a channel's own ends have its end's code."""
        if (self._rises & self._falls).any():
            channel = int(np.argmax(self._rises & self._falls))
            raise NodeRefused(f"codes of channel {channel} both rise and fall with its sum; only monotone ones fold")
        falls = self._falls[:, None]
        first, last = np.where(falls, -high, low), np.where(falls, -low, high)
        start = np.where(falls, -end, base)
        below = np.cumsum(self._counts, axis=2)[:, :, :-1]
        nominal, latest, earliest = np.clip(start + below, first, last + 1)
        return Levels(
            levels=nominal, earliest=earliest, latest=latest, flipped=self._falls,
            constant=~(self._rises | self._falls), ties=self._ties,
        )  # fmt: skip
