"""Methods compared: accuracy against zeros, on the same networks, data and schedules.

    python benchmarks/training_study.py --output benchmarks/results/training_study.json [--parts mlp lenet5 ...]

Every run is a recipe of recipes/ with a few lines exchanged, trained into a folder of its own under runs/study;
finished runs are found again and stopped ones continued, so the study resumes where it stopped. A run that is a recipe
as it stands shares the recipe's own folder in runs/. The result holds whatever is finished, and is written anew after
every run. The epoch is chosen on held-out training images; test images
serve the export's proof and the figure. Deviations are the sample's (n - 1).

Parts: mlp, lenet5 (the controllable methods at 80, 95 and 98 % zeros, 3 seeds, and the references), cifar10 (the two
best methods), alpha (SCA's controller), reach (how far SCA rounds in training), balance (rows of equal work), bits
(activations of 1, 2, 4 and 8 bits).
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, parser, write

from sterna.net import cost
from sterna.train import api
from sterna.train.recipe import load_recipe

CONTROLLED = ("sparsity-induced", "sca", "magnitude")
REFERENCES = ("twn", "ttq", "float")
ALPHAS = (0.05, 0.1, 0.2, 0.5, 1.0, 1.5)
REACHES = ("0.0", "0.5")
SEEDS = (1, 2, 3)
NETWORKS = (("mlp", "mnist-mlp-95", "40"), ("lenet5", "mnist-lenet5-95", "8"))  # part, recipe, epochs


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run: a recipe, the lines that are exchanged in it, and lines for its end."""

    part: str
    recipe: str
    method: str
    seed: int
    changes: tuple[tuple[str, str], ...] = ()
    more: str = ""
    threads: int = 1

    @property
    def group(self) -> str:
        """What runs of other seeds have in common."""
        values = [f"{key}-{value}" for key, value in self.changes if key != "epochs" and value]
        return "-".join(
            [self.part, self.method, *values, *re.findall(r"(?:alpha|reach) = ([\d.]+)", self.more)]
        ).replace('"', "")

    @property
    def source(self) -> Path:
        """The recipe that it starts from."""
        return ROOT / "recipes" / f"{self.recipe}.toml"

    @property
    def is_recipe(self) -> bool:
        """Whether no line is exchanged."""
        return not self.changes and not self.more and load_recipe(self.source).method.name == self.method

    def prepare(self, folder: Path) -> tuple[Path, Path]:
        """Its recipe, written if it is one of the study's, and its run folder."""
        if self.is_recipe:
            return self.source, ROOT / "runs" / f"{self.recipe}-seed{self.seed}"
        folder = folder / f"{self.group}-seed{self.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        recipe = folder / "study.toml"
        if not recipe.is_file() or recipe.read_text(encoding="utf-8") != self.text():
            recipe.write_text(self.text(), encoding="utf-8")
        return recipe, folder

    def text(self) -> str:
        """The recipe with its lines exchanged."""
        text = self.source.read_text(encoding="utf-8")
        head, method = text.split("[method]")
        method = re.sub(r"(?m)^name = .*$", f'name = "{self.method}"', method, count=1)
        text = f"{head}[method]{method}"
        for key, value in (*self.changes, ("name", f'"{self.group.replace(".", "_")}"')):
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}" if value else "", text, count=1)
            if not count:
                raise ValueError(f"{self.recipe} has no line {key}")
        return f"{text}{self.more}"


def grid(parts: list[str]) -> Iterator[Run]:
    """All runs of the named parts, seed by seed, so that a stopped study has something of everything."""
    for part, recipe, epochs in NETWORKS:
        if part in parts:
            for seed, zeros, method in itertools.product(SEEDS, ("0.98", "0.95", "0.8"), CONTROLLED):
                changes = (("epochs", epochs), ("zeros", zeros))
                yield Run(part=part, recipe=recipe, method=method, seed=seed, changes=changes)
            for method in REFERENCES:
                yield Run(part=part, recipe=recipe, method=method, seed=1, changes=(("epochs", epochs), ("zeros", "")))
    if "alpha" in parts:
        for alpha in ALPHAS:
            more = f"\n[method.sca]\nalpha = {alpha}\n"
            changes = (("epochs", "40"), ("zeros", ""))
            yield Run(part="alpha", recipe="mnist-mlp-95", method="sca", seed=1, changes=changes, more=more)
    if "reach" in parts:
        for (part, recipe, epochs), reach in itertools.product(NETWORKS, REACHES):
            changes = (("epochs", epochs), ("zeros", "0.98"))
            more = f"\n[method.sca]\nreach = {reach}\n"
            yield Run(part=f"{part}-reach", recipe=recipe, method="sca", seed=1, changes=changes, more=more)
    if "balance" in parts:
        for seed, zeros in itertools.product(SEEDS, ("0.95", "0.98")):
            changes = (("epochs", "40"), ("zeros", zeros))
            yield Run(
                part="balance",
                recipe="mnist-mlp-95",
                method="sparsity-induced",
                seed=seed,
                changes=changes,
                more='balance = "rows"\n',
            )
    if "bits" in parts:
        for width in ("1", "2", "4", "8"):
            changes = (("epochs", "40"), ("activation_width", width))
            yield Run(part="bits", recipe="mnist-mlp-95", method="sparsity-induced", seed=1, changes=changes)
    if "cifar10" in parts:
        for method in ("sparsity-induced", "magnitude"):
            yield Run(part="cifar10", recipe="cifar10-vgg-90", method=method, seed=1)


def train(run: Run, folder: Path) -> dict[str, Any]:
    """Figures of one run, trained now or found finished."""
    recipe, folder = run.prepare(folder)
    result = api.run(recipe, folder, seed=run.seed, threads=run.threads)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    chosen = log[result.epoch - 1]
    figures = {
        "seed": run.seed,
        "test_accuracy": result.test_accuracy,
        "validation_accuracy": result.validation_accuracy,
        "zeros": result.zeros,
        "epoch": result.epoch,
        "index_entropy_bits": chosen["index_entropy_bits"],
        "lane_cycles": chosen["lane_cycles"],
        "digest": result.network.digest if result.network else None,
    }
    if "rounding_distance" in chosen:
        figures["rounding_distance"] = chosen["rounding_distance"]
    if result.network is not None:
        figures["layer_zeros"] = [layer.zeros for layer in cost.layer_costs(result.network)]
    return figures


def summary(runs: list[Run], figures: dict[Run, dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over the seeds of a group, with the runs they come from."""
    done = [figures[run] for run in runs if run in figures]
    accuracies = [figure["test_accuracy"] for figure in done]
    return {
        "part": runs[0].part,
        "recipe": runs[0].recipe,
        "method": runs[0].method,
        "changes": [list(change) for change in runs[0].changes],
        "more": runs[0].more,
        "seeds": len(done),
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_deviation": statistics.stdev(accuracies) if len(done) > 1 else None,
        "zeros_mean": statistics.mean(figure["zeros"] for figure in done),
        "zeros_least": min(figure["zeros"] for figure in done),
        "runs": done,
    }


def main() -> None:
    command = parser(__doc__)
    every = ["mlp", "lenet5", "alpha", "reach", "balance", "bits", "cifar10"]
    command.add_argument("--parts", nargs="+", choices=every, default=every)
    command.add_argument("--runs", type=Path, default=ROOT / "runs" / "study", help="folder of the run folders")
    command.add_argument("--jobs", type=int, default=1, help="runs at a time, a thread each")
    arguments = command.parse_args()
    runs = list(grid(arguments.parts))
    figures: dict[Run, dict[str, Any]] = {}
    with ProcessPoolExecutor(arguments.jobs) as pool:
        waiting = {pool.submit(train, run, arguments.runs): run for run in runs}
        for done in as_completed(waiting):
            run = waiting[done]
            figures[run] = done.result()
            print(
                f"{len(figures)}/{len(runs)} {run.group} seed {run.seed}: "
                f"{100 * figures[run]['test_accuracy']:.2f} %, zeros {100 * figures[run]['zeros']:.2f} %",
                flush=True,
            )
            groups = {run.group: [other for other in runs if other.group == run.group] for run in figures}
            report = {name: summary(members, figures) for name, members in sorted(groups.items())}
            write(arguments.output, ("torch",), {"study": report, "finished": len(figures), "runs": len(runs)})


if __name__ == "__main__":
    main()
