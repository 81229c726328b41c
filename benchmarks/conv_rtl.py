"""Convolutional networks through their emitted Verilog: real test images, every score against the golden model.

Lanes are derived for the rates of ``conv_route.py``. Latency and interval are measured beside those that were computed.
Bits over entropy are those of the index words of all convolutions, against the entropy of the network's own weights;
channels that are constant are left out of the former. The exit status is 1 where a score or a cycle differs.

``python benchmarks/conv_rtl.py --output benchmarks/results/conv_rtl.json``
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import MODELS, parser, write
from conv_route import CASES, Case

from sterna.cli.frames import test_set
from sterna.hw import AcceleratorConfig, generate
from sterna.net import Conv2d, Network, entropy, load
from sterna.sim.compare import compare


@dataclass(frozen=True)
class Images:
    """Test images that go through one of the routed networks."""

    case: Case
    dataset: str
    count: int


RUNS = [Images(CASES[0], "mnist", 1_000), Images(CASES[1], "cifar10", 100)]


def convolution_bits(network: Network, description: dict[str, Any]) -> dict[str, float]:
    """Index bits of the convolutions, and their entropy."""
    nodes = {node.name: node for node in network.nodes if isinstance(node, Conv2d)}
    stored = sum(unit["index_bits"] for unit in description["units"] if unit["node"] in nodes)
    bound = sum(entropy(node.weights) * node.weights.size for node in nodes.values())
    return {"index_bits": stored, "entropy_bits": bound, "bits_over_entropy": stored / bound}


def measure(run: Images) -> dict[str, Any]:
    """One network's figures."""
    case = run.case
    network = load(MODELS / f"{case.model}.safetensors")
    codes, labels = (array[: run.count] for array in test_set(network, run.dataset))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = generate(network, folder, config=AcceleratorConfig(fps=case.fps, clock_hz=case.clock_hz))
        generation = time.perf_counter() - start
        start = time.perf_counter()
        report = compare(network, path, codes)
        simulation = time.perf_counter() - start
        description = json.loads(path.read_text())
    return {
        "model": case.model,
        "network_digest": network.digest,
        "fps": case.fps,
        "clock_hz": case.clock_hz,
        "dataset": run.dataset,
        "images": report.frames,
        "simulator": report.simulator.value,
        "generation_seconds": generation,
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        "simulation_seconds": simulation,
        "accuracy": float((np.argmax(report.outputs, axis=1) == labels).mean()),
        "latency_cycles": {"computed": report.computed_latency_cycles, "measured": report.latency_cycles},
        "interval_cycles": {"computed": report.computed_interval_cycles, "measured": report.interval_cycles},
        "convolutions": convolution_bits(network, description),
        "equal": report.equal and report.timing_equal and report.interval is not None,
    }


def main() -> int:
    """Measures, prints a line a network, and writes JSON."""
    arguments = parser(__doc__).parse_args()
    rows = []
    for run in RUNS:
        row = measure(run)
        rows.append(row)
        print(
            f"{row['model']}: {row['images']} images in {row['simulation_seconds']:.0f} s, "
            f"{'equal' if row['equal'] else 'DIFFERENT'}, accuracy {row['accuracy']:.4f}, "
            f"interval {row['interval_cycles']['measured']} cycles; Verilog in {row['generation_seconds']:.0f} s, "
            f"{row['memory_bytes'] / 2**20:.0f} MiB; bits / entropy {row['convolutions']['bits_over_entropy']:.3f}",
            flush=True,
        )
    write(arguments.output, ("amaranth", "cocotb", "numpy"), {"rows": rows})
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
