"""LeNet-5 on an iCE40 UP5K, placed and routed, and its Verilog against the golden model.

Most index words are loaded at start, into the SPRAM, which no bitstream fills. Lanes are derived for a rate at a clock;
the convolutions are compact. Test images go through the Verilog as a host would send them, behind the words, while all
memories begin at random. What is in the work folder from an earlier run is taken, if it is of the same Verilog. The
exit status is 1 where a score or the latency differs, or a DSP block, a multiplication or a latch is found.

``python benchmarks/lenet_up5k.py --output benchmarks/results/lenet_up5k.json``
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, ROOT, parser, write
from conv_route import layer_figures

from sterna.cli.frames import test_set
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, generate
from sterna.net import load
from sterna.sim.compare import compare

MODEL = "mnist-lenet5-95"
WORK = ROOT / "build" / "lenet_up5k"
CLOCK_HZ = 40e6
#: Images a second that lanes are derived for at that clock.
RATES = (2_200,)
LOADED = ("conv2", "fc1", "fc2")
#: Share of the steps that may be given for narrower words: 16 bits, where a block of SPRAM has as many.
SLACK = 0.02


def measure(fps: float, images: int, seeds: list[int], work: Path) -> dict[str, Any]:
    """One rate's figures."""
    network = load(MODELS / f"{MODEL}.safetensors")
    config = AcceleratorConfig(fps=fps, clock_hz=CLOCK_HZ, load=LOADED, slack=SLACK, compact=True, name="lenet")
    folder = work / f"{fps}"
    path = generate(network, folder, config=config)
    codes, labels = (array[:images] for array in test_set(network, "mnist"))
    compared = compare(network, path, codes)
    report = folder / "synth" / "report.json"
    sha256 = hashlib.sha256(path.with_suffix(".v").read_bytes()).hexdigest()
    if not report.is_file() or not _is_of(json.loads(report.read_text()), sha256, seeds):
        synthesize(path.with_suffix(".v"), top="lenet", device="up5k", seeds=seeds, out_dir=folder / "synth")
    figures, description = json.loads(report.read_text()), json.loads(path.read_text())
    return {
        "model": MODEL,
        "network_digest": network.digest,
        "test_accuracy": network.metadata["test_accuracy"],
        "fps": fps,
        "clock_hz": CLOCK_HZ,
        "config": description["config"],
        "load": description["load"],
        "images": images,
        "accuracy": float((np.argmax(compared.outputs, axis=1) == labels).mean()),
        "equal": compared.equal and compared.timing_equal,
        "timing": description["timing"],
        "layers": [layer_figures(unit) for unit in description["units"]],
        "images_per_second": figures["clock"]["median_hz"] / description["timing"]["interval_cycles"],
        **{key: figures[key] for key in ("total", "units", "utilization", "clock", "critical_path", "tools")},
        "multipliers": figures["multipliers"],
        "latches": figures["latches"],
    }


def _is_of(report: dict[str, Any], sha256: str, seeds: list[int]) -> bool:
    """Whether a report is of this Verilog and these seeds."""
    return report["verilog_sha256"] == sha256 and set(report["clock"]["by_seed"]) == {str(seed) for seed in seeds}


def main() -> int:
    """Measures, prints a line a rate, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=3, help="seeds of place and route, from 1 (default: %(default)s)")
    command.add_argument("--images", type=int, default=20, help="MNIST test images to simulate (default: %(default)s)")
    command.add_argument("--work", type=Path, default=WORK, help="folder of earlier runs (default: build/lenet_up5k)")
    arguments = command.parse_args()
    rows = []
    for fps in RATES:
        row = measure(fps, arguments.images, list(range(1, arguments.seeds + 1)), arguments.work)
        rows.append(row)
        print(
            f"{MODEL} on up5k: {row['images_per_second']:,.0f} images/s, {row['clock']['median_hz'] / 1e6:.1f} MHz, "
            f"{row['timing']['interval_cycles']:,} cycles, {row['total']['slots']:,} slots, "
            f"{row['total']['ram_blocks']} RAM blocks, {row['total']['spram_blocks']} SPRAM blocks; "
            f"{row['images']} images {'equal' if row['equal'] else 'DIFFERENT'}",
            flush=True,
        )
    write(arguments.output, ("amaranth", "cocotb", "numpy"), {"rows": rows})
    found = [sum([*row["multipliers"].values(), *row["latches"].values(), row["total"]["dsps"]]) for row in rows]
    return int(any(found) or not all(row["equal"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
