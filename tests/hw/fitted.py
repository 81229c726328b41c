"""Networks and a device that tests of `--fit` share."""

from __future__ import annotations

import numpy as np
from bench import U4, random_weights

from sterna.hw import Budget
from sterna.net import Conv2d, Flatten, Linear, MaxPool2d, Network, ShiftRound

SHIFT = ShiftRound(output=U4, bias=0, shift=2)


def dense(*sizes: int, zeros: float = 0.9) -> Network:
    rng = np.random.default_rng(len(sizes))
    nodes = [
        Linear(
            name=f"fc{k + 1}",
            weights=random_weights(rng, sizes[k + 1], sizes[k], zeros),
            requantize=SHIFT if k < len(sizes) - 2 else None,
        )
        for k in range(len(sizes) - 1)
    ]
    return Network(input_shape=(sizes[0],), input_type=U4, input_scale=1.0, nodes=nodes, metadata={"name": "small"})


def maps() -> Network:
    rng = np.random.default_rng(0)
    return Network(
        input_shape=(2, 12, 12),
        input_type=U4,
        input_scale=1.0,
        nodes=[
            Conv2d(name="conv", weights=random_weights(rng, 8, 2 * 9, 0.5).reshape(8, 2, 3, 3), requantize=SHIFT),
            MaxPool2d(name="pool", kernel=(2, 2)),
            Flatten(name="flatten"),
            Linear(name="fc", weights=random_weights(rng, 6, 8 * 25, 0.8)),
        ],
    )


def budget(family: str = "iCE40", **fields: float) -> Budget:
    sizes = {"slots": 100_000, "flip_flops": 100_000, "ram_blocks": 10_000, **fields}
    return Budget(device="some", family=family, **sizes)  # type: ignore[arg-type]
