"""What ternary weights cost: zeros, the entropy that bounds every code of single weights, index bits, lane cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sterna.net.network import Network
from sterna.net.nodes import WeightNode


def nonzeros(weights: np.ndarray) -> int:
    """Number of weights that are not zero."""
    return int(np.count_nonzero(weights))


def zeros(weights: np.ndarray) -> float:
    """Share of zero weights, 0 to 1; 0 without weights."""
    return 1 - nonzeros(weights) / weights.size if weights.size else 0.0


def entropy(weights: np.ndarray) -> float:
    """Shannon entropy of the values' frequencies, in bits a weight; at most log2(3) for ternary weights.

    No code of single, independent weights needs less on average (Shannon 1948, theorem 9).
    """
    if not weights.size:
        return 0.0
    _, counts = np.unique(weights, return_counts=True)
    shares = counts / weights.size
    return float(max(0.0, -(shares * np.log2(shares)).sum()))


def weight_bits(weights: np.ndarray) -> float:
    """Bits that the entropy allows for all weights."""
    return weights.size * entropy(weights)


def index_bits(count: int, nonzeros: int) -> float:
    """Bits of an index stream at its bound: positions at the entropy of the zeros, and a sign a nonzero.

    Parameters
    ----------
    count, nonzeros : numbers of weights, ``nonzeros`` of them not zero.
    """
    if not 0 <= nonzeros <= count:
        raise ValueError(f"nonzeros must be 0 to {count}, not {nonzeros}")
    shares = (nonzeros / count, 1 - nonzeros / count) if count else ()
    return count * sum(-share * math.log2(share) for share in shares if share > 0) + nonzeros


def lane_cycles(nonzeros: int, positions: int = 1) -> int:
    """Cycles of all lanes together for one input: an addition a nonzero and place.

    Parameters
    ----------
    nonzeros : of the layer's weights.
    positions : places of the output's map, at which every weight is used; 1 for a vector.
    """
    return nonzeros * positions


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Figures of one :class:`~sterna.net.Linear` or :class:`~sterna.net.Conv2d`.

    Members
    -------
    name : :class:`str`
        The node.
    weights, nonzeros : :class:`int`
        Numbers of weights.
    zeros : :class:`float`
        Share of zero weights, 0 to 1.
    entropy : :class:`float`
        Bits a weight.
    weight_bits : :class:`float`
        ``weights * entropy``.
    """

    name: str
    weights: int
    nonzeros: int
    zeros: float
    entropy: float
    weight_bits: float


def layer_costs(network: Network) -> tuple[LayerCost, ...]:
    """Figures of every node with weights, in the nodes' order."""
    return tuple(
        LayerCost(
            name=node.name,
            weights=node.weights.size,
            nonzeros=nonzeros(node.weights),
            zeros=zeros(node.weights),
            entropy=entropy(node.weights),
            weight_bits=weight_bits(node.weights),
        )
        for node in network.nodes
        if isinstance(node, WeightNode)
    )
