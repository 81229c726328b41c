"""Accuracy of the MNIST recipes: three seeds each, and the committed files measured again.

    python benchmarks/mnist_accuracy.py --output benchmarks/results/mnist_accuracy.json

Trains recipes/mnist-mlp-95.toml and recipes/mnist-mlp-98.toml with seeds 1, 2 and 3 (continues what runs/ holds: a
finished run costs seconds). The epoch is chosen on 5,000 held-out
training images; the 10,000 test images are used for the export's proof and the figure, nothing else. The deviation is
the sample's (n - 1).
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from common import MODELS, ROOT, parser, write

from sterna.net.file import load
from sterna.train import api
from sterna.train.data import load_data

RECIPES = ("mnist-mlp-95", "mnist-mlp-98")


def train(name: str, seed: int, runs: Path) -> dict[str, Any]:
    """Figures of one run, trained now or found finished."""
    result = api.run(ROOT / "recipes" / f"{name}.toml", runs / f"{name}-seed{seed}", seed=seed)
    return {
        "seed": seed,
        "test_accuracy": result.test_accuracy,
        "validation_accuracy": result.validation_accuracy,
        "zeros": result.zeros,
        "digest": result.network.digest,
        "command": result.network.metadata["command"],
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over seeds, with the runs they come from."""
    accuracies = [run["test_accuracy"] for run in runs]
    return {
        "seeds": len(runs),
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_deviation": statistics.stdev(accuracies) if len(runs) > 1 else 0.0,
        "zeros_least": min(run["zeros"] for run in runs),
        "runs": runs,
    }


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    command.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    command.add_argument("--runs", type=Path, default=ROOT / "runs", help="folder of the run folders")
    arguments = command.parse_args()
    data = load_data("mnist")
    report: dict[str, Any] = {
        "test_images": len(data.test_images),
        "recipes": {},
        "committed": {},
    }
    for name in arguments.recipes:
        runs = [train(name, seed, arguments.runs) for seed in arguments.seeds]
        report["recipes"][name] = summary(runs)
        path = MODELS / f"{name}.safetensors"
        if path.is_file():
            network = load(path)
            report["committed"][name] = {
                "test_accuracy": api.golden_accuracy(network, data),
                "zeros": network.zeros,
                "digest": network.digest,
            }
        figures = report["recipes"][name]
        mean, deviation = 100 * figures["test_accuracy_mean"], 100 * figures["test_accuracy_deviation"]
        print(f"{name}: {mean:.2f} ± {deviation:.2f} % over {len(runs)} seeds, zeros >= {figures['zeros_least']:.4f}")
    write(arguments.output, ("torch",), report)


if __name__ == "__main__":
    main()
