"""Matrices drawn at a given share of the most frequent value, entropy and number of groups a row.

Elements are independent, with one distribution for all layers of a network: 0 has the share p0, and the other values q,
−63 to 63, those of a symmetric uniform quantization to 7 bits, have

    P(q) = (1 − p0) (1 + (q / scale)² / freedom)^(−(freedom + 1) / 2) / Z

Student's t distribution beside a share of zeros of its own. ``scale`` is solved for the entropy, and the degrees of
``freedom`` (1: Cauchy, many: normal) for the mean number of groups of all rows, which are as long as the layers' are.
A mean over rows is what the storage formulas multiply by the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from architectures import Layer
from scipy.optimize import brentq

from sterna.net.cost import MatrixStatistics

TOP = 63
VALUES = np.arange(-TOP, TOP + 1)
_FREEDOM = np.geomspace(1, 1e4, 81)  # of the search
_SCALES = (0.1, 1e4)
_CHUNK = 1 << 22  # elements drawn or counted at a time


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a network's matrices shall have.

    Members
    -------
    p0 : :class:`float`
        Share of the most frequent value, 0.
    entropy : :class:`float`
        Bits an element.
    groups : :class:`float`
        Mean groups a row, over all rows.
    """

    p0: float
    entropy: float
    groups: float


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A distribution over :data:`VALUES`.

    Members
    -------
    scale, freedom : :class:`float`
    shares : float64, (127,)
    """

    scale: float
    freedom: float
    shares: np.ndarray

    @property
    def entropy(self) -> float:
        """Bits an element."""
        shares = self.shares[self.shares > 0]
        return float(-(shares * np.log2(shares)).sum())

    def expected_groups(self, layers: Sequence[Layer]) -> float:
        """Expected number of values but 0 in a row, mean over all rows of the layers."""
        kept = np.delete(self.shares, TOP)
        found = sum(layer.rows * float(-np.expm1(layer.columns * np.log1p(-kept)).sum()) for layer in layers)
        return found / sum(layer.rows for layer in layers)


def distribution(p0: float, scale: float, freedom: float) -> Distribution:
    """The distribution of those parameters."""
    exponents = -(freedom + 1) / 2 * np.log1p((VALUES / scale) ** 2 / freedom)
    shares = np.exp(exponents - exponents[TOP + 1])
    shares[TOP] = 0
    shares *= (1 - p0) / shares.sum()
    shares[TOP] = p0
    return Distribution(scale=scale, freedom=freedom, shares=shares)


def with_entropy(p0: float, entropy: float, freedom: float) -> Distribution:
    """The distribution with that entropy: a larger scale spreads it."""

    def excess(log_scale: float) -> float:
        return distribution(p0, np.exp(log_scale), freedom).entropy - entropy

    return distribution(p0, float(np.exp(brentq(excess, *np.log(_SCALES), xtol=1e-12))), freedom)


def _reaches(p0: float, entropy: float, freedom: float) -> bool:
    """Whether a scale gives that entropy: heavy tails have more from the start."""
    least, most = (distribution(p0, scale, freedom).entropy for scale in _SCALES)
    return least < entropy < most


def solve(wanted: Wanted, layers: Sequence[Layer]) -> Distribution:
    """The distribution with that p0 and entropy whose expected groups a row on those layers are the wanted ones.

    Raises
    ------
    :exc:`ValueError`
        If there is none: the message says what cannot be reached.
    """

    def excess(freedom: float) -> float:
        return with_entropy(wanted.p0, wanted.entropy, freedom).expected_groups(layers) - wanted.groups

    searched = [freedom for freedom in _FREEDOM if _reaches(wanted.p0, wanted.entropy, freedom)]
    if not searched:
        raise ValueError(f"an entropy of {wanted.entropy} bits cannot be reached with a share of {wanted.p0} of zeros")
    most, fewest = excess(searched[0]), excess(searched[-1])
    if not fewest < 0 < most:
        reached = f"{fewest + wanted.groups:.1f} to {most + wanted.groups:.1f}"
        raise ValueError(f"{wanted.groups} groups a row cannot be reached, only {reached}")
    found = with_entropy(wanted.p0, wanted.entropy, brentq(excess, searched[0], searched[-1], xtol=1e-9))
    if found.shares.argmax() != TOP:
        raise ValueError(f"with a share of {wanted.p0}, 0 is not the most frequent value")
    return found


def draw(shares: np.ndarray, rows: int, columns: int, seed: Sequence[int]) -> np.ndarray:
    """Independent elements of that distribution: int8, (rows, columns)."""
    rng = np.random.default_rng(list(seed))
    bounds = np.cumsum(shares)[:-1]
    flat = np.empty(rows * columns, dtype=np.int8)
    for start in range(0, flat.size, _CHUNK):
        part = flat[start : start + _CHUNK]
        part[:] = np.searchsorted(bounds, rng.random(part.size), side="right") - TOP
    return flat.reshape(rows, columns)


def statistics(matrix: np.ndarray) -> tuple[MatrixStatistics, int]:
    """What :func:`sterna.net.cost.matrix_statistics` says of an int8 matrix, and its most frequent value.

    A second way to the same numbers: values are counted row by row, and not sorted, which takes less memory.
    """
    rows, columns = matrix.shape
    histograms = np.concatenate(list(_histograms(matrix)))
    counts = histograms.sum(axis=0, dtype=np.int64)
    values = np.arange(-128, 128)
    order = np.lexsort((values, values != 0, -counts))[: np.count_nonzero(counts)]
    present = histograms[:, order] > 0
    present[:, 0] = False
    last = np.where(present.any(axis=1), len(order) - 1 - present[:, ::-1].argmax(axis=1), 0)
    groups = int(np.count_nonzero(present))
    shares = counts[order] / matrix.size
    found = MatrixStatistics(
        rows=rows,
        columns=columns,
        values=len(order),
        kept=int(matrix.size - counts[order[0]]),
        entropy=float(-(shares * np.log2(shares)).sum()) + 0.0,
        min_entropy=float(-np.log2(shares[0])) + 0.0,
        most_frequent_share=float(shares[0]),
        groups=groups,
        empty_groups=int(last.sum()) - groups,
    )
    return found, int(values[order[0]])


def _histograms(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """How often each row has each value from −128 on: int32, (rows, 256), some rows at a time."""
    step = max(1, _CHUNK // max(matrix.shape[1], 1))
    for start in range(0, len(matrix), step):
        part = matrix[start : start + step]
        places = np.arange(len(part))[:, None] * 256 + 128 + part
        yield np.bincount(places.ravel(), minlength=256 * len(part)).reshape(-1, 256).astype(np.int32)
