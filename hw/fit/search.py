"""Lanes of every layer, so that a design is as fast as a device holds.

The search goes by cycles of a frame. For so many, every layer gets the fewest lanes that reach them
(``graph/lanes.py``), and the prices of escapes are tried until what the units take up (``estimate.py``) is within the
budget. Fewer cycles take up more: the fewest that fit lie between the cycles that nothing can beat and those of the
fewest lanes. Last, where much of the logic is taken, there may be 5 % more cycles if they save a tenth of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf, log

from sterna.hw.config import ESCAPE_PRICE, AcceleratorConfig
from sterna.hw.fit.estimate import Budget, Use, estimate, together
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.net import Network
from sterna.net.errors import InvalidValueError

#: Prices of a stream of escapes that are tried: few bits of index memory, less logic, none.
ESCAPE_PRICES = (ESCAPE_PRICE, 2048, 1 << 40)
#: Ratio of cycles that fit to cycles that do not, at which the search ends; and cycles that are tried at most.
PRECISION, MOST_TRIED = 1.01, 12
#: Where more than half of the logic is taken, the last share of speed is given up if it costs that much of it: a fuller
#: device is harder to route.
DEAR, COST, FULL = 1.05, 1.1, 0.5
#: Share of the budget that the next guess aims at, and above which another price of escapes will not help.
AIM, HOPELESS = 0.98, 1.3


class DeviceTooSmall(InvalidValueError):
    """A network does not fit in a device."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit:
    """A design that fits.

    Attributes
    ----------
    config : AcceleratorConfig
        With the lanes: whoever plans with it gets the same design.
    plan : AcceleratorPlan
        That design.
    budget : Budget
    uses : tuple of Use
        What each unit takes up, about.
    limit : str
        What keeps it from being faster.
    """

    config: AcceleratorConfig
    plan: AcceleratorPlan
    budget: Budget
    uses: tuple[Use, ...]
    limit: str

    @property
    def use(self) -> Use:
        """What all units take up."""
        return together(self.uses)

    @property
    def cycles(self) -> int:
        """Cycles of a frame, as far as single units say."""
        return _cycles(self.plan)


def fit_device(
    network: Network,
    budget: Budget,
    config: AcceleratorConfig | None = None,
    *,
    escape_prices: Sequence[int] = ESCAPE_PRICES,
) -> Fit:
    """Chooses lanes, and words with escapes or without, for a device.

    Parameters
    ----------
    network : Network
    budget : Budget
    config : AcceleratorConfig, optional
        Without lanes. With a rate, the lanes are those for the rate.
    escape_prices : sequence of int
        Prices of a stream of escapes that are tried.

    Raises
    ------
    DeviceTooSmall
        If the design for the rate, or that with the fewest lanes, does not fit; the message says what is missing.
    UnsupportedError, ValueError
        If there is no hardware for the network, the rate cannot be reached, or lanes are given.
    """
    config = config or AcceleratorConfig()
    if config.lanes is not None or config.cycles is not None:
        raise InvalidValueError("give lanes or a device to fit, not both")
    search = _Search(network, budget, config, escape_prices)
    if config.fps is not None:
        return search.result(search.best(config, hopeless=inf), "the rate that is asked for")
    fastest = _cycles(plan_accelerator(network, config))
    best = search.best(replace(config, cycles=fastest))
    if best.fits:
        return search.result(best, "its results or its input beats")
    return search.between(best, search.best(replace(config, lanes=1), hopeless=inf))


def _cycles(plan: AcceleratorPlan) -> int:
    return max(unit.work.interval for unit in plan.units)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A plan, what its units take up, and the largest share of the budget."""

    plan: AcceleratorPlan
    uses: tuple[Use, ...]
    share: float
    limit: str

    @property
    def fits(self) -> bool:
        return self.share <= 1

    @property
    def use(self) -> Use:
        return together(self.uses)


class _Search:
    """Plans of one network for one budget."""

    def __init__(self, network: Network, budget: Budget, config: AcceleratorConfig, prices: Sequence[int]) -> None:
        self._network = network
        self._budget = budget
        self._config = config
        self._prices = list(prices)

    def best(self, config: AcceleratorConfig, *, hopeless: float = HOPELESS) -> _Candidate:
        """The first that fits, by the price of escapes; if none does, the one that is nearest to it.

        A share above ``hopeless`` ends the search.
        """
        tried = []
        for price in list(self._prices):
            tried.append(self._candidate(replace(config, escape_price=price)))
            if tried[-1].fits:
                self._prices = [price, *(other for other in self._prices if other != price)]
            if tried[-1].fits or tried[-1].share > hopeless:
                break
        return min(tried, key=lambda candidate: candidate.share)

    def _candidate(self, config: AcceleratorConfig) -> _Candidate:
        plan = plan_accelerator(self._network, config)
        spram = self._budget.spram_blocks > 0
        uses = tuple(estimate(unit, self._budget.family, spram=spram) for unit in plan.units)
        shares = self._budget.shares(together(uses))
        limit = max(shares, key=lambda what: shares[what])
        return _Candidate(plan, uses, shares[limit], limit)

    def between(self, fast: _Candidate, slow: _Candidate) -> Fit:
        """The fewest cycles that fit, from those of a design that does not to those of the fewest lanes."""
        if not slow.fits:
            raise DeviceTooSmall(
                f"{self._network_name} does not fit in {self._budget.device} even with the fewest lanes: it needs "
                f"{self._budget.missing(slow.use)}"
            )
        low, high = _cycles(fast.plan), _cycles(slow.plan)
        found = slow
        for _ in range(MOST_TRIED):
            if high <= low * PRECISION or high - low < 2:
                break
            cycles = _guess(low, high, fast.share, slow.share)
            tried = self.best(replace(self._config, cycles=cycles))
            if tried.fits:
                high, found = min(cycles, _cycles(tried.plan)), tried
                slow = tried
            else:
                low, fast = cycles, tried
        return self.result(self._cheaper(found), fast.limit)

    def _cheaper(self, found: _Candidate) -> _Candidate:
        """A little slower, where that takes much less logic of a device that is rather full."""
        if found.use.slots <= FULL * self._budget.routable:
            return found
        slower = self.best(replace(self._config, cycles=int(_cycles(found.plan) * DEAR)))
        return slower if slower.fits and slower.use.slots * COST <= found.use.slots else found

    @property
    def _network_name(self) -> str:
        return str(self._network.metadata.get("name", "the network"))

    def result(self, candidate: _Candidate, limit: str) -> Fit:
        """What is told of a candidate.

        Raises
        ------
        DeviceTooSmall
            If it does not fit.
        """
        if not candidate.fits:
            raise DeviceTooSmall(
                f"{self._network_name} at {self._config.fps:g} frames/s does not fit in {self._budget.device}: it "
                f"needs {self._budget.missing(candidate.use)}"
            )
        config = candidate.plan.config
        if config.fps is None:
            lanes = tuple(unit.lanes for unit in candidate.plan.units for _ in unit.nodes if unit.lanes)
            config = replace(config, lanes=lanes)
        return Fit(config=config, plan=candidate.plan, budget=self._budget, uses=candidate.uses, limit=limit)


def _guess(low: int, high: int, over: float, under: float) -> int:
    """Cycles between two, the nearer to one the nearer its share of the budget is to what is aimed at."""
    span = log(over) - log(under)
    part = (log(over) - log(AIM)) / span if span > 0 else 0.5
    part = min(max(part, 0.1), 0.9)
    cycles = round(exp(log(low) + part * (log(high) - log(low))))
    return min(max(cycles, low + 1), high - 1)
