"""How fast the golden model is: 784-256-256-10 on 10,000 images, and a VGG on 200.

Weights, levels and images are random with fixed seeds: the time does not depend on their values. The best of
``--repeats`` runs is reported, with all of them beside it.

``python benchmarks/golden_speed.py --output benchmarks/results/golden_speed.json``
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from common import parser, write

from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, Node, Thresholds
from sterna.sim.golden import GoldenModel

SEED = 1
U4, U8 = ActivationType(4, False), ActivationType(8, False)


def ternary(rng: np.random.Generator, *shape: int, zeros: float = 0.9) -> np.ndarray:
    """Random weights with about that share of zeros."""
    return rng.choice([-1, 0, 1], size=shape, p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])


def requantize(rng: np.random.Generator, channels: int, span: int) -> Thresholds:
    """Random levels within the span, to 4 bits."""
    return Thresholds(output=U4, levels=np.sort(rng.integers(-span, span, size=(channels, 15)), axis=1))


def mlp() -> Network:
    """784-256-256-10 with 4-bit activations."""
    rng = np.random.default_rng(SEED)
    nodes: list[Node] = [
        Linear(name="fc1", weights=ternary(rng, 256, 784), requantize=requantize(rng, 256, 3000)),
        Linear(name="fc2", weights=ternary(rng, 256, 256), requantize=requantize(rng, 256, 100)),
        Linear(name="fc3", weights=ternary(rng, 10, 256), bias=rng.integers(-20, 20, size=10)),
    ]
    return Network(input_shape=(784,), input_type=U8, input_scale=1 / 255, nodes=nodes)


def vgg() -> Network:
    """64-64-MP-128-128-MP-256-256-MP-128-10: padded 3 x 3 convolutions, 4-bit activations."""
    rng = np.random.default_rng(SEED)
    nodes: list[Node] = []
    channels = 3
    for block, width in enumerate((64, 128, 256), start=1):
        for layer in "ab":
            weights = ternary(rng, width, channels, 3, 3)
            nodes.append(
                Conv2d(
                    name=f"conv{block}{layer}", weights=weights, padding=(1, 1), requantize=requantize(rng, width, 100)
                )
            )
            channels = width
        nodes.append(MaxPool2d(name=f"pool{block}", kernel=(2, 2)))
    nodes.append(Flatten(name="flat"))
    nodes.append(Linear(name="fc1", weights=ternary(rng, 128, 4096), requantize=requantize(rng, 128, 300)))
    nodes.append(Linear(name="fc2", weights=ternary(rng, 10, 128)))
    return Network(input_shape=(3, 32, 32), input_type=U8, input_scale=1 / 255, nodes=nodes)


def measure(network: Network, images: int, repeats: int) -> dict[str, Any]:
    """Seconds for ``images`` random images, making the model included."""
    x = np.random.default_rng(SEED).integers(0, 256, size=(images, *network.input_shape), dtype=np.uint8)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        GoldenModel(network).predict(x)
        seconds.append(time.perf_counter() - start)
    best = min(seconds)
    return {
        "network_digest": network.digest,
        "images": images,
        "seconds": best,
        "all_seconds": seconds,
        "images_per_second": images / best,
    }


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--repeats", type=int, default=3, help="runs of each (default %(default)s)")
    arguments = command.parse_args()
    if arguments.repeats < 1:
        command.error(f"--repeats must be a positive integer, not {arguments.repeats}")
    figures = {
        "seed": SEED,
        "mlp_784_256_256_10": measure(mlp(), 10_000, arguments.repeats),
        "vgg_64_64_128_128_256_256_128_10": measure(vgg(), 200, arguments.repeats),
    }
    write(arguments.output, ("numpy",), figures)


if __name__ == "__main__":
    main()
