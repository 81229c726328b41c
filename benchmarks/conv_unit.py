"""What a convolution unit costs, how fast its clock is, and what skipping zeros gains.

The unit is the second convolution of the trained ``cifar10-vgg-5m`` (64 to 64 channels, 3 × 3, maps of 32 × 32, 4-bit
activations), everything between its streams, requantizers included, alone in an ECP5-85F of speed 6: with one
requantizer, too slow for so few nonzeros, and with as many as keep the pace. The clock is the median of ``--seeds``.

Then the convolutions of ``cifar10-vgg-90`` are planned with weights of their shapes: random ones of some shares of
zeros, and ones without a zero, with the same lanes. A dense schedule takes a step for every weight; how many times
longer its interval is says what skipping gains. The trained weights stand beside them.

``python benchmarks/conv_unit.py --output benchmarks/results/conv_unit.json``
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from common import MODELS, parser, write

from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.hw.graph.timing import compute_timing
from sterna.hw.units.conv.component import ConvUnit
from sterna.net import Conv2d, Network, load

NAME = "conv_unit"
UNIT_MODEL, UNIT_LAYER, DEVICE = "cifar10-vgg-5m", "conv2", "85f"
#: Lanes, and the last layer that is planned with the unit: the last one's results leave one a beat.
UNITS = ((32, "conv2"), (32, "conv3"))
DENSE_MODEL, SEED, ZEROS = "cifar10-vgg-90", 0, (0.75, 0.9)
#: Streams of each convolution, a lane for each pixel of a row in each.
STREAMS = (2, 11, 10, 16, 10, 12)

Weights = Callable[[Conv2d], np.ndarray]


def place(lanes: int, upto: str, seeds: list[int]) -> dict[str, Any]:
    """Cost and clock of the unit."""
    network = convolutions(load(MODELS / f"{UNIT_MODEL}.safetensors"), upto=upto)
    chain = plan_accelerator(network, AcceleratorConfig(lanes=[32, lanes, 16][: 2 + (upto != UNIT_LAYER)]))
    (plan,) = (unit for unit in chain.units if unit.name == UNIT_LAYER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.v"
        unit = ConvUnit(plan)
        path.write_text(verilog.convert(unit, name=NAME, emit_src=False, strip_internal_attrs=True), encoding="utf-8")
        report = synthesize(path, top=NAME, device=DEVICE, out_dir=Path(folder) / "out", seeds=seeds)
    written = report.to_json()
    return {
        "lanes": lanes,
        "nonzeros": plan.describe()["nonzeros"],
        "cycles": plan.work.steps,
        "elements_per_beat": plan.output.elements,
        "requantizer": plan.describe()["requantizer"],
        "slots_a_lane": report.total.slots / lanes,
        **{key: written[key] for key in ("total", "utilization", "clock", "critical_path", "multipliers", "latches")},
        "tools": written["tools"],
    }


def convolutions(network: Network, *, upto: str = "", weights: Weights | None = None) -> Network:
    """A network's nodes up to its last convolution, or to the one named; with other weights."""
    names = [node.name for node in network.nodes if isinstance(node, Conv2d)]
    last = [node.name for node in network.nodes].index(upto or names[-1])
    nodes = [
        replace(node, weights=weights(node)) if weights is not None and isinstance(node, Conv2d) else node
        for node in network.nodes[: last + 1]
    ]
    return Network(input_shape=network.input_shape, input_type=network.input_type, input_scale=1.0, nodes=nodes)


def drawn(zeros: float) -> Weights:
    """Random weights with a share of zeros."""
    rng = np.random.default_rng(SEED)

    def draw(node: Conv2d) -> np.ndarray:
        signs = rng.choice([-1, 1], node.weights.shape)
        return (signs * (rng.random(node.weights.shape) >= zeros)).astype(np.int8)

    return draw


def interval(weights: Weights | None) -> dict[str, Any]:
    """Cycles of a frame of the convolutions, with the same lanes whatever the weights."""
    network = convolutions(load(MODELS / f"{DENSE_MODEL}.safetensors"), weights=weights)
    columns = [network.shapes[node.name][2] for node in network.nodes if isinstance(node, Conv2d)]
    lanes = [streams * width for streams, width in zip(STREAMS, columns, strict=True)]
    plan = plan_accelerator(network, AcceleratorConfig(lanes=lanes, elements_per_beat=4))
    return {
        "zeros": network.zeros,
        "lanes": lanes,
        "interval_cycles": float(compute_timing(plan).interval),
        "cycles": [unit.work.steps for unit in plan.units if unit.lanes],
    }


def main() -> int:
    """Measures, prints a line a row, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=5, help="seeds of place and route, from 1 (default: %(default)s)")
    arguments = command.parse_args()
    dense = interval(drawn(0.0))
    schedules = {"no zeros": dense}
    for name, weights in {**{f"random, {share:.0%} zeros": drawn(share) for share in ZEROS}, "trained": None}.items():
        schedules[name] = found = interval(weights)
        found["times_faster"] = dense["interval_cycles"] / found["interval_cycles"]
        print(f"{name}: {found['interval_cycles']:,.0f} cycles, {found['times_faster']:.2f} times faster", flush=True)
    units = []
    for lanes, upto in UNITS:
        units.append(place(lanes, upto, list(range(1, arguments.seeds + 1))))
        print(
            f"{lanes} lanes, {units[-1]['elements_per_beat']} results a beat: "
            f"{units[-1]['slots_a_lane']:.1f} slots a lane, {units[-1]['clock']['median_hz'] / 1e6:.1f} MHz",
            flush=True,
        )
    figures = {
        "unit": {"model": UNIT_MODEL, "layer": UNIT_LAYER, "device": DEVICE, "rows": units},
        "dense": {"model": DENSE_MODEL, "seed": SEED, "schedules": schedules},
    }
    write(arguments.output, ("amaranth", "numpy"), figures)
    return int(any(sum([*row["multipliers"].values(), *row["latches"].values()]) for row in units))


if __name__ == "__main__":
    sys.exit(main())
