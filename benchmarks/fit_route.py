"""`--fit`: whether the designs that it proposes route at the first try, and how far its estimates are off.

Each network is fitted to a device, and placed and routed there with one seed. The clock that is asked for is low, so
that nextpnr is done once it has routed. Cases come from small to large, and the JSON file is written after each. What
an earlier run routed (or packed, where that is enough) is taken from there, if the Verilog is the same.
``--pack-only`` packs what is not routed yet, and routes nothing. The exit status is 1 where a design does not route.

``python benchmarks/fit_route.py --output benchmarks/results/fit_route.json``
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import MODELS, ROOT, parser, write

from sterna.cli.fit import budget_of
from sterna.flow.devices import find_device
from sterna.flow.pack import pack
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, Fit, fit_device, generate
from sterna.hw.fit.table import rows
from sterna.net import load
from sterna.net.errors import InvalidValueError, ToolError

WORK = ROOT / "build" / "fit_route"
#: What place and route is asked for.
CLOCK_HZ = 20e6


@dataclass(frozen=True)
class Case:
    """A network, a device, and how many input elements come in a beat."""

    model: str
    device: str
    elements: int = 1

    @property
    def name(self) -> str:
        return f"{self.model}-{self.device}"


CASES = [
    Case("digits-mlp", "up5k"),
    Case("mnist-mlp-98", "up5k"),
    Case("digits-mlp", "hx8k"),
    Case("mnist-mlp-98", "hx8k"),
    Case("digits-mlp", "25f", 4),
    Case("mnist-mlp-98", "25f", 4),
    Case("mnist-mlp-95", "25f", 4),
    Case("mnist-mlp-95", "45f", 4),
    Case("mnist-lenet5-95", "25f"),
    Case("mnist-lenet5-95", "45f"),
    Case("mnist-lenet5-95", "85f"),
    Case("cifar10-vgg-5m", "85f"),
]


def measure(case: Case, known: dict[str, Any], *, routed: bool) -> dict[str, Any]:
    """One case: what was proposed, and what came of it."""
    network, device = load(MODELS / f"{case.model}.safetensors"), find_device(case.device)
    started = time.monotonic()
    name = case.model.replace("-", "_")
    config = AcceleratorConfig(elements_per_beat=case.elements, name=name)
    fit = fit_device(network, budget_of(device), config)
    seconds = time.monotonic() - started
    path = generate(network, WORK / case.name, config=fit.config)
    verilog = path.with_suffix(".v")
    sha256 = hashlib.sha256(verilog.read_bytes()).hexdigest()
    proposed = {**proposal(case, fit), "verilog_sha256": sha256, "timing": json.loads(path.read_text())["timing"]}
    if known.get("verilog_sha256") == sha256 and (known["routed"] is not None or not routed):
        return {**known, **proposed}
    return {**proposed, "fitting_seconds": round(seconds, 1), **outcome(case, verilog, routed=routed)}


def proposal(case: Case, fit: Fit) -> dict[str, Any]:
    """What is proposed, and what it is thought to take up."""
    use = fit.use
    return {
        "model": case.model,
        "device": case.device,
        "config": fit.config.as_json(),
        "cycles": fit.cycles,
        "limit": fit.limit,
        "layers": [row.to_json() for row in rows(fit)],
        "estimated": {
            "slots": round(use.slots),
            "flip_flops": round(use.flip_flops),
            "ram_blocks": use.ram_blocks,
        },
    }


def outcome(case: Case, verilog: Path, *, routed: bool) -> dict[str, Any]:
    """What Yosys and nextpnr make of it."""
    started = time.monotonic()
    try:
        if routed:
            report = synthesize(
                verilog,
                top=verilog.stem,
                device=case.device,
                out_dir=verilog.parent / "synth",
                seeds=(1,),
                freq=CLOCK_HZ,
            )
            used, error = dict(report.utilization), ""
        else:
            used, error = pack(verilog, top=verilog.stem, device=case.device), "not tried"
    except (InvalidValueError, ToolError) as failed:
        used, error = pack(verilog, top=verilog.stem, device=case.device), str(failed)
    return {
        "routed": None if error == "not tried" else not error,
        "error": error,
        "seconds": round(time.monotonic() - started, 1),
        "used": {
            resource.name.lower(): {"used": number, "available": have} for resource, (number, have) in used.items()
        },
    }


def main() -> int:
    """Fits and routes, prints a line a case, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--only", default="", help="cases whose name has this text")
    command.add_argument("--pack-only", action="store_true", help="do not route what is not routed yet")
    arguments = command.parse_args()
    output: Path | None = arguments.output
    made: dict[str, dict[str, Any]] = {}
    if output is not None and output.is_file():
        found = json.loads(output.read_text(encoding="utf-8"))["rows"]
        made = {f"{row['model']}-{row['device']}": row for row in found}
    for case in CASES:
        if arguments.only not in case.name:
            continue
        made[case.name] = row = measure(case, made.get(case.name, {}), routed=not arguments.pack_only)
        print(f"{case.name}: {row['cycles']:,} cycles, {row['estimated']}, {row['used']}, {row['error'] or 'routed'}")
        sys.stdout.flush()
        if output is not None:
            write(output, ("amaranth",), {"clock_hz": CLOCK_HZ, "rows": in_order(made)})
    return int(any(row["routed"] is False for row in made.values()))


def in_order(made: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in the order of the cases."""
    return [made[case.name] for case in CASES if case.name in made]


if __name__ == "__main__":
    sys.exit(main())
