"""Networks with an adder for every nonzero weight, placed and routed: images a second, slots, and slots times cycles.

All layers are bit-serial, or unrolled with all bits at once; of LeNet-5, the first convolution is unrolled, the second
bit-serial, and the dense layers are folded. A frame comes in as few beats as keep its pace, and ``narrow`` says what
narrower beats would do to it. Images/s = clock / interval, the median of the seeds. The folded design is that of
mnist_route.json, where the same network and device are there. What the work folder has of an earlier run is taken, if
the Verilog is the same. The exit status is 1 where a DSP block, a multiplication or a latch is found.

``python benchmarks/unrolled_route.py --output benchmarks/results/unrolled_route.json``
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import MODELS, RESULTS, ROOT, parser, write

from sterna.flow.devices import find_device
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, generate
from sterna.hw.graph.stream import whole
from sterna.hw.parts.tables import code_shape
from sterna.net import Network, load

WORK = ROOT / "build" / "unrolled_route"


@dataclass(frozen=True)
class Case:
    """A network, a device, kinds of units, input elements a beat, how many seeds are placed, and for which clock.

    ``units`` is a kind for all layers, or ``"mixed"``: those of ``layers``, and folded ones. ``lanes`` are the bits of
    a sum that bit-serial ones add in a cycle; without them, as many as the pace of the input asks for.
    """

    model: str
    device: str
    units: str
    elements: int
    seeds: int
    target_hz: float
    layers: tuple[tuple[str, str], ...] = ()
    lanes: int | None = None

    @property
    def name(self) -> str:
        return case_name(self.model, self.device, self.units, self.lanes)


def case_name(model: str, device: str, units: str, lanes: int | None) -> str:
    """Of a case, or a row."""
    return f"{model}-{device}-{units}" + (f"-{lanes}" if lanes else "")


#: A frame of LeNet-5 has 784 beats: conv1 gives nearly as many pixels, conv2 far fewer.
LENET = (("conv1", "unrolled"), ("conv2", "bitserial"))
CASES = [
    Case("digits-mlp", "up5k", "bitserial", elements=8, seeds=3, target_hz=48e6, lanes=1),
    Case("mnist-mlp-98", "25f", "bitserial", elements=784, seeds=3, target_hz=120e6, lanes=1),
    Case("mnist-mlp-98", "25f", "bitserial", elements=784, seeds=3, target_hz=110e6, lanes=2),
    Case("mnist-mlp-95", "85f", "bitserial", elements=784, seeds=1, target_hz=70e6, lanes=1),
    Case("mnist-mlp-98", "85f", "unrolled", elements=784, seeds=1, target_hz=85e6),
    Case("mnist-lenet5-95", "85f", "mixed", elements=1, seeds=1, target_hz=100e6, layers=LENET),
]


def measure(case: Case, work: Path) -> dict[str, Any]:
    """One case's figures."""
    network, folder = load(MODELS / f"{case.model}.safetensors"), work / case.name
    config = AcceleratorConfig(
        units=dict(case.layers) or {"all": case.units},
        elements_per_beat=case.elements,
        name=case.model.replace("-", "_"),
        lanes=case.lanes,
    )
    path = generate(network, folder, config=config)
    verilog, report = path.with_suffix(".v"), folder / "synth" / "report.json"
    sha256 = hashlib.sha256(verilog.read_bytes()).hexdigest()
    if not report.is_file() or json.loads(report.read_text())["verilog_sha256"] != sha256:
        seeds = list(range(1, case.seeds + 1))
        synthesize(
            verilog, top=path.stem, device=case.device, seeds=seeds, freq=case.target_hz, out_dir=folder / "synth"
        )
    figures, description = json.loads(report.read_text()), json.loads(path.read_text())
    keys = ("node", "rows", "columns", "nonzeros", "adders", "depth")
    layers = [layer for unit in description["units"] for layer in unit.get("layers", [])]
    timing = description["timing"]
    return {
        "model": case.model,
        "network_digest": network.digest,
        "test_accuracy": network.metadata["test_accuracy"],
        "device": case.device,
        "units": case.units,
        "lanes": case.lanes,
        "elements_per_beat": case.elements,
        "timing": timing,
        "layers": [{key: layer[key] for key in keys} for layer in layers],
        "images_per_second": figures["clock"]["median_hz"] / timing["interval_cycles"],
        "slot_cycles": figures["utilization"]["slots"]["used"] * timing["interval_cycles"],
        "narrow": narrow(case, network, max(unit["cycles"] for unit in description["units"])),
        "folded": folded(case),
        **{key: figures[key] for key in ("total", "utilization", "clock", "critical_path", "tools")},
        "multipliers": figures["multipliers"],
        "latches": figures["latches"],
    }


def narrow(case: Case, network: Network, steps: int) -> list[dict[str, int]]:
    """Cycles of a frame by the input elements in a beat, of those that are a power of two or all; of vectors.

    ``steps`` are the cycles of the slowest unit.
    """
    if case.layers:
        return []
    (inputs,) = network.input_shape
    sizes = dict.fromkeys([*(1 << k for k in range(0, inputs.bit_length(), 2)), inputs])
    rows = []
    for elements in sizes:
        stream = whole((inputs,), code_shape(network.input_type), elements=elements)
        rows.append({"elements_per_beat": elements, "interval_cycles": max(stream.beats, steps)})
    return rows


def folded(case: Case) -> dict[str, Any] | None:
    """The smallest slots times cycles of the folded network in the same family, and its images/s."""
    found = json.loads((RESULTS / "mnist_route.json").read_text(encoding="utf-8"))
    family = find_device(case.device).family
    rows = [
        row for row in found["rows"] if found["model"] == case.model and find_device(row["device"]).family is family
    ]
    made = [
        {
            "slot_cycles": row["utilization"]["slots"]["used"] * row["interval_cycles"],
            "images_per_second": row["images_per_second"],
        }
        for row in rows
    ]
    return min(made, key=lambda row: float(row["slot_cycles"]), default=None)


def main() -> int:
    """Measures, prints a line a case, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=WORK, help="folder of runs (default: build/unrolled_route)")
    command.add_argument(
        "--only",
        nargs="+",
        default=[""],
        help="cases whose name has one of these texts; others stay as they are in the output file",
    )
    arguments = command.parse_args()
    made: dict[str, dict[str, Any]] = {}
    if arguments.output is not None and arguments.output.is_file():
        found = json.loads(arguments.output.read_text(encoding="utf-8"))["rows"]
        made = {case_name(*(row[key] for key in ("model", "device", "units", "lanes"))): row for row in found}
    for case in (case for case in CASES if any(text in case.name for text in arguments.only)):
        made[case.name] = row = measure(case, arguments.work)
        slots = row["utilization"]["slots"]
        print(
            f"{case.name}: {row['images_per_second']:,.0f} images/s, {row['clock']['median_hz'] / 1e6:.1f} MHz, "
            f"{row['timing']['interval_cycles']} cycles, {slots['used']:,} of {slots['available']:,} slots",
            flush=True,
        )
        rows = [made[case.name] for case in CASES if case.name in made]
        write(arguments.output, ("amaranth", "numpy"), {"rows": rows})
    bad = [sum([*row["multipliers"].values(), *row["latches"].values(), row["total"]["dsps"]]) for row in made.values()]
    return int(any(bad))


if __name__ == "__main__":
    sys.exit(main())
