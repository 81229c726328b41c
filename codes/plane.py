"""The plane of entropy and of the most frequent value's share: what each code costs at every place of it.

After Wiedemann, Müller and Samek 2018, who colored each place by the format that costs least for matrices drawn at
random. Here nothing is drawn: elements are independent, and what their codes cost is computed from the expected
numbers of groups (:func:`~sterna.net.cost.expected_statistics`). A place says p0 and H only; the other shares are
taken from :func:`distribution`, a choice of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import numpy as np

from sterna.codes.estimate import estimate
from sterna.codes.registry import CODES
from sterna.codes.report import CodeCost
from sterna.net.checks import check_integer
from sterna.net.cost import expected_statistics
from sterna.net.errors import InvalidValueError

MIN_VALUES, MAX_VALUES = 3, 4096  # with 2 values p0 fixes the entropy; many more take long
_EDGE = 1e-3  # least share of the other values: at p0 = 1 the plane is a point
_DECAYS = (1e-9, 1e3)  # of the exponential: between these, all shares are equal, or each is nothing beside the last
_HALVINGS = 60


class Measure(Enum):
    """What is compared."""

    STORAGE = "storage"  #: bits
    OPERATIONS = "operations"  #: multiplications, additions, reads and writes of one product with a vector
    ENERGY = "energy"  #: pJ of one product with a vector

    def of(self, cost: CodeCost) -> float:
        """The figure of one code."""
        if self is Measure.STORAGE:
            return cost.storage.bits
        return cost.operations.total if self is Measure.OPERATIONS else cost.energy.total


def entropy_limits(share: float, *, values: int) -> tuple[float, float]:
    """Least and greatest entropy of ``values`` values of which the most frequent has the given share, in bits.

    The greatest: all others alike. The least: as many as fit have the same share, one the remainder, the rest none.
    """
    if not 1 / values <= share <= 1:
        raise InvalidValueError(f"p0 must be from 1/{values} to 1, not {share:g}")
    greatest, least = _Family.of(share, values, np.array(_DECAYS)).entropies
    return float(least), float(greatest)


def distribution(share: float, entropy: float, *, values: int) -> np.ndarray:
    """Shares of ``values`` values with a given greatest share and entropy, not rising.

    An exponential cut off at the greatest share: p_i = min(p0, c·r^i), with r from 0 (the least entropy) to 1 (the
    greatest one), found by bisection.

    Parameters
    ----------
    share : p0, from 1 / values to 1
    entropy : within :func:`entropy_limits`, in bits

    Returns
    -------
    float64, (values,)

    Raises
    ------
    :exc:`ValueError`
        If there is no such distribution.
    """
    least, greatest = entropy_limits(share, values=values)
    if not least - 1e-9 <= entropy <= greatest + 1e-9:
        raise InvalidValueError(
            f"entropy must be from {least:.4f} to {greatest:.4f} bits where p0 is {share:g}, not {entropy:g}"
        )
    return _solve(share, values, np.array([entropy]))[0]


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Costs of codes between the limits of the plane, for one shape of matrix.

    Members
    -------
    rows, columns, values : :class:`int`
    shares : float64, (points,)
        p0, rising.
    entropies : float64, (points, points)
        Bits; a row of it a p0, rising from the least to the greatest entropy.
    costs : mapping from :class:`Measure` to mapping from a code's name to float64, (points, points)
        Bits, numbers of operations and pJ.
    """

    rows: int
    columns: int
    values: int
    shares: np.ndarray
    entropies: np.ndarray
    costs: Mapping[Measure, Mapping[str, np.ndarray]]

    def cheapest(self, measure: Measure, codes: Iterable[str] | None = None) -> np.ndarray:
        """Name of the code of those given that costs least, the first one of equals: (points, points)."""
        costs = self.costs[measure]
        names = list(costs if codes is None else codes)
        return np.array(names)[np.argmin([costs[name] for name in names], axis=0)]


def compute_plane(
    *, rows: int, columns: int, values: int, ternary: bool = False, tight: bool = False, points: int = 64
) -> Plane:
    """What all codes cost at ``points`` times ``points`` places between the limits of the plane.

    Parameters
    ----------
    rows, columns, values : :class:`int`
        Of the matrices, and the number K of their values, 3 to 4,096.
    ternary : :class:`bool`
        Whether the values are −1, 0 and 1: then base 3 takes part, and only dense multiplies.
    tight : :class:`bool`
        As :func:`matrix_costs` takes it.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a number is out of range.
    """
    rows, columns = check_integer(rows, "rows", low=1), check_integer(columns, "columns", low=1)
    values = check_integer(values, "values", low=MIN_VALUES, high=MAX_VALUES)
    points = check_integer(points, "points", low=2)
    if ternary and values != 3:
        raise InvalidValueError(f"a ternary matrix has 3 values, not {values}")
    codes = [code for code in CODES if ternary or code != "base3"]
    shares = np.linspace(1 / values, 1 - _EDGE, points)
    entropies = np.empty((points, points))
    costs = {measure: {code: np.empty((points, points)) for code in codes} for measure in Measure}
    for row, share in enumerate(shares):
        entropies[row] = np.linspace(*entropy_limits(share, values=values), points)
        for column, found in enumerate(_solve(share, values, entropies[row])):
            statistics = expected_statistics(found, rows=rows, columns=columns)
            for code in codes:
                cost = estimate(code, statistics, tight=tight, ternary=ternary)
                for measure in Measure:
                    costs[measure][code][row, column] = measure.of(cost)
    return Plane(
        rows=rows,
        columns=columns,
        values=values,
        shares=shares,
        entropies=entropies,
        costs=MappingProxyType({measure: MappingProxyType(costs[measure]) for measure in Measure}),
    )


@dataclass(frozen=True, kw_only=True)
class _Family:
    """Distributions of one p0 and several decays s, r = exp(−s).

    Members
    -------
    share : p0
    decays : float64, (count,)
    capped, others : int64, (count,)
        Numbers of further values with p0, and of those below, n.
    rest, tops : float64, (count,)
        The sum of those below, and the first of them, c·r^i.
    """

    share: float
    decays: np.ndarray
    capped: np.ndarray
    others: np.ndarray
    rest: np.ndarray
    tops: np.ndarray

    @classmethod
    def of(cls, share: float, values: int, decays: np.ndarray) -> _Family:
        """With the fewest capped values that keep all others below p0."""
        capped = np.arange(min(int(1 / share + 1e-9), values - 1))
        others = values - 1 - capped
        rest = np.maximum(1 - (capped + 1) * share, 0)
        tops = rest * np.expm1(-decays[:, None]) / np.expm1(-decays[:, None] * others)
        chosen = np.argmax(tops <= share * (1 + 1e-12), axis=1)
        tops = tops[np.arange(len(decays)), chosen]
        return cls(share=share, decays=decays, capped=chosen, others=others[chosen], rest=rest[chosen], tops=tops)

    @property
    def entropies(self) -> np.ndarray:
        """Bits, (count,). Those below are a geometric distribution: −ln of its first share, and s times its mean."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            mean = 1 / np.expm1(self.decays) - self.others / np.expm1(self.decays * self.others)
            below = np.where(self.rest > 0, self.decays * mean - np.log(self.tops), 0)
        return (self.rest * below - (self.capped + 1) * self.share * math.log(self.share)) / math.log(2)

    @property
    def shares(self) -> np.ndarray:
        """(count, values)."""
        places = np.arange(self.capped[0] + self.others[0]) - self.capped[:, None]
        below = self.tops[:, None] * np.exp(-self.decays[:, None] * np.maximum(places, 0))
        head = np.full((len(self.decays), 1), self.share)
        return np.concatenate([head, np.where(places < 0, self.share, below)], axis=1)


def _solve(share: float, values: int, entropies: np.ndarray) -> np.ndarray:
    """Shares for one p0 and several entropies within the limits: (count, values)."""
    slow, fast = (np.full(len(entropies), math.log(decay)) for decay in _DECAYS)
    for _ in range(_HALVINGS):
        middle = (slow + fast) / 2
        above = _Family.of(share, values, np.exp(middle)).entropies > entropies
        slow, fast = np.where(above, middle, slow), np.where(above, fast, middle)
    return _Family.of(share, values, np.exp(slow)).shares
