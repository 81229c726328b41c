"""Computed against measured latency and interval: random networks of 1 to 4 layers, then the committed ones.

Committed networks that the generator has no hardware for yet are named and left out.

Every network is drawn with its configuration from ``--seed`` plus its number, emitted, and simulated (the emitted
Verilog, every score compared with the golden model). The exit status is 1 where a cycle or a score differs.

``python benchmarks/timing_exact.py --output benchmarks/results/timing_exact.json``
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from common import MODELS, parser, write

from sterna.hw import AcceleratorConfig, UnsupportedError, generate
from sterna.hw.graph.lower import lower
from sterna.net import ActivationType, Network, ShiftRound, Thresholds
from sterna.net.file import load
from sterna.sim.compare import Report, compare
from sterna.sim.random_networks import random_dense_network, random_frames

FRAMES = 14  # the interval needs ten


def draw(seed: int) -> tuple[Network, AcceleratorConfig]:
    """A network and a configuration that fits it; every fourth network is larger and sparser."""
    rng = np.random.default_rng(seed)
    if seed % 4:
        network = random_dense_network(rng)
    else:
        sizes = [int(size) for size in rng.integers(20, 150, rng.integers(2, 6))]
        types = [ActivationType(width=4, signed=False)] * len(sizes)
        kinds = [*[(Thresholds, ShiftRound)[seed // 4 % 2]] * (len(sizes) - 2), None]
        network = random_dense_network(rng, sizes=sizes, zeros=float(rng.uniform(0.7, 0.97)), types=types, kinds=kinds)
    rows = [len(layer.weights) for layer in lower(network)]
    given = [int(rng.integers(1, min(count, 9) + 1)) for count in rows]
    elements = 1 << int(rng.integers(0, int(np.log2(min(network.input_shape[0], 64))) + 1))
    lanes = None if rng.integers(4) == 0 else given
    return network, AcceleratorConfig(lanes=lanes, elements_per_beat=elements, argmax=bool(rng.integers(4) == 0))


def measure(network: Network, config: AcceleratorConfig, *, simulator: str = "icarus") -> Report:
    """Emits and simulates a network."""
    with tempfile.TemporaryDirectory() as folder:
        path = generate(network, folder, config=config)
        return compare(network, path, random_frames(np.random.default_rng(0), network, FRAMES), simulator=simulator)


def random_record(seed: int, *, simulator: str) -> dict[str, Any]:
    """What was found for one drawn network."""
    network, config = draw(seed)
    report = measure(network, config, simulator=simulator)
    return record(report, {"seed": seed, "network": repr(network), "config": config.as_json()})


def record(report: Report, what: dict[str, Any]) -> dict[str, Any]:
    """The figures of one network."""
    return {
        **what,
        "digest": report.network_digest,
        "latency_cycles": {"computed": report.computed_latency_cycles, "measured": report.latency_cycles},
        "interval_cycles": {"computed": report.computed_interval_cycles, "measured": report.interval_cycles},
        "mismatch": None if report.mismatch is None else str(report.mismatch),
        "equal": report.equal and report.timing_equal,
    }


def main() -> int:
    """Measure, print a line for every difference, and write JSON."""
    command = parser(__doc__)
    command.add_argument("--networks", type=int, default=200, help="random networks (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="seed of the first (default: %(default)s)")
    command.add_argument("--simulator", default="icarus", choices=["icarus", "verilator"])
    command.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    arguments = command.parse_args()

    seeds = range(arguments.seed, arguments.seed + arguments.networks)
    records = []
    with ProcessPoolExecutor(max_workers=arguments.jobs) as pool:
        for result in pool.map(partial(random_record, simulator=arguments.simulator), seeds):
            records.append(result)
            show(result, f"{len(records)} of {arguments.networks}")
    models = []
    left_out = []
    for path in sorted(MODELS.glob("*.safetensors")):
        try:
            report = measure(load(path), AcceleratorConfig(lanes=8), simulator=arguments.simulator)
        except UnsupportedError as error:
            left_out.append(path.name)
            print(f"{path.name}: left out: {error}")
            continue
        models.append(record(report, {"model": path.name}))
        show(models[-1], path.name)
    equal = all(result["equal"] for result in records + models)
    figures = {
        "seed": arguments.seed,
        "simulator": arguments.simulator,
        "frames": FRAMES,
        "equal": equal,
        "random_networks": records,
        "models": models,
        "left_out": left_out,
    }
    if arguments.output is not None:
        write(arguments.output, ("amaranth", "cocotb", "numpy"), figures)
    print(f"{sum(r['equal'] for r in records + models)} of {len(records + models)} networks equal")
    return 0 if equal else 1


def show(result: dict[str, Any], position: str) -> None:
    """One line a network."""
    latency, interval = result["latency_cycles"], result["interval_cycles"]
    print(
        f"{position}: latency {latency['computed']} computed, {latency['measured']} measured; "
        f"interval {interval['computed']} computed, {interval['measured']} measured"
        + ("" if result["equal"] else f"; DIFFERENT {result['mismatch'] or ''}"),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
