"""What rows of equal work do to accuracy, lane utilization and index bits, at 8 and 32 lanes a hidden layer.

    python benchmarks/lane_balance.py --output benchmarks/results/lane_balance.json

The networks are those of training_study.py (sparsity-induced, with and without ``balance = "rows"``, 784-256-256-10 at
95 and 98 % zeros, 3 seeds), trained where they are not there yet. Utilization is nonzeros / (lanes × steps of the
schedule), over the hidden layers; mnist_rtl.py and timing_exact.py show that a unit takes what its schedule says.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from common import ROOT, parser, write
from training_study import Run, grid, train

from sterna.hw import AcceleratorConfig
from sterna.hw.graph.plan import plan_accelerator
from sterna.net import Network, entropy, load
from sterna.net.nodes import WeightNode

LANES = (8, 32)
BALANCES = ("none", "rows")


def hidden(network: Network, lanes: int) -> dict[str, float]:
    """Utilization and index bits over entropy of the hidden layers, and the rows' nonzeros of the first."""
    plan = plan_accelerator(network, AcceleratorConfig(lanes=(lanes, lanes, 1)))
    schedules = [unit.schedule for unit in plan.units[:-1]]
    weights = [node.weights for node in network.nodes[:-1] if isinstance(node, WeightNode)]
    return {
        "utilization": sum(s.nonzeros for s in schedules) / sum(lanes * s.steps for s in schedules),
        "bits_over_entropy": sum(s.bits for s in schedules) / sum(entropy(w) * w.size for w in weights),
        "steps": sum(s.steps for s in schedules),
        "fewest_nonzeros_a_row": int((weights[0] != 0).sum(axis=1).min()),
        "most_nonzeros_a_row": int((weights[0] != 0).sum(axis=1).max()),
    }


def figures(run: Run, folder: Path) -> dict[str, Any]:
    """Accuracy of one run, and what its network takes in hardware."""
    trained = train(run, folder)
    _, folder = run.prepare(folder)
    (path,) = (path for path in folder.glob("*.safetensors") if path.stem != "checkpoint")
    network = load(path)
    assert network.digest == trained["digest"]
    return {**trained, "hardware": {str(lanes): hidden(network, lanes) for lanes in LANES}}


def mean(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the seeds, and the runs."""
    accuracies = [run["test_accuracy"] for run in runs]
    hardware = {
        lanes: {key: statistics.mean(run["hardware"][lanes][key] for run in runs) for key in runs[0]["hardware"][lanes]}
        for lanes in runs[0]["hardware"]
    }
    return {
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_deviation": statistics.stdev(accuracies),
        "hardware": hardware,
        "runs": runs,
    }


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--runs", type=Path, default=ROOT / "runs" / "study", help="folder of the run folders")
    arguments = command.parse_args()
    wanted = [run for run in grid(["mlp", "balance"]) if run.method == "sparsity-induced"]
    report: dict[str, Any] = {}
    for zeros in ("0.95", "0.98"):
        for balance in BALANCES:
            part = "mlp" if balance == "none" else "balance"
            runs = [run for run in wanted if run.part == part and ("zeros", zeros) in run.changes]
            report[f"{zeros} {balance}"] = made = mean([figures(run, arguments.runs) for run in runs])
            for lanes, hardware in made["hardware"].items():
                print(
                    f"zeros {zeros}, balance {balance}, {lanes} lanes: {100 * made['test_accuracy_mean']:.2f} %, "
                    f"utilization {hardware['utilization']:.4f}, bits / entropy {hardware['bits_over_entropy']:.3f}"
                )
    write(arguments.output, ("torch",), {"lane_balance": report})


if __name__ == "__main__":
    main()
