"""Accuracy against additions: a VGG on CIFAR-10 trained for several limits of lane cycles.

    python benchmarks/cycles_accuracy.py --output benchmarks/results/cycles_accuracy.json [--note TEXT]

Every run is recipes/cifar10-vgg-5m.toml with another limit, trained into a folder of its own under runs/study; finished
runs are found again and stopped ones continued. Figures are of the exported networks and of the chosen epochs in the
runs' logs. The committed network that was trained for zeros alone is listed beside them. Each run takes some ten
minutes of a GPU, and days without.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from common import MODELS, ROOT, parser, write
from training_study import Run

from sterna.net import Network, cost, load
from sterna.net.nodes import WeightNode
from sterna.train import api

RECIPE = "cifar10-vgg-5m"
LIMITS = ("5_000_000", "6_500_000", "8_000_000", "12_000_000", "20_000_000")
FOR_ZEROS = "cifar10-vgg-90"


def grid() -> list[Run]:
    """The runs; the first one is the recipe as it stands."""
    changes = [() if limit == LIMITS[0] else (("lane_cycles", limit),) for limit in LIMITS]
    return [
        Run(part="cycles", recipe=RECIPE, method="sparsity-induced", seed=1, changes=change, threads=2)
        for change in changes
    ]


def layers(network: Network) -> dict[str, dict[str, int]]:
    """Weights, nonzeros and lane cycles an image of every node with weights."""
    figures = {}
    for node in network.nodes:
        if isinstance(node, WeightNode):
            nonzeros, places = cost.nonzeros(node.weights), math.prod(network.shapes[node.name][1:])
            cycles = cost.lane_cycles(nonzeros, places)
            figures[node.name] = {"weights": node.weights.size, "nonzeros": nonzeros, "lane_cycles": cycles}
    return figures


def figures(network: Network) -> dict[str, Any]:
    """What an exported network gives, and what it costs."""
    kept, by_layer = network.metadata, layers(network)
    return {
        "test_accuracy": kept["test_accuracy"],
        "test_images": kept["test_images"],
        "validation_accuracy": kept["validation_accuracy"],
        "validation_images": kept["validation_images"],
        "lane_cycles": sum(layer["lane_cycles"] for layer in by_layer.values()),
        "nonzeros": sum(layer["nonzeros"] for layer in by_layer.values()),
        "zeros": network.zeros,
        "layers": by_layer,
        "topology": kept["recipe"]["model"]["topology"],
        "epochs": kept["recipe"]["training"]["epochs"],
        "epoch": kept["epoch"],
        "seed": kept["seed"],
        "limit": kept["recipe"]["method"].get("lane_cycles"),
        "log_sha256": kept["log_sha256"],
        "digest": network.digest,
    }


def train(run: Run, folder: Path) -> dict[str, Any]:
    """Figures of one run, trained now or found finished."""
    recipe, folder = run.prepare(folder)
    result = api.run(recipe, folder, seed=run.seed, threads=run.threads)
    made = figures(result.exported()[1])
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    if log[result.epoch - 1]["lane_cycles"] != made["lane_cycles"]:
        raise ValueError(f"{folder}: the log's lane cycles are not the network's")
    last = [record["validation_accuracy"] for record in log if record["stage"] == "retrain"]
    return made | {"validation_accuracy_mean": sum(last) / len(last)}


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--runs", type=Path, default=ROOT / "runs" / "study", help="folder of the run folders")
    command.add_argument("--note", help="how the runs were trained, to be kept with the figures")
    arguments = command.parse_args()
    for_zeros = load(MODELS / f"{FOR_ZEROS}.safetensors")
    points = {FOR_ZEROS: figures(for_zeros)}
    for run in grid():
        points[RECIPE if run.is_recipe else run.group] = made = train(run, arguments.runs)
        print(
            f"{made['lane_cycles'] / 1e6:.2f} million lane cycles: {100 * made['test_accuracy']:.2f} % of "
            f"{made['test_images']:,} test images, {100 * made['validation_accuracy']:.2f} % of "
            f"{made['validation_images']:,} held out",
            flush=True,
        )
    write(arguments.output, ("torch",), {"note": arguments.note, "cycles_accuracy": points})


if __name__ == "__main__":
    main()
