"""Computed against measured latency and interval: random networks of convolutions, pools, additions and dense layers.

Networks of up to 8 nodes, drawn from ``--seed`` plus their number: in turns a chain over maps, and one with branches
that part and meet. All else is as in ``timing_exact.py``.

``python benchmarks/timing_graphs.py --output benchmarks/results/timing_graphs.json``
"""

from __future__ import annotations

import sys

import numpy as np
from timing_exact import Draw, run

from sterna.hw import AcceleratorConfig
from sterna.hw.graph.lower import lower
from sterna.net import Network
from sterna.sim.random_networks import random_map_network
from sterna.sim.random_residual import random_residual_network


def draw(seed: int) -> Draw:
    """A network and a configuration that fits it."""
    return (draw_residual if seed % 2 else draw_maps)(seed)


def draw_maps(seed: int) -> Draw:
    """A convolutional network, and lanes that its layers can use; every fourth time those that the pace needs."""
    rng = np.random.default_rng(seed)
    network = random_map_network(rng)
    given = [
        layer.lane_grain * int(rng.integers(1, min(layer.most_lanes // layer.lane_grain, 6) + 1))
        for layer in lower(network)
        if layer.lane_grain
    ]
    lanes = None if rng.integers(4) == 0 else given
    return network, AcceleratorConfig(lanes=lanes, elements_per_beat=elements(rng, network))


def draw_residual(seed: int) -> Draw:
    """A network with additions, and lanes that the pace needs."""
    rng = np.random.default_rng(seed)
    network = random_residual_network(rng)
    return network, AcceleratorConfig(elements_per_beat=elements(rng, network))


def elements(rng: np.random.Generator, network: Network) -> int:
    """Elements of an input beat: one, or the most that a row's width divides by, a power of two."""
    width = network.input_shape[-1]
    return int(rng.choice([1, width & -width]))


def main() -> int:
    """Measures, and writes JSON."""
    return run(__doc__, draw, networks=1000, models=False)


if __name__ == "__main__":
    sys.exit(main())
