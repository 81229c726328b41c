"""Draws the pictures of README.md and docs/: all, or those that are named.

    python docs/figures/draw.py [overview] [unit] [conv] [row] [lanes] [rooms]

Each module beside this one draws the picture of its name, docs/NAME.png: ``facts()`` computes what is shown, and
``draw()`` shows it. A picture carries a digest of its facts and of the scripts that drew it. tests/test_figures.py
computes the digest anew, so that no picture goes stale. docs/accuracy-zeros.png is drawn by benchmarks/run.py.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import sys
from pathlib import Path

import matplotlib as mpl
from style import RC

from sterna.net.container import replacing

FIGURES = ("overview", "unit", "conv", "row", "lanes", "rooms")
HERE = Path(__file__).resolve().parent
SHARED = ("style", "example")


def digest(name: str) -> str:
    """SHA-256 of what a picture shows and of the scripts that draw it."""
    facts = importlib.import_module(name).facts()
    sources = [(HERE / f"{module}.py").read_text(encoding="utf-8") for module in (name, *SHARED)]
    return hashlib.sha256(json.dumps([facts, *sources], sort_keys=True).encode()).hexdigest()


def draw(name: str, folder: Path = HERE.parent) -> Path:
    """Draws one picture; the same sources and matplotlib give the same bytes."""
    module = importlib.import_module(name)
    image = io.BytesIO()
    with mpl.rc_context(RC):
        figure = module.draw(module.facts())
        metadata = {"Software": None, "Source": f"python docs/figures/draw.py {name}", "Comment": digest(name)}
        figure.savefig(image, format="png", dpi=150, metadata=metadata)
    path = folder / f"{name}.png"
    with replacing(path) as beside:
        beside.write_bytes(image.getvalue())
    return path


def main(names: list[str]) -> None:
    """Draws the named pictures, or all."""
    unknown = sorted(set(names) - set(FIGURES))
    if unknown:
        raise SystemExit(f"there is no picture {unknown[0]!r}: name some of {', '.join(FIGURES)}, or none for all")
    for name in names or FIGURES:
        print(draw(name))


if __name__ == "__main__":
    main(sys.argv[1:])
