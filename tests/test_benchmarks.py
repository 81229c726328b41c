"""What benchmarks are made of holds: the study's recipes, and the pages made from results."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import cycles_accuracy
import numpy as np
import results_page
import training_page
import training_study

import sterna.net
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


def test_runs_for_lane_cycles_are_one_recipe_with_other_limits() -> None:
    runs = cycles_accuracy.grid()
    recipes = [parse_recipe(tomllib.loads(run.text()), source=run.group) for run in runs]
    assert [f"{recipe.method.target.lane_cycles:_}" for recipe in recipes] == list(cycles_accuracy.LIMITS)
    assert [run.is_recipe for run in runs] == [True, False, False, False, False]
    assert len({run.group for run in runs}) == len(runs)


def test_lane_cycles_count_a_weight_of_a_convolution_once_a_pixel() -> None:
    weights = np.zeros((2, 1, 3, 3), np.int8)
    weights[0, 0, 0] = (1, 0, -1)
    network = sterna.net.Network(
        input_shape=(1, 6, 5),
        input_type=sterna.net.ActivationType(width=4, signed=False),
        input_scale=1.0,
        nodes=(sterna.net.Conv2d(name="conv1", weights=weights),),
    )
    assert cycles_accuracy.layers(network) == {"conv1": {"weights": 18, "nonzeros": 2, "lane_cycles": 2 * 4 * 3}}


def test_the_page_lists_lane_cycles_from_many_to_few() -> None:
    layers = {"conv1": {"weights": 9, "nonzeros": 5, "lane_cycles": 4_500_000}}
    point = {"test_accuracy": 0.92, "test_images": 1000, "validation_accuracy": 0.917, "validation_images": 5000}
    point |= {
        "lane_cycles": 4_500_000,
        "limit": 5_000_000,
        "epochs": 150,
        "nonzeros": 64_000,
        "zeros": 0.97,
        "layers": layers,
    }
    other = point | {"lane_cycles": 30_900_000, "limit": None}
    points = {"small": point | {"validation_accuracy_mean": 0.915}, "large": other}
    page = training_page.cycles({"cycles_accuracy": points, "note": "on a GPU"})
    assert page.index("| 30.90 | none | `large` |") < page.index("| 4.50 | 5 | `small` | 150 | 64,000 | 97.00 % |")
    assert "91.70 % of 5,000 | 91.50 % |" in page
    assert "Trained: on a GPU." in page


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
