"""docs/rooms.png: the rooms and who imports whom, read out of the sources. Arrows point to what is imported."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from style import GREEN, GREEN_PALE, INK, LINE, MINUS, MINUS_PALE, PALE, PLUS, PLUS_PALE, QUIET, box, canvas

ROOT = Path(__file__).resolve().parents[2]
HEIGHT = 9.0
#: Where each room stands (lower left corner and width), and what it is for.
PLACES = {
    "cli": (46.5, 50.5, 24.0, "the command line"),
    "train": (1.0, 29.0, 14.5, "makes networks\n(PyTorch)"),
    "sim": (23.5, 29.0, 17.0, "judges: golden model,\ncocotb"),
    "imports": (49.0, 29.0, 15.0, "networks made\nelsewhere (ONNX)"),
    "codes": (70.0, 29.0, 10.0, "matrix\ncodes"),
    "hw": (86.0, 29.0, 12.5, "makes hardware\n(Amaranth)"),
    "flow": (100.0, 29.0, 13.0, "Yosys, nextpnr,\nnetlists, clock"),
    "boards": (84.0, 50.5, 16.0, "bitstreams, UART,\nhost"),
    "net": (46.5, 3.0, 24.0, "the contract:\ninteger network, its file"),
}
#: What an arrow stands for where it is less than the whole room.
NOTES = {(19.5, 35.0): "golden.py", (44.5, 35.0): "golden.py", (99.0, 20.0): "errors and\nwhole files\nonly"}
FILLS = {"net": (PLUS_PALE, PLUS), "sim": (GREEN_PALE, GREEN), "train": (MINUS_PALE, MINUS)}


def facts() -> dict[str, Any]:
    """Which room imports what of which other; a room without a place is an error."""
    return {"edges": sorted([room, other] for room in rooms() for other in imported(room))}


def rooms() -> list[str]:
    """Top folders that are packages with modules in them."""
    packages = [path.parent for path in ROOT.glob("*/__init__.py")]
    found = sorted(folder.name for folder in packages if len(list(folder.rglob("*.py"))) > 1)
    if missing := sorted(set(found) - set(PLACES)):
        raise SystemExit(f"the room {missing[0]!r} has no place in the picture: give it one in PLACES of rooms.py")
    return found


def imported(room: str) -> set[str]:
    """The other rooms that a room's sources import, lazily or not."""
    names: set[str] = set()
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= (
                    {f"sterna.{alias.name}" for alias in node.names} if node.module == "sterna" else {str(node.module)}
                )
    return {name.split(".")[1] for name in names if name.startswith("sterna.")} - {room}


def draw(drawn: dict[str, Any]) -> Figure:
    """The picture."""
    figure, axes = canvas(11.4, 6.0)
    for name, (x, y, width, text) in PLACES.items():
        fill, edge = FILLS.get(name, (PALE, LINE))
        box(axes, x, y, width, HEIGHT, f"{name}/", text, fill=fill, edge=edge)
    for room, other in drawn["edges"]:
        lazy = room == "cli"
        arrow = FancyArrowPatch(
            *_ends(room, other),
            arrowstyle="-|>,head_width=3.2,head_length=6",
            color=QUIET if lazy else INK,
            linewidth=1.0 if lazy else 1.5,
            linestyle=(0, (4, 2)) if lazy else "solid",
            shrinkA=0,
            shrinkB=0,
        )
        axes.add_patch(arrow)
    for (x, y), text in NOTES.items():
        axes.text(x, y, text, ha="center", va="center", size=9.5, color=QUIET)
    legend = "Solid: imports.\nDashed: imports when its command runs."
    axes.text(1.5, 5, legend, va="bottom", size=10, color=QUIET, linespacing=1.4)
    return figure


def _ends(room: str, other: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where an arrow leaves a room and reaches the other."""
    (x, y, width, _), (to_x, to_y, to_width, _) = PLACES[room], PLACES[other]
    if y == to_y:
        right = to_x > x
        return (x + width * right, y + HEIGHT / 2), (to_x + to_width * (not right), to_y + HEIGHT / 2)
    if room == "cli" and other == "net":  # past imports/
        return (x + width - 2, y), (to_x + to_width - 2, to_y + HEIGHT)
    if room == "boards" and other == "net":  # between codes/ and hw/
        return (x + 6, y), (to_x + to_width, to_y + 2)
    middle, to_middle = x + width / 2, to_x + to_width / 2
    spread = (to_middle - middle) / 94 * 17
    if room == "cli":
        return (middle + spread, y), (to_middle, to_y + HEIGHT)
    return (middle, y), (to_middle - spread, to_y + HEIGHT)
