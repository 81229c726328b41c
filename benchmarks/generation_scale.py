"""How long Verilog takes to generate, and how much memory, as networks grow to 10 million weights.

VGGs of random weights with 95 % zeros, 7 convolutions and a dense layer, for images of 3 x 32 x 32. Cycles a frame grow
as the weights do, so that lanes stay about as many. Each network is generated in a process of its own. The exit status
is 1 where ten times the weights take a hundred times as long.

``python benchmarks/generation_scale.py --output benchmarks/results/generation_scale.json``
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from typing import Any

import numpy as np
from common import parser, write

from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, Node, ShiftRound
from sterna.net.nodes import WeightNode
from sterna.sim.random_networks import random_weights

ZEROS = 0.95
#: Channels of the first two convolutions; the others have two and four times as many.
WIDTHS = (16, 28, 48, 88, 154)
U4 = ActivationType(width=4, signed=False)


def vgg(channels: int) -> Network:
    """Random weights; results of about 4 bits."""
    rng = np.random.default_rng(channels)
    nodes: list[Node] = []
    before = 3
    for k, times in enumerate((1, 1, 2, 2, 4, 4, 4)):
        kernels = random_weights(rng, rows=channels * times, columns=9 * before, zeros=ZEROS)
        shape = (channels * times, before, 3, 3)
        requantize = ShiftRound(shift=3, bias=np.int32(0), output=U4)
        nodes.append(Conv2d(name=f"conv{k}", weights=kernels.reshape(shape), padding=1, requantize=requantize))
        if k in (1, 3, 5):
            nodes.append(MaxPool2d(name=f"pool{k}", kernel=2))
        before = channels * times
    scores = random_weights(rng, rows=10, columns=16 * before, zeros=ZEROS)
    nodes += [Flatten(name="flatten"), Linear(name="scores", weights=scores)]
    return Network(input_shape=(3, 32, 32), input_type=U4, input_scale=1.0, nodes=nodes)


def measure(channels: int) -> dict[str, Any]:
    """One network's figures, in a process that has made nothing else."""
    network = vgg(channels)
    layers = [node.weights for node in network.nodes if isinstance(node, WeightNode)]
    config = AcceleratorConfig(cycles=64 * channels**2)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = generate(network, folder, config=config)
        seconds = time.perf_counter() - start
        units = json.loads(path.read_text(encoding="utf-8"))["units"]
        size = path.with_suffix(".v").stat().st_size
    return {
        "channels": channels,
        "weights": sum(weights.size for weights in layers),
        "nonzeros": sum(int(np.count_nonzero(weights)) for weights in layers),
        "lanes": sum(unit["lanes"] for unit in units),
        "generation_seconds": seconds,
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        "verilog_bytes": size,
    }


def main() -> int:
    """Measures, prints a line a network, and writes JSON."""
    arguments = parser(__doc__).parse_args()
    rows = []
    for channels in WIDTHS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row = pool.apply(measure, (channels,))
        rows.append(row)
        print(
            f"{row['weights']:,} weights: {row['generation_seconds']:.1f} s, {row['memory_bytes'] / 2**20:,.0f} MiB, "
            f"{row['lanes']} lanes, Verilog of {row['verilog_bytes'] / 2**20:.1f} MiB",
            flush=True,
        )
    write(arguments.output, ("amaranth", "numpy"), {"zeros": ZEROS, "rows": rows})
    return int(any(slower(rows[k], rows[k + 2]) for k in range(len(rows) - 2)))


def slower(small: dict[str, Any], large: dict[str, Any]) -> bool:
    """Whether time grows faster than the square of the weights."""
    return bool(large["generation_seconds"] / small["generation_seconds"] > (large["weights"] / small["weights"]) ** 2)


if __name__ == "__main__":
    sys.exit(main())
