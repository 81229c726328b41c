"""Prices of the parts of a unit's logic, fitted to synthesis, for `--fit` (hw/fit/prices.py).

Units of all kinds are drawn (benchmarks/fit_units.py), synthesized alone, and counted by nextpnr as it packs them, in
the largest device of each family. The prices are those, none of them negative, with the least squares of the relative
errors. Every fourth unit is held out: the error stated is that of those. What an earlier run measured is taken from
the JSON file, where a unit's Verilog is still the same.

``python benchmarks/fit_prices.py --output benchmarks/results/fit_prices.json`` also writes hw/fit/prices.py.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from common import ROOT, parser, write
from fit_units import SEED, Drawn, drawn, figures
from scipy.optimize import nnls

from sterna.flow.devices import Resource
from sterna.flow.pack import pack
from sterna.hw.fit.memories import MEMORIES
from sterna.hw.units.protocol import MemoryUse

#: The largest device of each family.
DEVICES = {"iCE40": "hx8k", "ECP5": "85f"}
#: Units of each kind.
COUNTS = {
    "dense": 20,
    "conv": 19,
    "pool": 8,
    "argmax": 4,
    "bitserial": 14,
    "unrolled": 14,
    "pixels": 12,
    "pixel pool": 4,
    "tree": 4,
}
#: Every so many-th unit is held out.
HELD_OUT = 4
#: The names of what is priced.
PRICED = {Resource.SLOTS: "slots", Resource.FLIP_FLOPS: "flip_flops"}
#: A bit of a part usually costs so much, and a part that is not counted in bits so many times as much; by how much that
#: counts, in relative errors of one unit.
USUAL, WHOLE, PULL = 1.0, 8.0, 0.03
PRICES = ROOT / "hw" / "fit" / "prices.py"


def measure(case: Drawn, known: dict[str, Any]) -> dict[str, Any]:
    """What a unit is made of, and what it takes up in each family."""
    text = verilog.convert(
        case.unit.component(framed=case.framed), name="unit", emit_src=False, strip_internal_attrs=True
    )
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    used = known["used"] if known.get("verilog_sha256") == sha256 else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unit.v"
        path.write_text(text, encoding="utf-8")
        for family, device in DEVICES.items():
            if family not in used:
                counts = pack(path, top="unit", device=device)
                used[family] = {
                    resource.name.lower(): number
                    for resource, (number, _) in counts.items()
                    if resource is not Resource.DSPS
                }
    return {"name": case.name, "verilog_sha256": sha256, **figures(case.unit), "used": used}


def parts_of(row: dict[str, Any], family: str) -> tuple[Counter[str], int]:
    """A unit's parts in a family, memories that are in its logic counted, and its RAM blocks."""
    parts, ram_blocks = Counter(row["parts"]), 0
    for depth, width, writable, block, at_once in row["memories"]:
        memory = MemoryUse(name="", depth=depth, width=width, writable=writable, block=block, at_once=at_once)
        storage = MEMORIES[family].place(memory)
        parts.update(storage.parts)
        ram_blocks += storage.ram_blocks
    return parts, ram_blocks


def names_of(rows: list[dict[str, Any]], family: str) -> list[str]:
    """All parts that units have in a family."""
    return sorted({name for row in rows for name in parts_of(row, family)[0]})


def fitted(rows: list[dict[str, Any]], family: str, resource: str, names: list[str]) -> dict[str, float]:
    """The prices of a resource: least squares of relative errors, drawn to ``USUAL`` where units leave them open."""
    counted = [parts_of(row, family)[0] for row in rows]
    matrix = np.array([[parts[name] for name in names] for parts in counted], float)
    measured = np.array([row["used"][family][resource] for row in rows], float)
    pulls = np.diag([PULL if name.endswith("bit") else PULL / WHOLE for name in names])
    drawn_to = pulls @ np.array([USUAL if name.endswith("bit") else USUAL * WHOLE for name in names])
    prices, _ = nnls(
        np.concatenate([matrix / measured[:, None], pulls]), np.concatenate([np.ones(len(rows)), drawn_to])
    )
    return {name: round(float(price), 4) for name, price in zip(names, prices, strict=True)}


def errors(rows: list[dict[str, Any]], family: str, resource: str, prices: dict[str, float]) -> dict[str, Any]:
    """Estimate over measurement, less one: mean of the sizes, extremes, and of the sum of all."""
    estimated = np.array(
        [sum(prices.get(name, 0.0) * count for name, count in parts_of(row, family)[0].items()) for row in rows]
    )
    measured = np.array([row["used"][family][resource] for row in rows], float)
    relative = estimated / measured - 1
    return {
        "units": len(rows),
        "mean": float(np.abs(relative).mean()),
        "lowest": float(relative.min()),
        "highest": float(relative.max()),
        "sum": float(estimated.sum() / measured.sum() - 1),
    }


def blocks(rows: list[dict[str, Any]], family: str) -> dict[str, int]:
    """Units whose RAM blocks are foretold, and by how many the others are not."""
    wrong = [parts_of(row, family)[1] - row["used"][family]["ram_blocks"] for row in rows]
    return {
        "units": len(rows),
        "equal": wrong.count(0),
        "too_few": -min(0, *wrong),
        "too_many": max(0, *wrong),
    }


def module(prices: dict[str, dict[str, dict[str, float]]]) -> str:
    """The source of hw/fit/prices.py."""
    lines = [
        '"""Prices of the parts of a unit\'s logic, by family and resource; made by benchmarks/fit_prices.py."""',
        "",
        "from __future__ import annotations",
        "",
        "PRICES: dict[str, dict[str, dict[str, float]]] = {",
    ]
    for family, resources in prices.items():
        lines.append(f'    "{family}": {{')
        for resource, parts in resources.items():
            lines.append(f'        "{resource}": {{')
            lines += [f'            "{part}": {price!r},' for part, price in parts.items()]
            lines.append("        },")
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def main() -> int:
    """Measures, fits, prints the errors, and writes JSON and prices."""
    command = parser(__doc__)
    command.add_argument("--only", default="", help="units whose name has this text; no prices are written")
    arguments = command.parse_args()
    output: Path | None = arguments.output
    known = {}
    if output is not None and output.is_file():
        known = {row["name"]: row for row in json.loads(output.read_text(encoding="utf-8"))["rows"]}
    rows: dict[str, dict[str, Any]] = dict(known)
    for case in drawn(COUNTS):
        if arguments.only in case.name:
            started = time.monotonic()
            rows[case.name] = measure(case, known.get(case.name, {}))
            print(f"{case.name}: {rows[case.name]['used']}, {time.monotonic() - started:.0f} s", flush=True)
            if output is not None:
                write(output, ("amaranth", "numpy", "scipy"), {"seed": SEED, "rows": list(rows.values())})
    result = summary(list(rows.values()))
    print(json.dumps(result["families"], indent=1))
    if output is not None:
        write(output, ("amaranth", "numpy", "scipy"), {"seed": SEED, **result, "rows": list(rows.values())})
    if not arguments.only:
        PRICES.write_text(module(result["prices"]), encoding="utf-8")
    return 0


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Prices from all units but those held out, and the errors of both."""
    held, taken = rows[::HELD_OUT], [row for k, row in enumerate(rows) if k % HELD_OUT]
    prices: dict[str, dict[str, dict[str, float]]] = {}
    families: dict[str, Any] = {}
    for family in DEVICES:
        priced = [name for name in PRICED.values() if name in rows[0]["used"][family]]
        names = names_of(rows, family)
        prices[family] = {resource: fitted(taken, family, resource, names) for resource in priced}
        families[family] = {
            resource: {
                "fitted": errors(taken, family, resource, prices[family][resource]),
                "held_out": errors(held, family, resource, prices[family][resource]),
            }
            for resource in priced
        }
        families[family]["ram_blocks"] = blocks(rows, family)
    return {"families": families, "prices": prices}


if __name__ == "__main__":
    sys.exit(main())
