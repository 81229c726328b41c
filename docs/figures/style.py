"""What the pictures share: colors, fonts, boxes and arrows."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

INK = "#1b1f24"
QUIET = "#6e7781"
LINE = "#8c959f"
PALE = "#f3f5f7"
PLUS, PLUS_PALE = "#0b5fb0", "#d8e9fb"
MINUS, MINUS_PALE = "#b5460f", "#fde3d3"
GREEN, GREEN_PALE = "#1a7f37", "#dcf3e2"
GOLD_PALE = "#fdf3d0"

#: The same bytes from the same matplotlib: its own fonts, and a white ground for light and dark pages.
RC = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one frameless axes over all of it, in tenths of an inch, y upward."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width * 10)
    axes.set_ylim(0, height * 10)
    axes.axis("off")
    return figure, axes


def box(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    title: str,
    lines: str = "",
    *,
    fill: str = PALE,
    edge: str = LINE,
    size: float = 12,
) -> None:
    """A box from its lower left corner, a bold title and smaller lines below it, centered."""
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.8",
            facecolor=fill,
            edgecolor=edge,
            linewidth=1.2,
        )
    )
    middle = x + width / 2
    if not lines:
        axes.text(middle, y + height / 2, title, ha="center", va="center", weight="bold", size=size)
        return
    count = lines.count("\n") + 1
    top = y + height / 2 + count * 0.85
    axes.text(middle, top, title, ha="center", va="center", weight="bold", size=size)
    axes.text(middle, top - 1.3, lines, ha="center", va="top", size=size - 2.5, linespacing=1.25, color=INK)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str = "",
    *,
    color: str = INK,
    at: tuple[float, float] | None = None,
    align: str = "center",
) -> None:
    """An arrow, with a small text beside it."""
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>,head_width=0.28,head_length=0.55",
            "color": color,
            "linewidth": 1.4,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )
    if text:
        x, y = at or ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 1.1)
        axes.text(x, y, text, ha=align, va="center", size=9.5, color=QUIET if color == INK else color, linespacing=1.2)
