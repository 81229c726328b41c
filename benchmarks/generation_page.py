"""The part of docs/results.md about the time that Verilog takes to generate, and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tables import percent, table

PICTURE = "generation.png"


def generation(result: dict[str, Any]) -> str:
    """Seconds and memory against weights."""
    rows = [
        [
            f"{row['weights']:,}",
            f"{row['nonzeros']:,}",
            row["lanes"],
            f"{row['generation_seconds']:.1f} s",
            f"{row['memory_bytes'] / 2**20:,.0f} MiB",
            f"{row['verilog_bytes'] / 2**20:.1f} MiB",
        ]
        for row in result["rows"]
    ]
    small, large = result["rows"][0], result["rows"][-1]
    return (
        "## Generating Verilog\n\n"
        f"![Seconds against weights]({PICTURE})\n\n"
        + table(["weights", "nonzeros", "lanes", "time", "memory", "Verilog"], rows)
        + f"\nVGGs with random weights and {percent(result['zeros'], 0)} zeros, each in a process of its own. "
        f"{large['weights'] / small['weights']:.0f} times the weights take "
        f"{large['generation_seconds'] / small['generation_seconds']:.1f} times as long.\n"
    )


def draw_generation(result: dict[str, Any], folder: Path) -> Path:
    """The picture: seconds against weights, and what would grow as the weights do."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 10}):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        weights = [row["weights"] for row in result["rows"]]
        seconds = [row["generation_seconds"] for row in result["rows"]]
        axes.plot(weights, seconds, marker="o", color="#0b5fb0", label="measured")
        straight = [seconds[-1] * count / weights[-1] for count in weights]
        axes.plot(weights, straight, color="#888888", linestyle="--", label="in proportion to the weights")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("weights")
        axes.set_ylabel("seconds to generate Verilog")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(frameon=False)
        path = folder / PICTURE
        figure.savefig(path, dpi=120, metadata={"Software": None})
    return path
