"""Computed against measured latency and interval: random networks, then the committed ones.

Chains of 1 to 4 dense layers (``timing_graphs.py`` has all other kinds), and the committed dense networks, with 8 lanes
and with derived ones; convolutional ones are named and left out (``tests/rtl`` measures them).

Every network is drawn with its configuration from ``--seed`` plus its number, emitted, and simulated (the emitted
Verilog, every score compared with the golden model). Frames: those that settle, whole periods of at least 64, and one.
Every period of them must be the computed one, and the mean and the largest gap too. Where that takes more than 600
frames, the interval counts as not measured. The exit status is 1 where a cycle or a score differs.

The bound is what the slowest unit needs at least: its steps, its input beats or its results, whichever are most.

``python benchmarks/timing_exact.py --output benchmarks/results/timing_exact.json``
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, parser, write

from sterna.hw import AcceleratorConfig, generate
from sterna.hw.graph.lower import lower
from sterna.net import ActivationType, Conv2d, Network, ShiftRound, Thresholds
from sterna.net.file import load
from sterna.sim.compare import compare
from sterna.sim.manifest import Manifest
from sterna.sim.random_networks import random_dense_network, random_frames
from sterna.sim.timing import MEASURED_FRAMES, frames_needed

MOST_FRAMES = 600


Draw = tuple[Network, AcceleratorConfig]


def draw(seed: int) -> Draw:
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


def measure(
    network: Network, config: AcceleratorConfig, *, simulator: str = "icarus", most_frames: int = MOST_FRAMES
) -> dict[str, Any]:
    """Emits and simulates a network, and gives what was found."""
    with tempfile.TemporaryDirectory() as folder:
        path = generate(network, folder, config=config)
        manifest = Manifest.load(path)
        needed = frames_needed(manifest)
        count = needed if needed <= most_frames else min(most_frames, MEASURED_FRAMES)
        frames = random_frames(np.random.default_rng(0), network, count)
        report = compare(network, path, frames, simulator=simulator)
        slowest = bound(path)
    return {
        "digest": report.network_digest,
        "frames": report.frames,
        "settled_frames": manifest.settled_frames,
        "period": {"frames": manifest.period_frames, "cycles": manifest.period_cycles},
        "latency_cycles": {"computed": report.computed_latency_cycles, "measured": report.latency_cycles},
        "interval_cycles": {"computed": report.computed_interval_cycles, "measured": report.interval_cycles},
        "largest_gap_cycles": {"computed": manifest.largest_gap_cycles, "measured": report.largest_gap_cycles},
        "bound_cycles": slowest,
        "interval_over_bound": report.computed_interval_cycles / slowest,
        "measured": report.interval is not None,
        "differences": [
            *([] if report.mismatch is None else [str(report.mismatch)]),
            *report.timing.differences(manifest),
        ],
        "equal": report.equal and report.timing_equal,
    }


def bound(path: Path) -> int:
    """Cycles that the slowest unit of an accelerator needs for a frame at least: steps, input beats or results."""
    units = json.loads(path.read_text(encoding="utf-8"))["units"]
    return max(unit[what] for unit in units for what in ("cycles", "beats", "results"))


def random_record(seed: int, *, draw: Callable[[int], Draw] = draw, simulator: str) -> dict[str, Any]:
    """What was found for one drawn network."""
    network, config = draw(seed)
    what = {"seed": seed, "network": repr(network), "config": config.as_json()}
    return {**what, **measure(network, config, simulator=simulator)}


def model_record(path: Path, lanes: int | None, *, simulator: str) -> dict[str, Any]:
    """What was found for a committed network."""
    what = {"model": path.name, "lanes": lanes}
    return {**what, **measure(load(path), AcceleratorConfig(lanes=lanes), simulator=simulator)}


def main() -> int:
    """Chains of dense layers, and the committed networks."""
    return run(__doc__, draw, networks=400, models=True)


def run(text: str | None, draw: Callable[[int], Draw], *, networks: int, models: bool) -> int:
    """Measures, prints a line for every network, and writes JSON; 1 where a cycle or a score differs.

    Parameters
    ----------
    text : what the command line says of itself.
    draw : gives a network and its configuration for a seed.
    networks : how many are drawn, if the command line does not say.
    models : whether committed networks follow.
    """
    command = parser(text)
    command.add_argument("--networks", type=int, default=networks, help="random networks (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="seed of the first (default: %(default)s)")
    command.add_argument("--simulator", default="icarus", choices=["icarus", "verilator"])
    command.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    arguments = command.parse_args()

    seeds = range(arguments.seed, arguments.seed + arguments.networks)
    records: list[dict[str, Any]] = []
    with ProcessPoolExecutor(max_workers=arguments.jobs) as pool:
        for result in pool.map(partial(random_record, draw=draw, simulator=arguments.simulator), seeds):
            records.append(result)
            show(result, f"{len(records)} of {arguments.networks}")
    committed, left_out = committed_records(arguments.simulator) if models else ([], [])
    everything = records + committed
    equal = all(result["equal"] for result in everything)
    not_measured = sum(not result["measured"] for result in everything)
    ratios = sorted(result["interval_over_bound"] for result in everything)
    figures = {
        "seed": arguments.seed,
        "simulator": arguments.simulator,
        "most_frames": MOST_FRAMES,
        "equal": equal,
        "not_measured": not_measured,
        "interval_over_bound": {"median": float(np.median(ratios)), "largest": ratios[-1]},
        "random_networks": records,
        "models": committed,
        "left_out": left_out,
    }
    if arguments.output is not None:
        write(arguments.output, ("amaranth", "cocotb", "numpy"), figures)
    print(f"{sum(r['equal'] for r in everything)} of {len(everything)} networks equal, {not_measured} not measured")
    print(f"interval / bound: median {np.median(ratios):.3f}, largest {ratios[-1]:.3f}")
    return 0 if equal else 1


def committed_records(simulator: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What was found for the committed dense networks, and the names of those left out."""
    records, left_out = [], []
    for path in sorted(MODELS.glob("*.safetensors")):
        if any(isinstance(node, Conv2d) for node in load(path).nodes):
            left_out.append(path.name)
            print(f"{path.name}: left out")
            continue
        for lanes in (8, None):
            records.append(model_record(path, lanes, simulator=simulator))
            show(records[-1], f"{path.name}, {lanes or 'derived'} lanes")
    return records, left_out


def show(result: dict[str, Any], position: str) -> None:
    """One line a network."""
    latency, interval = result["latency_cycles"], result["interval_cycles"]
    print(
        f"{position}: latency {latency['computed']} computed, {latency['measured']} measured; "
        f"interval {interval['computed']} computed, {interval['measured']} measured"
        f"; {result['interval_over_bound']:.3f} of the bound"
        + ("" if result["measured"] else "; NOT MEASURED")
        + ("" if result["equal"] else f"; DIFFERENT: {'; '.join(result['differences'])}"),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
