"""Kinds of units for a device: folded ones, or those with an adder for every nonzero weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from sterna.hw.config import AcceleratorConfig
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

    Tried are folded units, and every other kind for the first layers of each type of node: all such combinations of
    convolutions and dense layers, but those whose results or input beats already take more cycles than a design that
    was found.

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
        if best is not None and config.fps is None and _least(network, tried) >= best.cycles:
            continue
        progress(", ".join(f"{node} {kind}" for node, kind in units.items()) or "folded units")
        try:
            found = fit_device(network, budget, tried, escape_prices=escape_prices)
        except InvalidValueError as error:
            # of what does not fit, a design that fits with other units is told nothing
            failed = failed if isinstance(failed, DeviceTooSmall) else error
            continue
        best = found if best is None else min(best, found, key=_cost)
    if best is None:
        assert failed is not None  # there is one combination at least
        raise failed
    return best


def combinations(network: Network) -> Iterator[Units]:
    """Folded units; then, for each type of node, its first nodes by each other kind that computes them."""
    by_type: dict[str, list[str]] = {}
    for node in network.nodes:
        by_type.setdefault(type(node).__name__, []).append(node.name)
    choices: list[list[Units]] = []
    for type_, names in by_type.items():
        others = [kind.name for kind in KINDS if type_ in kind.makes][1:]
        prefixes = [dict.fromkeys(names[:count], kind) for kind in others for count in range(1, len(names) + 1)]
        choices.append([{}, *prefixes])
    for parts in product(*choices):
        yield {node: kind for part in parts for node, kind in part.items()}


def _least(network: Network, config: AcceleratorConfig) -> int:
    """Cycles that no lanes can beat."""
    return max(layer.least_interval(()) for layer in lower(network, config.units))


def _cost(fit: Fit) -> tuple[float, float]:
    """Cycles first, then the device; of designs for one rate, the device alone."""
    share = max(fit.budget.shares(fit.use).values())
    return (fit.cycles if fit.config.fps is None else 0, share)
