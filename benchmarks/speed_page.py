"""The part of docs/results.md about accuracy and images a second, and its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import RESULTS
from tables import percent, table

PICTURE = "accuracy-speed.png"


def routed(result: dict[str, Any]) -> dict[str, float]:
    """Images a second of the networks that conv_route.json has placed and routed on the same device."""
    rows = json.loads((RESULTS / "conv_route.json").read_text(encoding="utf-8"))["rows"]
    return {row["model"]: row["images_per_second"] for row in rows if row["device"] == result["device"]}


def speed(result: dict[str, Any]) -> str:
    """What training for lane cycles gains."""
    device, clock = result["device"], result["clock_hz"] / 1e6
    reached = routed(result)
    rows = [
        [
            f"`{row['name']}`" if row["trained_weights"] else f"limit of {row['limit'] / 1e6:g} million",
            f"{row['lane_cycles'] / 1e6:.2f}",
            percent(row["validation_accuracy"]),
            f"{row['interval_cycles']:,}",
            f"{row['images_per_second']:,.0f}",
            f"**{reached[row['name']]:,.0f}**" if row["name"] in reached else "",
            f"{row['estimated']['slots']:,}",
            row["estimated"]["ram_blocks"],
            row["limited_by"],
        ]
        for row in result["rows"]
    ]
    header = "network, million additions, held-out, interval, images/s, routed, logic slots, RAM blocks, limited by"
    return (
        "## Accuracy and images a second\n\n"
        f"![Accuracy against images a second]({PICTURE})\n\n"
        f"VGGs on CIFAR-10, each fitted to an ECP5-{device.upper()} by `--fit`, at the {clock:.1f} MHz of a "
        "routed one. Fewer additions in training are more images a second from the same device.\n\n"
        + table(header.split(", "), rows)
        + "\nImages/s, slots and RAM blocks are estimates of what `--fit` proposes, at its limit; routed (and in the "
        "picture, the squares): smaller designs of the same networks, placed and routed. Networks without a name are "
        "not in models/: in their place stand random weights with as many nonzeros in each layer.\n"
    )


def draw_speed(result: dict[str, Any], folder: Path) -> Path:
    """The picture: accuracy against images/s, a point a network."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import MultipleLocator, NullFormatter, PercentFormatter, StrMethodFormatter

    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for row in result["rows"]:
            known = row["trained_weights"]
            axes.plot(
                row["images_per_second"],
                row["validation_accuracy"],
                marker="o",
                markersize=9,
                color="#0b5fb0",
                markerfacecolor="#0b5fb0" if known else "white",
            )
            axes.annotate(
                f"{row['lane_cycles'] / 1e6:.1f} M",
                (row["images_per_second"], row["validation_accuracy"]),
                xytext=(0, 9),
                textcoords="offset points",
                ha="center",
            )
        for name, reached in routed(result).items():
            (row,) = (row for row in result["rows"] if row["name"] == name)
            axes.plot(reached, row["validation_accuracy"], marker="s", markersize=8, color="#c0392b")
        axes.set_xscale("log")
        axes.margins(0.12, 0.2)
        device, clock = result["device"].upper(), result["clock_hz"] / 1e6
        axes.set_xlabel(f"images/s on an ECP5-{device}, fitted ones at {clock:.0f} MHz")
        axes.set_ylabel("held-out accuracy")
        axes.set_title("VGGs on CIFAR-10, fitted (circles) and routed (squares); additions an image", fontsize=10)
        speeds = [*(row["images_per_second"] for row in result["rows"]), *routed(result).values()]
        axes.set_xticks([tick for tick in (1000, 2000, 5000, 10000, 20000) if min(speeds) / 2 < tick < 2 * max(speeds)])
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(MultipleLocator(0.005))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        path = folder / PICTURE
        figure.savefig(path, dpi=120, metadata={"Software": None})
    return path
