"""docs/conv.png: a convolution unit from the inside, and three steps of its lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from style import GOLD_PALE, GREEN, GREEN_PALE, INK, LINE, MINUS, MINUS_PALE, PLUS, PLUS_PALE, QUIET, arrow, box, canvas

from sterna.hw.units.conv.taps import TapOrder

#: Pixels of an input row; a kernel of 3 x 3 over two channels, of docs/hardware.md.
WIDTH, LANES = 8, 6
KERNEL = np.zeros((1, 2, 3, 3), np.int8)
KERNEL[0, 0, 0, 1], KERNEL[0, 1, 1, 0], KERNEL[0, 1, 2, 2] = 1, -1, 1


def facts() -> dict[str, Any]:
    """The kernel's nonzero weights in the order of their positions, the rows that they read, and the lanes' sums."""
    rows = np.random.default_rng(5).integers(0, 16, (2, 3, WIDTH))
    taps = TapOrder(kernel=(3, 3), channels=2, vacant=False)
    places = np.stack(np.unravel_index(np.arange(18), (2, 3, 3)), axis=1)
    numbered = taps.matrix(np.arange(1, 19).astype(np.int8).reshape(1, 2, 3, 3))[0]
    signs = taps.matrix(KERNEL)[0]
    sums = np.zeros(LANES, np.int64)
    steps = []
    for position in np.flatnonzero(signs):
        channel, row, column = places[numbered[position] - 1].tolist()
        sign = int(signs[position])
        sums = sums + sign * rows[channel, row, column : column + LANES]
        steps.append(
            {
                "channel": channel,
                "row": row,
                "column": column,
                "sign": sign,
                "pixels": rows[channel, row].tolist(),
                "sums": sums.tolist(),
            }
        )
    return {"steps": steps, "zeros": int(np.count_nonzero(KERNEL == 0))}


def draw(drawn: dict[str, Any]) -> Figure:
    """The picture."""
    figure, axes = canvas(12.0, 8.2)
    _unit(axes)
    for k, step in enumerate(drawn["steps"]):
        _step(axes, 5 + 38.5 * k, k, step)
    text = f"{len(drawn['steps'])} nonzero weights, {len(drawn['steps'])} cycles for {LANES} pixels. "
    axes.text(5, 5.0, text + f"The {drawn['zeros']} zeros take none.", va="center", size=11, weight="bold")
    return figure


def _unit(axes: Axes) -> None:
    box(axes, 2.5, 37, 115, 43.5, "", fill="#f8fbff", edge=PLUS)
    axes.text(5, 77.7, "inside a convolution unit", va="center", size=11, weight="bold", color=PLUS)
    box(axes, 5, 49.5, 13.5, 11, "row loader", "a row's beats\nbecome a word")
    arrow(axes, (0.2, 55), (5, 55))
    for shift in (3.0, 1.5, 0):
        box(axes, 24 + shift, 39.5 + shift, 57, 33, "", fill=GREEN_PALE, edge=GREEN)
    axes.text(25.5, 70, "group: one index stream, an output channel at a time", va="center", size=11, color=GREEN)
    arrow(axes, (18.5, 55), (26.5, 55), "", at=(21.5, 56.5))

    box(axes, 26.5, 43.5, 17, 22.5, "", fill="white", edge=GREEN)
    axes.text(35, 63.4, "ring of rows", ha="center", va="center", size=10.5, weight="bold")
    for k, name in enumerate(("row y", "row y + 1", "row y + 2", "being loaded")):
        box(axes, 28, 57.6 - 4.2 * k, 14, 3.4, "", fill=PLUS_PALE if k < 3 else "white", edge=LINE)
        axes.text(35, 59.3 - 4.2 * k, name, ha="center", va="center", size=9.5, color=INK if k < 3 else QUIET)
    box(axes, 47.5, 59.5, 15, 7.5, "index words", "distance, sign", fill=GOLD_PALE, size=10.5)
    box(axes, 65, 59.5, 14, 7.5, "position", "tap, channel", fill="white", edge=GREEN, size=10.5)
    arrow(axes, (62.5, 63.2), (65, 63.2))
    axes.plot([72, 72, 45.4, 45.4], [59.5, 57.2, 57.2, 54], color=INK, linewidth=1.4)
    arrow(axes, (45.4, 54), (43.5, 54))
    axes.text(58.5, 58.3, "address of one word", ha="center", va="center", size=9.5, color=QUIET)
    for k in range(LANES):
        x = 48.2 + 5.1 * k
        box(axes, x, 43.5, 4.4, 7.5, "", fill="white", edge=GREEN)
        axes.text(x + 2.2, 48.8, f"lane {k}", ha="center", va="center", size=8)
        axes.text(x + 2.2, 45.9, "± pixel", ha="center", va="center", size=7.5)
        arrow(axes, (x + 2.2, 53.2), (x + 2.2, 51))
    axes.plot([43.5, 75.9], [53.2, 53.2], color=INK, linewidth=1.4)
    axes.text(62, 54.6, "a whole input row", ha="center", va="center", size=9.5, color=QUIET)
    axes.text(52.5, 41.4, "a lane for each pixel of the output row", va="center", ha="center", size=9.5, color=QUIET)

    box(axes, 91, 62, 18.5, 7.6, "collector", "a channel after the other", size=11)
    box(axes, 91, 50.5, 18.5, 7.6, "requantizers", "1, 2, 4, … pixels a cycle", size=11)
    box(axes, 91, 39.8, 18.5, 6.5, "FIFO", "results on their way", size=11)
    axes.plot([81, 87, 87], [47, 47, 65.8], color=INK, linewidth=1.4)
    arrow(axes, (87, 65.8), (91, 65.8))
    arrow(axes, (100.2, 62), (100.2, 58.1))
    arrow(axes, (100.2, 50.5), (100.2, 46.3))
    arrow(axes, (109.5, 43), (119.8, 43))


def _step(axes: Axes, x: float, number: int, step: dict[str, Any]) -> None:
    """One cycle: the row that is read, the pixel that each lane takes, and the sums so far."""
    adds = step["sign"] > 0
    color, pale = (PLUS, PLUS_PALE) if adds else (MINUS, MINUS_PALE)
    what = f"{'+' if adds else '−'} row {_offset('y', step['row'])} of channel {step['channel']}"
    axes.text(x, 32.5, f"step {number + 1}", va="center", size=11, weight="bold")
    axes.text(x + 8, 32.5, what + f", column {_offset('x', step['column'])}", va="center", size=9.5, color=color)
    side = 4.0
    for k, pixel in enumerate(step["pixels"]):
        used = step["column"] <= k < step["column"] + LANES
        fill = pale if used else "white"
        axes.add_patch(Rectangle((x + side * k, 26), side, side, facecolor=fill, edgecolor=LINE, linewidth=1))
        middle = (x + side * (k + 0.5), 26 + side / 2)
        axes.text(*middle, str(pixel), ha="center", va="center", size=10, color=color if used else QUIET)
    for k, total in enumerate(step["sums"]):
        lane = x + side * (k + 1.5)
        arrow(axes, (x + side * (k + step["column"] + 0.5), 25.8), (lane, 18.6), color=color)
        box(axes, lane - 1.8, 13.6, 3.6, 4.8, "", fill=GREEN_PALE, edge=GREEN)
        axes.text(lane, 16.9, f"{k}", ha="center", va="center", size=7.5, color=GREEN)
        axes.text(lane, 14.9, str(total), ha="center", va="center", size=9.5, weight="bold")
    axes.text(x + side * 4, 10.6, "sums of lanes 0 to 5", ha="center", va="center", size=9.5, color=QUIET)


def _offset(name: str, by: int) -> str:
    return f"{name} + {by}" if by else name
