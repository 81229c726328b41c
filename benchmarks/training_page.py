"""The sections of docs/results.md on training, made from the benchmarks' JSON."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tables import percent, table

PICTURE = "accuracy-zeros.png"
_REALS = ("ttq", "float")  # their weights are not ternary
_METHODS = ("sparsity-induced", "sca", "magnitude", "twn", "ttq", "float")


def committed(result: dict[str, Any]) -> str:
    """The committed networks."""
    rows = [
        [
            f"`{name}`",
            f"{made['topology']}, {made['input_bits']}-bit input, {made['activation_bits']}-bit activations",
            made["method"],
            percent(made["zeros"]),
            f"{percent(made['test_accuracy'])} of {made['test_images']:,}",
            f"{percent(made['held_out_accuracy'])} of {made['held_out_images']:,}",
            f"{made['file_bytes']:,}",
        ]
        for name, made in result["committed"].items()
    ]
    header = ["network", "hidden layers", "method", "zeros", "test images", "held-out images", "bytes of the file"]
    return (
        "## The committed networks\n\n"
        + table(header, rows)
        + "\nAccuracy of the integer network. The epoch was chosen on the held-out images, which were never trained "
        "on. Where the table says fewer test images than the set has, only those were at hand.\n"
    )


def sizes(result: dict[str, Any]) -> str:
    """Sizes against binary and ternary."""
    rows = [
        [
            f"`{name}`",
            percent(made["zeros"]),
            f"{made['weights']:,}",
            f"{made['index_bits']:,}",
            f"{made['against_1_bit']:.2f}",
            f"{made['against_2_bit']:.2f}",
            f"{made['requantization_bits']:,}",
        ]
        for name, made in result["model_size"].items()
    ]
    rows.append(["must / aim, at 98 %", "", "", "", "5 / 5.8", "10 / 11.5", ""])
    header = ["network", "zeros", "weights", "index bits", "smaller than 1 bit", "than 2 bits", "requantization, bits"]
    return (
        "## Size, as the hardware stores it\n\n"
        + table(header, rows)
        + f"\nAll index words of {result['lanes']} lanes a hidden layer, with fillers, row ends and column maps, "
        "against one and two bits a weight of the same topology.\n"
    )


def study(result: dict[str, Any]) -> str:
    """Methods against each other, and what else the study varies."""
    groups = result["study"]
    parts = [_compared(groups, part, title) for part, title in _PARTS]
    parts += [_alpha(groups), _reach(groups), _bits(groups)]
    state = f"{result['finished']} of {result['runs']} runs are in.\n"
    picture = f"![Accuracy against zeros]({PICTURE})\n"
    return "## Training methods compared\n\n" + "\n".join(part for part in parts if part) + f"\n{picture}\n{state}"


def draw_study(result: dict[str, Any], folder: Path) -> None:
    """Draws the methods of the MNIST networks, accuracy against zeros, into ``folder``."""
    from sterna.train.plots import StudyPoint, plot_study

    titles = dict(_PARTS)
    points = [
        StudyPoint(
            network=titles[group["part"]].split(",")[0],
            method=group["method"],
            zeros_mean=group["zeros_mean"],
            accuracy_mean=group["test_accuracy_mean"],
            accuracy_deviation=group["test_accuracy_deviation"] or 0.0,
            seeds=group["seeds"],
        )
        for group in result["study"].values()
        if group["part"] in titles and group["part"] != "cifar10" and group["method"] not in _REALS
    ]
    plot_study(points, folder / PICTURE)


_PARTS = (
    ("mlp", "784-256-256-10 on MNIST, 40 epochs"),
    ("lenet5", "LeNet-5 on MNIST, 8 epochs"),
    ("cifar10", "VGG on CIFAR-10, `cifar10-vgg-90` and the other method in its place"),
)


def _compared(groups: dict[str, Any], part: str, title: str) -> str:
    found = [group for group in groups.values() if group["part"] == part]
    if not found:
        return ""
    found.sort(key=lambda group: (_METHODS.index(group["method"]), group["zeros_mean"]))
    rows = [
        [
            group["method"],
            dict(group["changes"]).get("zeros") or "",
            percent(group["zeros_mean"]),
            _spread(group),
            percent(sum(run["validation_accuracy"] for run in group["runs"]) / group["seeds"]),
            f"{sum(run['index_entropy_bits'] for run in group['runs']) / group['seeds'] / 1000:,.1f}",
            _distance(group),
        ]
        for group in found
    ]
    header = ["method", "asked for", "zeros", "test accuracy", "held out", "index kbit", "rounding distance"]
    return f"### {title}\n\n" + table(header, rows)


def _alpha(groups: dict[str, Any]) -> str:
    found = [group for group in groups.values() if group["part"] == "alpha"]
    if not found:
        return ""
    found.sort(key=lambda group: float(group["more"].split("=")[1]))
    rows = [
        [float(group["more"].split("=")[1]), percent(group["zeros_mean"]), _spread(group), _distance(group)]
        for group in found
    ]
    zeros = [group["zeros_mean"] for group in found]
    rises = all(low < high for low, high in itertools.pairwise(zeros))
    return (
        "### SCA: zeros against alpha, 784-256-256-10\n\n"
        + table(["alpha", "zeros", "test accuracy", "rounding distance (must < 0.01)"], rows)
        + f"\nThe share of zeros {'rises strictly' if rises else '**does not rise strictly**'} with alpha (must).\n"
    )


def _reach(groups: dict[str, Any]) -> str:
    rows = []
    for part, title in _PARTS[:2]:
        found = [group for group in groups.values() if group["part"] == f"{part}-reach"]
        for group in sorted(found, key=lambda group: group["more"]):
            rows.append([title, group["more"].split("=")[1].strip(), *_first(group)])
        usual = [
            group
            for group in groups.values()
            if found and (group["part"], group["method"]) == (part, "sca") and group["changes"] == found[0]["changes"]
        ]
        rows += [[title, "default", *_first(group)] for group in usual]
    if not rows:
        return ""
    header = ["network", "reach", "zeros", "test accuracy", "held out"]
    return (
        "### Rounding in SCA, 98 % zeros, seed 1\n\n"
        + table(header, rows)
        + "\nHow much of the way to the barrier is rounded in training, at the end of the ramp (docs/training.md).\n"
    )


def _first(group: dict[str, Any]) -> list[str]:
    """Zeros and accuracies of a group's first seed."""
    run = min(group["runs"], key=lambda run: run["seed"])
    return [percent(run[key]) for key in ("zeros", "test_accuracy", "validation_accuracy")]


def _bits(groups: dict[str, Any]) -> str:
    found = [group for group in groups.values() if group["part"] == "bits"]
    if not found:
        return ""
    rows = [
        [dict(group["changes"])["activation_width"], percent(group["zeros_mean"]), _spread(group)] for group in found
    ]
    rows.sort(key=lambda row: int(row[0]))
    return "### Bits of the activations, 784-256-256-10\n\n" + table(["bits", "zeros", "test accuracy"], rows)


def _spread(group: dict[str, Any]) -> str:
    if group["test_accuracy_deviation"] is None:
        return f"{percent(group['test_accuracy_mean'])} (1 seed)"
    return (
        f"{percent(group['test_accuracy_mean'])} ± {percent(group['test_accuracy_deviation'])} ({group['seeds']} seeds)"
    )


def _distance(group: dict[str, Any]) -> str:
    distances = [run["rounding_distance"] for run in group["runs"] if "rounding_distance" in run]
    return f"{max(distances):.4f}" if distances else ""


def cycles(result: dict[str, Any]) -> str:
    """Accuracy against additions."""
    points = dict(sorted(result["cycles_accuracy"].items(), key=lambda item: -item[1]["lane_cycles"]))
    rows, by_layer = [], []
    for name, made in points.items():
        limit = made["limit"]
        shown = f"`{name}`" if "cycles-" not in name else "as `cifar10-vgg-5m`"
        mean = made.get("validation_accuracy_mean")
        rows.append(
            [
                f"{made['lane_cycles'] / 1e6:.2f}",
                f"{limit / 1e6:g}" if limit else "none",
                shown,
                made["epochs"],
                f"{made['nonzeros']:,}",
                percent(made["zeros"]),
                f"{percent(made['test_accuracy'])} of {made['test_images']:,}",
                f"{percent(made['validation_accuracy'])} of {made['validation_images']:,}",
                percent(mean) if mean else "",
            ]
        )
        layers = made["layers"]
        names = [*(layer for layer in layers if layer.startswith("conv")), *(n for n in layers if n.startswith("fc"))]
        text = ", ".join(f"{n} {layers[n]['lane_cycles'] / 1e6:.2f}" for n in names)
        by_layer.append([f"{made['lane_cycles'] / 1e6:.2f}", text])
    header = ["million additions", "limit", "network", "epochs", "nonzeros", "zeros"]
    header += ["test images", "held-out", "their mean"]
    return (
        "## Accuracy and additions\n\n"
        + table(header, rows)
        + "\nVGGs on CIFAR-10. Additions (lane cycles) are those of one image; images/s is about lanes x clock / "
        "additions. The epoch was chosen on the held-out images, so their accuracy is a little too good; the mean is "
        "that over all epochs that it was chosen from. One seed each; of so few test images, a difference of less than "
        "two points says little. The network without a limit was trained for fewer epochs, and has one convolution "
        "fewer.\n\n"
        + table(["million additions", "of which"], by_layer)
        + (f"\nTrained: {result['note']}.\n" if result.get("note") else "")
    )


def balance(result: dict[str, Any]) -> str:
    """Rows of equal work."""
    rows = []
    for name, made in result["lane_balance"].items():
        zeros, kind = name.split()
        for lanes, hardware in made["hardware"].items():
            rows.append(
                [
                    percent(float(zeros), 0),
                    kind,
                    f"{percent(made['test_accuracy_mean'])} ± {percent(made['test_accuracy_deviation'])}",
                    lanes,
                    percent(hardware["utilization"]),
                    f"{hardware['bits_over_entropy']:.3f}",
                    f"{hardware['fewest_nonzeros_a_row']:.0f} to {hardware['most_nonzeros_a_row']:.0f}",
                ]
            )
    header = [
        "zeros",
        "balance",
        "test accuracy",
        "lanes",
        "utilization",
        "index bits / entropy",
        "nonzeros a row, first layer",
    ]
    return (
        "## Rows of equal work\n\n"
        + table(header, rows)
        + "\n784-256-256-10 on MNIST, `sparsity-induced`, 40 epochs, means of 3 seeds; hidden layers.\n"
    )
