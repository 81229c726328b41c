"""What benchmarks are made of holds: the study's recipes, and the pages made from results."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import results_page
import training_page
import training_study

from sterna.train.recipe import parse_recipe

PARTS = ["mlp", "lenet5", "alpha", "balance", "bits", "cifar10"]


def test_every_run_of_the_study_is_a_recipe_that_says_what_the_run_is_of() -> None:
    runs = list(training_study.grid(PARTS))
    assert len({(run.group, run.seed) for run in runs}) == len(runs)
    for run in runs:
        recipe = parse_recipe(tomllib.loads(run.text()), source=run.group)
        assert recipe.method.name == run.method
        changes = dict(run.changes)
        if changes.get("zeros"):
            assert recipe.method.target.zeros == float(changes["zeros"])
        elif "zeros" in changes:
            assert recipe.method.target.zeros is None
        if "epochs" in changes:
            assert recipe.training.epochs == int(changes["epochs"])
        assert recipe.method.target.balance.value == ("rows" if run.part == "balance" else "none")
    assert {run.method for run in runs if run.part == "mlp"} == {
        "sparsity-induced",
        "sca",
        "magnitude",
        "twn",
        "ttq",
        "float",
    }


def group(part: str, method: str, zeros: float, accuracies: list[float], **more: object) -> dict[str, object]:
    runs = [
        {
            "test_accuracy": a,
            "validation_accuracy": a,
            "zeros": zeros,
            "index_entropy_bits": 1000.0,
            "rounding_distance": 0.002,
        }
        | {"seed": seed}
        for seed, a in enumerate(accuracies, 1)
    ]
    seeds = len(accuracies)
    return {
        "part": part,
        "method": method,
        "changes": [["zeros", str(zeros)]],
        "more": "",
        "seeds": seeds,
        "test_accuracy_mean": sum(accuracies) / seeds,
        "test_accuracy_deviation": 0.001 if seeds > 1 else None,
        "zeros_mean": zeros,
        "runs": runs,
        **more,
    }


def test_the_study_page_says_when_zeros_do_not_rise_with_alpha() -> None:
    def page(zeros: list[float]) -> str:
        alphas = [0.1, 0.5, 1.0]
        groups = {
            f"alpha-{alpha}": group("alpha", "sca", share, [0.97], more=f"\n[method.sca]\nalpha = {alpha}\n")
            for alpha, share in zip(alphas, zeros, strict=True)
        }
        return training_page.study({"study": groups, "finished": 3, "runs": 3})

    assert "rises strictly" in page([0.3, 0.5, 0.8])
    assert "**does not rise strictly**" in page([0.3, 0.8, 0.8])


def test_methods_are_listed_with_mean_and_deviation() -> None:
    groups = {
        "b": group("mlp", "sca", 0.95, [0.98]),
        "a": group("mlp", "sparsity-induced", 0.95, [0.99, 0.991, 0.989]),
    }
    lines = training_page.study({"study": groups, "finished": 4, "runs": 9}).splitlines()
    rows = [line for line in lines if line.startswith(("| sca", "| sparsity"))]
    assert rows[0].startswith("| sparsity-induced | 0.95 | 95.00 % | 99.00 % ± 0.10 % (3 seeds)")
    assert rows[1].startswith("| sca | 0.95 | 95.00 % | 98.00 % (1 seed)")
    assert "4 of 9 runs are in." in lines


def test_rounding_in_sca_is_listed_beside_the_usual_run() -> None:
    groups = {
        "usual": group("lenet5", "sca", 0.98, [0.99, 0.98]),
        "other zeros": group("lenet5", "sca", 0.95, [0.95]),
        "other network": group("mlp", "sca", 0.98, [0.94]),
        "none": group("lenet5-reach", "sca", 0.98, [0.5], more="\n[method.sca]\nreach = 0.0\n"),
        "half": group("lenet5-reach", "sca", 0.98, [0.6], more="\n[method.sca]\nreach = 0.5\n"),
    }
    page = training_page.study({"study": groups, "finished": 5, "runs": 5})
    rows = page.split("### Rounding in SCA")[1].splitlines()[4:]
    assert [row.split(" | ")[1:4] for row in rows[:3]] == [
        ["0.0", "98.00 %", "50.00 %"],
        ["0.5", "98.00 %", "60.00 %"],
        ["default", "98.00 %", "99.00 %"],
    ]
    assert not rows[3]


def test_results_page_is_what_the_results_make() -> None:
    root = Path(results_page.__file__).parents[1]
    assert (root / "docs" / "results.md").read_text(encoding="utf-8") == results_page.page(
        root / "benchmarks" / "results"
    )
    for path in (root / "benchmarks" / "results").glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["command"].startswith("python benchmarks/")
