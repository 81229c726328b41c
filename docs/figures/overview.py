"""docs/overview.png: from a recipe to a routed design, which room does what, and which files pass between them."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from style import GREEN, GREEN_PALE, MINUS, MINUS_PALE, PLUS, PLUS_PALE, arrow, box, canvas


def facts() -> dict[str, Any]:
    """Nothing is computed: a diagram."""
    return {}


def draw(drawn: dict[str, Any]) -> Figure:
    """The picture."""
    figure, axes = canvas(11.6, 4.4)
    y, high = 30.0, 12.5
    box(axes, 1.5, y, 20, high, "train/", "PyTorch: three stages,\nto the zeros asked for", fill=MINUS_PALE, edge=MINUS)
    box(axes, 33.5, y, 19, high, "net/", "the integer network\nand its file", fill=PLUS_PALE, edge=PLUS)
    box(axes, 64.5, y, 19, high, "hw/", "Amaranth: schedule,\nlanes, streams")
    box(axes, 95.5, y, 19, high, "flow/", "Yosys and nextpnr,\niCE40 and ECP5")
    middle = y + high / 2
    arrow(axes, (21.5, middle), (33.5, middle), "export,\nwith proof", at=(27.5, middle + 2.6))
    arrow(axes, (52.5, middle), (64.5, middle), "generate", at=(58.5, middle + 1.6))
    arrow(axes, (83.5, middle), (95.5, middle), "synth", at=(89.5, middle + 1.6))

    axes.text(11.5, y - 2.2, "recipe.toml", ha="center", size=10.5, family="DejaVu Sans Mono")
    axes.text(105, y - 2.2, "report.json", ha="center", size=10.5, family="DejaVu Sans Mono")
    for x, name in ((43, "NAME.safetensors"), (74, "NAME.v, NAME.json")):
        axes.text(x, y - 2.2, name, ha="center", size=10.5, family="DejaVu Sans Mono")

    box(axes, 33.5, 2, 50, 17, "", fill=GREEN_PALE, edge=GREEN)
    axes.text(58.5, 16.4, "sim/", ha="center", va="center", size=12, weight="bold")
    box(axes, 35.5, 5, 15, 9, "golden model", "NumPy, exact", fill="white", edge=GREEN, size=10.5)
    box(axes, 66.5, 5, 15, 9, "the Verilog", "Icarus, Verilator", fill="white", edge=GREEN, size=10.5)
    axes.text(58.5, 10.9, "equal?", ha="center", va="center", size=11, weight="bold", color=GREEN)
    axes.text(58.5, 8.2, "every value", ha="center", va="center", size=9.5, color=GREEN)
    arrow(axes, (53.6, 9.5), (50.5, 9.5), color=GREEN)
    arrow(axes, (63.4, 9.5), (66.5, 9.5), color=GREEN)
    arrow(axes, (43, y - 3.6), (43, 14.2))
    arrow(axes, (74, y - 3.6), (74, 14.2))
    return figure
