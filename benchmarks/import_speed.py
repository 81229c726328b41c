"""How long the import of a network of CNV's shape takes: 1.5 million weights, in QONNX, proved on 1,000 inputs.

Random ternary weights with 80 % zeros, 2-bit activations, 8-bit pixels of 3 x 32 x 32: CNV as the FINN examples have
it. The file is one like any other's: what Sterna writes into its own exports is taken out.

``python benchmarks/import_speed.py --output benchmarks/results/import_speed.json``
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from common import parser, write

from sterna.imports import ImportOptions
from sterna.imports.check import prove
from sterna.imports.export import to_qonnx
from sterna.imports.fold import fold
from sterna.imports.graph import read_graph
from sterna.imports.preflight import Preflight
from sterna.net import ActivationType, Conv2d, Flatten, Linear, MaxPool2d, Network, Node, Thresholds
from sterna.sim.random_networks import random_weights

ZEROS = 0.8
U2, U8 = (ActivationType(width=width, signed=False) for width in (2, 8))
#: Channels of each convolution of 3 x 3 without padding, and whether a pool of 2 x 2 follows.
CONVOLUTIONS = ((64, False), (64, True), (128, False), (128, True), (256, False), (256, False))
RUNS = 3


def cnv() -> Network:
    """Weights and thresholds are random; thresholds lie where codes of all four values come out."""
    rng = np.random.default_rng(0)
    nodes: list[Node] = []
    before, most = 3, U8.max

    def levels(rows: int, taps: int) -> Thresholds:
        spread = np.sqrt(taps * (1 - ZEROS)) * most
        drawn = np.sort(rng.normal(0, 0.5 * spread, (rows, U2.max)), axis=1)
        return Thresholds(levels=drawn.astype(np.int32), output=U2)

    for number, (channels, pooled) in enumerate(CONVOLUTIONS, 1):
        taps = 9 * before
        weights = random_weights(rng, rows=channels, columns=taps, zeros=ZEROS).reshape(channels, before, 3, 3)
        nodes.append(Conv2d(name=f"conv{number}", weights=weights, requantize=levels(channels, taps)))
        if pooled:
            nodes.append(MaxPool2d(name=f"pool{number}", kernel=2))
        before, most = channels, U2.max
    nodes.append(Flatten(name="flatten"))
    for number, rows in enumerate((512, 512, 10), 1):
        weights = random_weights(rng, rows=rows, columns=before, zeros=ZEROS)
        requantize = levels(rows, before) if number < 3 else None
        nodes.append(Linear(name=f"fc{number}", weights=weights, requantize=requantize))
        before = rows
    return Network(input_shape=(3, 32, 32), input_type=U8, input_scale=1.0, nodes=nodes)


def measure(path: Path, samples: int) -> dict[str, Any]:
    """Seconds of each part of one import."""
    options = ImportOptions(samples=samples)
    times = [time.perf_counter()]
    graph = read_graph(path)
    times.append(time.perf_counter())
    folded = fold(graph, options, Preflight())
    times.append(time.perf_counter())
    proof = prove(graph, folded, folded.rule.draw(np.random.default_rng(options.seed), samples))
    times.append(time.perf_counter())
    parts = dict(zip(("read", "fold", "prove"), np.diff(times).tolist(), strict=True))
    return {"seconds": parts, "total": sum(parts.values()), "codes": proof.codes, "ties": proof.ties}


def main() -> int:
    """Measures, prints, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--samples", type=int, default=1000, help="inputs to prove it on (default: 1000)")
    arguments = command.parse_args()
    network = cnv()
    weights = sum(node.weights.size for node in network.nodes if isinstance(node, (Conv2d, Linear)))
    model = to_qonnx(network, batch=1)
    del model.metadata_props[:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cnv.onnx"
        onnx.save(model, path)
        runs = [measure(path, arguments.samples) for _ in range(RUNS)]
        size = path.stat().st_size
    best = min(runs, key=lambda run: float(run["total"]))
    print(f"{weights:,} weights, {size:,} bytes: {best}")
    row = {"weights": int(weights), "file_bytes": size, "samples": arguments.samples, "runs": RUNS, **best}
    write(arguments.output, ("numpy", "onnx"), row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
