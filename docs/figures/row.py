"""docs/row.png: one row of weights, its index words, and what they add. Computed from the compiled schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from example import INPUT, compiled, visits, weights
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from style import GREEN, GREEN_PALE, INK, LINE, MINUS, MINUS_PALE, PLUS, PLUS_PALE, QUIET, canvas

ROW = 1
LEFT, CELL = 17.0, 5.4


def facts() -> dict[str, Any]:
    """The row, its input, and its visits."""
    schedule = compiled()
    made = [asdict(visit) for visit in visits(schedule) if visit.row == ROW and visit.weight]
    return {"weights": weights()[ROW].tolist(), "input": list(INPUT), "bits": schedule.format.run_width, "visits": made}


def draw(drawn: dict[str, Any]) -> Figure:
    """The picture."""
    figure, axes = canvas(11.2, 6.6)
    found, row = drawn["visits"], drawn["weights"]
    _strip(axes, 45.5, "weights", [_signed(w) if w else "0" for w in row], row)
    _strip(axes, 39.5, "input codes", [str(code) for code in drawn["input"]], row)
    for k in range(len(row)):
        axes.text(_center(k), 52.6, str(k), ha="center", va="center", size=9, color=QUIET)
    axes.text(LEFT - 1.5, 52.6, "column", ha="right", va="center", size=9, color=QUIET)
    for k, visit in enumerate(found):
        _hop(axes, k, visit)
    _table(axes, found, drawn["bits"])
    zeros = row.count(0)
    axes.text(
        LEFT - 15,
        2.3,
        f"{len(found)} index words of {drawn['bits'] + 1} bits, {len(found)} cycles. "
        f"The {zeros} zeros take no bit of their own, no fetch and no cycle.",
        va="center",
        size=11.5,
        weight="bold",
    )
    return figure


def _center(column: int) -> float:
    return LEFT + (column + 0.5) * CELL


def _signed(number: int) -> str:
    return f"{number:+d}".replace("-", "−")


def _ink(weight: int) -> tuple[str, str]:
    """Color of a text and of its ground."""
    return {1: (PLUS, PLUS_PALE), -1: (MINUS, MINUS_PALE), 0: (LINE, "white")}[weight]


def _strip(axes: Axes, y: float, name: str, texts: list[str], row: list[int]) -> None:
    axes.text(LEFT - 1.5, y + 2.6, name, ha="right", va="center", size=11, weight="bold")
    for k, (text, weight) in enumerate(zip(texts, row, strict=True)):
        color, ground = _ink(weight)
        axes.add_patch(Rectangle((LEFT + k * CELL, y), CELL, 5.2, facecolor=ground, edgecolor=LINE, linewidth=0.8))
        bold = "bold" if weight else "normal"
        axes.text(_center(k), y + 2.6, text, ha="center", va="center", size=11.5, color=color, weight=bold)


def _hop(axes: Axes, k: int, visit: dict[str, Any]) -> None:
    """The way from the weight before, above the strip, and its length."""
    move = visit["distance"] + (not visit["negative"])
    color, _ = _ink(visit["weight"])
    end = _center(visit["column"])
    wraps = k == 0
    start = LEFT - 10.5 if wraps else _center(visit["start"])
    high = 4.5 if wraps else min(2.2 + 0.12 * (end - start), 6.5)
    axes.add_patch(
        FancyArrowPatch(
            (start, 54.2),
            (end, 54.2),
            connectionstyle=f"arc3,rad={-high / max(end - start, 1) * 1.6:.3f}",
            arrowstyle="-|>,head_width=2.6,head_length=5",
            color=color,
            linewidth=1.5,
            shrinkA=0,
            shrinkB=0,
        )
    )
    axes.text(
        (start + end) / 2, 54.4 + high * 0.85 + 1.6, f"move {move}", ha="center", va="center", size=10, color=color
    )
    if wraps:
        axes.text(
            LEFT - 15,
            63.3,
            f"Column {visit['start']}, where the row before ended, plus {move} is {visit['start'] + move}: "
            f"past the end, so a new row begins, at column {visit['column']}.",
            ha="left",
            va="center",
            size=10,
            color=QUIET,
        )


def _table(axes: Axes, found: list[dict[str, Any]], bits: int) -> None:
    """A column for each index word."""
    first, width = 30.0, 14.6
    lines = [
        ("stored distance", [f"{v['distance']:0{bits}b}  ({v['distance']})" for v in found]),
        ("stored sign", ["1  (+)" if v["weight"] > 0 else "0  (−)" for v in found]),
        ("move", [f"{v['distance']} + 1" if v["weight"] > 0 else f"{v['distance']}" for v in found]),
        ("column", [str(v["column"]) for v in found]),
        ("the adder", [f"{'+' if v['weight'] > 0 else '−'} {INPUT[v['column']]}" for v in found]),
        ("sum so far", [str(v["total"]).replace("-", "−") for v in found]),
    ]
    top = 34.0
    axes.text(first - 2, top, "step", ha="right", va="center", size=11, weight="bold")
    for k, visit in enumerate(found):
        middle = first + (k + 0.5) * width
        axes.text(middle, top, str(visit["step"]), ha="center", va="center", size=11, weight="bold")
        _, ground = _ink(visit["weight"])
        axes.add_patch(
            Rectangle(
                (first + k * width + 0.6, top - 6.6 - 4 * 4.0),
                width - 1.2,
                22.6 - 1.8,
                facecolor=ground,
                edgecolor="none",
            )
        )
    for n, (name, texts) in enumerate(lines):
        y = top - 4.2 - n * 4.0 - (1.4 if n == 5 else 0)
        axes.text(first - 2, y, name, ha="right", va="center", size=11, weight="bold" if n == 5 else "normal")
        for k, text in enumerate(texts):
            last = n == 5 and found[k]["ends"]
            middle = first + (k + 0.5) * width
            if last:
                axes.add_patch(
                    Rectangle((middle - 4.5, y - 1.7), 9, 3.4, facecolor=GREEN_PALE, edgecolor=GREEN, linewidth=1)
                )
            axes.text(
                middle,
                y,
                text,
                ha="center",
                va="center",
                size=11,
                family="DejaVu Sans Mono" if n < 2 else "DejaVu Sans",
                color=GREEN if last else INK,
                weight="bold" if n == 5 else "normal",
            )
