"""A network whose board is simulated in seconds."""

from __future__ import annotations

import numpy as np

from sterna.net import ActivationType, Linear, Network, Thresholds


def small_network(seed: int = 1) -> Network:
    """Two dense layers, 8 to 6 to 3, signed codes, with thresholds between."""
    rng = np.random.default_rng(seed)
    kind = ActivationType(width=3, signed=True)
    levels = np.sort(rng.integers(-4, 8, (6, 7)), axis=1).astype(np.int32)
    return Network(
        input_shape=(8,),
        input_type=kind,
        input_scale=1.0,
        nodes=[
            Linear(
                name="hidden",
                weights=rng.choice([-1, 0, 1], (6, 8)).astype(np.int8),
                requantize=Thresholds(output=kind, levels=levels),
            ),
            Linear(name="scores", weights=rng.choice([-1, 0, 1], (3, 6)).astype(np.int8)),
        ],
    )
