"""docs/unit.png: an accelerator, and one of its dense units from the inside."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from style import GOLD_PALE, GREEN, GREEN_PALE, INK, PLUS, PLUS_PALE, QUIET, arrow, box, canvas


def facts() -> dict[str, Any]:
    """Nothing is computed: a diagram."""
    return {}


def draw(drawn: dict[str, Any]) -> Figure:
    """The picture."""
    figure, axes = canvas(12.0, 6.6)
    _chain(axes)
    _inside(axes)
    return figure


def _chain(axes: Axes) -> None:
    """The accelerator: units in a chain between two streams."""
    y, high = 57.5, 7.0
    middle = y + high / 2
    arrow(axes, (3, middle), (27, middle), "s_axis: input codes", at=(13.5, middle + 1.5))
    for x, name in ((27, "unit fc1"), (53, "unit fc2"), (79, "unit fc3")):
        box(axes, x, y, 14, high, name, fill=PLUS_PALE, edge=PLUS)
    for x in (41, 67):
        arrow(axes, (x, middle), (x + 12, middle), "stream", at=(x + 5.6, middle + 1.5))
    arrow(axes, (93, middle), (117, middle), "m_axis: scores or class", at=(104.5, middle + 1.5))
    axes.add_patch(
        Polygon([(53, y), (67, y), (117.5, 51.5), (2.5, 51.5)], facecolor="#eef5fd", edgecolor="none", zorder=0)
    )


def _inside(axes: Axes) -> None:
    box(axes, 2.5, 2, 115, 49.5, "", fill="#f8fbff", edge=PLUS)
    axes.text(5, 48.7, "inside a dense unit", va="center", size=11, weight="bold", color=PLUS)

    box(axes, 29, 36.5, 16, 8.5, "sequencer", "one step a cycle")
    box(axes, 52, 36.5, 20, 8.5, "index memory", "distances and signs", fill=GOLD_PALE)
    box(axes, 5.5, 16.5, 15, 10.5, "loader", "leaves out\ndead inputs")
    arrow(axes, (45, 40.75), (52, 40.75), "step", at=(48.2, 42.2))

    for shift in (4.2, 2.1, 0):
        _lane(axes, 29 + shift, 9.0 + shift, front=shift == 0)
    axes.text(31, 6.2, "lanes in lockstep: each adds or subtracts one input a cycle", va="center", size=10, color=QUIET)
    arrow(axes, (62, 36.5), (62, 27.7), "a word a lane", at=(63.2, 32.4), align="left")
    arrow(axes, (20.5, 21.75), (29, 21.75), "codes", at=(24.7, 23.3))
    arrow(axes, (0.2, 21.75), (5.5, 21.75))

    box(axes, 83.5, 31.2, 14.5, 7.6, "collector", "sums in turn")
    box(axes, 83.5, 18.7, 14.5, 8.0, "requantizer", "thresholds, or\nadd and shift")
    box(axes, 83.5, 7.8, 14.5, 6.5, "FIFO", "results on their way", size=11)
    axes.plot([77.7, 80.6, 80.6], [22, 22, 35], color=INK, linewidth=1.4)
    arrow(axes, (80.6, 35), (83.5, 35))
    arrow(axes, (90.75, 31.2), (90.75, 26.7))
    arrow(axes, (90.75, 18.7), (90.75, 14.3))
    arrow(axes, (98, 11), (119.8, 11), "result codes", at=(107.5, 12.5))
    _stall(axes)


def _lane(axes: Axes, x: float, y: float, *, front: bool) -> None:
    box(axes, x, y, 44.5, 14.5, "", fill=GREEN_PALE, edge=GREEN)
    if not front:
        return
    axes.text(x + 1.5, y + 12.6, "lane", va="center", size=11, weight="bold", color=GREEN)
    box(axes, x + 1.8, y + 2, 11.5, 7.5, "buffer", "two frames", fill="white", edge=GREEN, size=10.5)
    box(axes, x + 17, y + 2, 11.5, 7.5, "position", "+ distance", fill="white", edge=GREEN, size=10.5)
    box(axes, x + 32, y + 2, 10.5, 7.5, "sum", "± input", fill="white", edge=GREEN, size=10.5)
    arrow(axes, (x + 17, y + 5.75), (x + 13.3, y + 5.75))
    axes.plot([x + 7.5, x + 7.5, x + 37.2], [y + 9.5, y + 11.2, y + 11.2], color=INK, linewidth=1.4)
    arrow(axes, (x + 37.2, y + 11.2), (x + 37.2, y + 9.5))


def _stall(axes: Axes) -> None:
    """The way back: a full FIFO stops the sequencer."""
    axes.plot([98, 101.5, 101.5, 37], [9.2, 9.2, 47.6, 47.6], color=QUIET, linewidth=1.3, linestyle=(0, (4, 2)))
    arrow(axes, (37, 47.6), (37, 45), color=QUIET)
    axes.text(70, 48.8, "stall: no new step while the FIFO is full", ha="center", va="center", size=9.5, color=QUIET)
