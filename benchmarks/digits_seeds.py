"""What the demo reaches: its digits recipe with ten seeds, and with the arithmetic of other processors.

    python benchmarks/digits_seeds.py --output benchmarks/results/digits_seeds.json

Trains recipes/digits-demo.toml, and recipes/digits-mlp.toml of the committed network beside it, with seeds 1 to 10 in
one thread each (continues what runs/ holds: a finished run costs seconds). Processors round sums in other orders, and
the same seed then ends in another network: seed 1 is trained again with the instructions that torch is held to. All 360
test images are used for the export's proof and the figure, nothing else; the recipe was chosen on held-out images.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from common import ROOT, parser, write

RECIPES = ("digits-demo", "digits-mlp")
INSTRUCTIONS = {"default": "SSE41", "avx2": "AVX2"}  # torch's own kernels, and oneDNN's


def train(name: str, seed: int, runs: Path, instructions: str | None = None) -> dict[str, Any]:
    """Figures of one run, trained now or found finished."""
    folder = runs / f"{name}-seed{seed}{f'-{instructions}' if instructions else ''}"
    held = (
        {"ATEN_CPU_CAPABILITY": instructions, "ONEDNN_MAX_CPU_ISA": INSTRUCTIONS[instructions]} if instructions else {}
    )
    command = [
        "train",
        f"recipes/{name}.toml",
        "--seed",
        str(seed),
        "--device",
        "cpu",
        "--output",
        str(folder),
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "sterna.cli", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", **held},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    figures = json.loads(done.stdout)
    kept = ("seed", "test_accuracy", "validation_accuracy", "zeros", "epoch")
    return {**{key: figures[key] for key in kept}, "digest": figures["network_digest"]}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The range over seeds, with the runs it comes from."""
    accuracies = [run["test_accuracy"] for run in runs]
    return {
        "seeds": len(runs),
        "test_accuracy_least": min(accuracies),
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_most": max(accuracies),
        "zeros_least": min(run["zeros"] for run in runs),
        "runs": runs,
    }


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--seeds", nargs="+", type=int, default=list(range(1, 11)))
    command.add_argument("--runs", type=Path, default=ROOT / "runs" / "digits", help="folder of the run folders")
    arguments = command.parse_args()
    report: dict[str, Any] = {"test_images": 360, "capability": torch.backends.cpu.get_cpu_capability(), "recipes": {}}
    for name in RECIPES:
        made = report["recipes"][name] = summary([train(name, seed, arguments.runs) for seed in arguments.seeds])
        made["instructions"] = {held: train(name, arguments.seeds[0], arguments.runs, held) for held in INSTRUCTIONS}
        least, most = 100 * made["test_accuracy_least"], 100 * made["test_accuracy_most"]
        print(f"{name}: {least:.2f} to {most:.2f} % over {made['seeds']} seeds", flush=True)
    write(arguments.output, ("torch",), report)


if __name__ == "__main__":
    main()
