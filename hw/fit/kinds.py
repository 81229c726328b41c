"""Kinds of units for a device: folded ones, or those with an adder for every nonzero weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, product

from sterna.hw.config import FOLDED, AcceleratorConfig
from sterna.hw.fit.estimate import Budget
from sterna.hw.fit.search import ESCAPE_PRICES, DeviceTooSmall, Fit, fit_device
from sterna.hw.graph.lower import lower
from sterna.hw.units import KINDS
from sterna.net import Network
from sterna.net.errors import InvalidValueError

#: Units by node, as a configuration has them.
Units = dict[str, str]


def fit_kinds(
    network: Network,
    budget: Budget,
    config: AcceleratorConfig | None = None,
    *,
    escape_prices: Sequence[int] = ESCAPE_PRICES,
    progress: Callable[[str], None] = lambda step: None,
) -> Fit:
    """Chooses kinds of units and lanes for a device: the fewest cycles, or for a rate the least of the device.

    Tried are all :func:`combinations`, but those whose results or input beats already take as many cycles as a design
    that was found.

    Parameters
    ----------
    network, budget, config, escape_prices
        As of :func:`~sterna.hw.fit.search.fit_device`; ``config`` without units.
    progress : callable, optional
        Told what is tried.

    Raises
    ------
    DeviceTooSmall, UnsupportedError, ValueError
        As there, for folded units, if no other ones fit or reach the rate.
    """
    config = config or AcceleratorConfig()
    if config.units:
        raise InvalidValueError("give units or let them be chosen, not both")
    best: Fit | None = None
    failed: InvalidValueError | None = None
    for units in combinations(network):
        tried = replace(config, units=units)
        if (
            best is not None
            and config.fps is None
            and best.cycles <= max(_least(network, tried), best.plan.input.beats)
        ):
            continue
        progress(", ".join(f"{node} {kind}" for node, kind in units.items()) or "folded units")
        try:
            found = fit_device(network, budget, tried, escape_prices=escape_prices)
        except InvalidValueError as error:
            # told, if nothing fits: what the first that is too large needs, which is the folded one
            failed = failed if isinstance(failed, DeviceTooSmall) else error
            continue
        best = found if best is None else min(best, found, key=_cost)
    if best is None:
        assert failed is not None  # there is one combination at least
        raise failed
    return best


def combinations(network: Network) -> Iterator[Units]:
    """Kinds by node, those with the fewest units that are not folded first.

    Maps and vectors get smaller from layer to layer. So of each type of node, the first ones have the fastest kind,
    then come those with the next one, and folded ones at last; of each kind there may be none.
    """
    by_type: dict[str, list[str]] = {}
    for node in network.nodes:
        by_type.setdefault(type(node).__name__, []).append(node.name)
    choices: list[list[Units]] = []
    for type_, names in by_type.items():
        others = [kind.name for kind in KINDS if type_ in kind.makes][1:]
        falling = combinations_with_replacement([*reversed(others), FOLDED], len(names))
        choices.append([{n: kind for n, kind in zip(names, kinds, strict=True) if kind != FOLDED} for kinds in falling])
    whole = [{node: kind for part in parts for node, kind in part.items()} for parts in product(*choices)]
    yield from sorted(whole, key=len)


def _least(network: Network, config: AcceleratorConfig) -> int:
    """Cycles that no lanes can beat."""
    return max(layer.least_interval(()) for layer in lower(network, config.units))


def _cost(fit: Fit) -> tuple[float, float]:
    """Cycles first, then the device; of designs for one rate, the device alone."""
    share = max(fit.budget.shares(fit.use).values())
    return (fit.cycles if fit.config.fps is None else 0, share)
