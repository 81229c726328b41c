"""Convolutional networks, placed and routed: images a second of LeNet-5 on an ECP5-25F and of VGGs on an ECP5-85F.

Lanes are derived for a rate at a clock, or fitted to the device (``--fit``). Images/s = clock / interval, the median of
the seeds. Routing a VGG takes long: what the work folder has of an earlier run is taken, if the Verilog is the same.
The exit status is 1 where a DSP block, a multiplication or a latch is found.

``python benchmarks/conv_route.py --output benchmarks/results/conv_route.json``
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import MODELS, parser, write

from sterna.cli.fit import budget_of
from sterna.flow.devices import find_device
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, fit_device, generate
from sterna.net import load

WORK = Path(__file__).resolve().parent.parent / "build" / "conv_route"


@dataclass(frozen=True)
class Case:
    """A network, a device, how many seeds are placed, for which clock, and the rate that lanes are derived for.

    A ``target_hz`` that place and route cannot reach makes it search for hours. Without ``fps``, lanes are those that
    the device holds.
    """

    model: str
    device: str
    seeds: int
    target_hz: float
    fps: float | None = None
    clock_hz: float | None = None

    @property
    def name(self) -> str:
        return f"{self.model}-{self.device}"


CASES = [
    Case("mnist-lenet5-95", "25f", seeds=3, target_hz=120e6, fps=40_000, clock_hz=120e6),
    Case("cifar10-vgg-5m", "85f", seeds=1, target_hz=100e6, fps=10_000, clock_hz=110e6),
    Case("cifar10-vgg-90", "85f", seeds=1, target_hz=85e6, fps=2_000, clock_hz=95e6),
]


def measure(case: Case, work: Path) -> dict[str, Any]:
    """One case's figures."""
    network = load(MODELS / f"{case.model}.safetensors")
    config = AcceleratorConfig(fps=case.fps, clock_hz=case.clock_hz, name=case.model.replace("-", "_"))
    folder = work / case.name
    if case.fps is None:
        config = fit_device(network, budget_of(find_device(case.device)), config).config
    path = generate(network, folder, config=config)
    verilog = path.with_suffix(".v")
    report = folder / "synth" / "report.json"
    sha256 = hashlib.sha256(verilog.read_bytes()).hexdigest()
    if not report.is_file() or json.loads(report.read_text())["verilog_sha256"] != sha256:
        seeds = list(range(1, case.seeds + 1))
        out = folder / "synth"
        synthesize(verilog, top=path.stem, device=case.device, seeds=seeds, freq=case.target_hz, out_dir=out)
    figures, description = json.loads(report.read_text()), json.loads(path.read_text())
    return {
        "model": case.model,
        "network_digest": network.digest,
        "test_accuracy": network.metadata["test_accuracy"],
        "device": case.device,
        "fps": case.fps,
        "clock_hz": case.clock_hz,
        "timing": description["timing"],
        "weights": description["weights"],
        "layers": [layer_figures(unit) for unit in description["units"]],
        "images_per_second": figures["clock"]["median_hz"] / description["timing"]["interval_cycles"],
        **{key: figures[key] for key in ("total", "units", "utilization", "clock", "critical_path", "tools")},
        "multipliers": figures["multipliers"],
        "latches": figures["latches"],
    }


def layer_figures(unit: dict[str, Any]) -> dict[str, Any]:
    """What the table of a network's layers shows."""
    keys = ("node", "kind", "lanes", "cycles", "beats", "results", "nonzeros", "utilization", "index_bits")
    elements = unit["output"]["elements_per_beat"]
    return {**{key: unit[key] for key in keys if key in unit}, "elements_per_beat": elements}


def main() -> int:
    """Measures, prints a line a case, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=WORK, help="folder of earlier runs (default: build/conv_route)")
    command.add_argument("--only", nargs="+", default=[""], help="cases whose name has one of these texts")
    arguments = command.parse_args()
    rows = []
    for case in CASES:
        if not any(text in case.name for text in arguments.only):
            continue
        row = measure(case, arguments.work)
        rows.append(row)
        print(
            f"{case.name}: {row['images_per_second']:,.0f} images/s, {row['clock']['median_hz'] / 1e6:.1f} MHz, "
            f"{row['timing']['interval_cycles']:,} cycles, {row['total']['slots']:,} slots, "
            f"{row['total']['ram_blocks']} RAM blocks, {row['total']['dsps']} DSP blocks",
            flush=True,
        )
    write(arguments.output, ("amaranth",), {"rows": rows})
    found = [sum([*row["multipliers"].values(), *row["latches"].values(), row["total"]["dsps"]]) for row in rows]
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
