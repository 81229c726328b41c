"""Images a second against accuracy: what training for lane cycles gains on one device.

Every network of cycles_accuracy.json is fitted to an ECP5-85F (``--fit``). Of those whose weights are not in models/,
the counts of each layer are known: as many weights are drawn at random there, in a committed network of the same
shape. Images/s is a clock / interval; the clock is the lowest of the VGGs that conv_route.json has routed.

``python benchmarks/cycles_speed.py --output benchmarks/results/cycles_speed.json``
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from common import MODELS, RESULTS, parser, write

from sterna.cli.fit import budget_of
from sterna.flow.devices import find_device
from sterna.hw import AcceleratorConfig, fit_device
from sterna.net import Network, load
from sterna.net.nodes import WeightNode

DEVICE = "85f"
TEMPLATE = "cifar10-vgg-5m"


def drawn(template: Network, counts: dict[str, int], seed: int) -> Network:
    """A network with so many nonzeros in each layer, at random places, half of them -1."""
    rng = np.random.default_rng(seed)
    nodes = []
    for node in template.nodes:
        if isinstance(node, WeightNode):
            flat = np.zeros(node.weights.size, np.int8)
            places = rng.choice(flat.size, counts[node.name], replace=False)
            flat[places] = rng.choice(np.array([-1, 1], np.int8), len(places))
            node = replace(node, weights=flat.reshape(node.weights.shape))
        nodes.append(node)
    return Network(
        input_shape=template.input_shape,
        input_type=template.input_type,
        input_scale=template.input_scale,
        nodes=nodes,
    )


def measure(case: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """What a network's accelerator would take on the device."""
    name, found = case
    path = MODELS / f"{name}.safetensors"
    trained = path.is_file()
    network = load(path if trained else MODELS / f"{TEMPLATE}.safetensors")
    if not trained:
        network = drawn(network, {layer: counts["nonzeros"] for layer, counts in found["layers"].items()}, seed=0)
    fit = fit_device(network, budget_of(find_device(DEVICE)), AcceleratorConfig())
    accuracy = found.get("validation_accuracy_mean", found["validation_accuracy"])
    return {
        "name": name,
        "trained_weights": trained,
        "limit": found["limit"],
        "lane_cycles": found["lane_cycles"],
        "validation_accuracy": accuracy,
        "validation_images": found["validation_images"],
        "interval_cycles": fit.cycles,
        "limited_by": fit.limit,
        "estimated": {"slots": round(fit.use.slots), "ram_blocks": fit.use.ram_blocks},
    }


def main() -> int:
    """Fits all networks, prints a line for each, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    arguments = command.parse_args()
    trained = json.loads((RESULTS / "cycles_accuracy.json").read_text(encoding="utf-8"))["cycles_accuracy"]
    routed = json.loads((RESULTS / "conv_route.json").read_text(encoding="utf-8"))["rows"]
    clock_hz = min(row["clock"]["median_hz"] for row in routed if row["model"] in trained)
    rows = []
    with ProcessPoolExecutor(max_workers=arguments.jobs) as pool:
        for row in pool.map(measure, sorted(trained.items(), key=lambda item: -item[1]["lane_cycles"])):
            row["images_per_second"] = clock_hz / row["interval_cycles"]
            rows.append(row)
            print(
                f"{row['name']}: {row['lane_cycles'] / 1e6:.1f} million additions, {row['interval_cycles']:,} cycles, "
                f"{row['images_per_second']:,.0f} images/s, {row['validation_accuracy']:.2%}, {row['estimated']}",
                flush=True,
            )
    write(arguments.output, ("amaranth", "numpy"), {"device": DEVICE, "clock_hz": clock_hz, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
