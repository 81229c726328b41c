"""What skipping the taps in rows of padding would gain, and why it costs more.

All groups of a convolution unit go through their index streams in lockstep. A row at the border could leave out the
taps in rows that are padding if each channel's taps came kernel row by kernel row, and all groups began each kernel row
together: the longest group sets the pace. Steps of a frame are counted for three cases: as it is (all taps take their
step), without the taps in padding if no group had to wait, and with kernel rows that begin together. For these,
channels with about as many nonzeros go beside each other.

``python benchmarks/padding_rows.py --output benchmarks/results/padding_rows.json``
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from common import MODELS, parser, write
from conv_route import CASES

from sterna.hw import AcceleratorConfig
from sterna.hw.graph.plan import plan_accelerator
from sterna.net import Conv2d, load

(CASE,) = (case for case in CASES if case.model == "cifar10-vgg-5m")


def steps(node: Conv2d, size: int, groups: int) -> dict[str, float]:
    """Steps of a frame, for output maps of ``size`` rows."""
    counts = np.count_nonzero(node.weights, axis=(1, 3))  # of each channel's kernel rows
    counts = counts[np.argsort(-counts.sum(axis=1), kind="stable")]
    pad, stride, kernel = node.padding[0], node.stride[0], counts.shape[1]
    # Output rows in which a kernel row lies inside the map.
    inside = [sum(0 <= row * stride + k - pad < size * stride for row in range(size)) for k in range(kernel)]
    together = sum(counts[first : first + groups].max(axis=0) @ inside for first in range(0, len(counts), groups))
    return {
        "all_taps": counts.sum() * size / groups,
        "without_padding": float(counts.sum(axis=0) @ inside) / groups,
        "rows_together": float(together),
    }


def main() -> int:
    """Counts, prints a line a layer, and writes JSON."""
    arguments = parser(__doc__).parse_args()
    network = load(MODELS / f"{CASE.model}.safetensors")
    plan = plan_accelerator(network, AcceleratorConfig(fps=CASE.fps, clock_hz=CASE.clock_hz))
    nodes = {node.name: node for node in network.nodes if isinstance(node, Conv2d)}
    rows: list[dict[str, Any]] = []
    for unit in plan.units:
        if unit.name in nodes:
            _, size, width = network.shapes[unit.name]
            found = steps(nodes[unit.name], size, unit.lanes // width)
            rows.append({"layer": unit.name, "rows": size, "groups": unit.lanes // width, **found})
            shares = {name: f"{found[name] / found['all_taps'] - 1:+.1%}" for name in found}
            print(f"{unit.name}: {shares}", flush=True)
    write(arguments.output, ("numpy",), {"model": CASE.model, "fps": CASE.fps, "clock_hz": CASE.clock_hz, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
