"""The whole 98 % zeros MNIST network, placed and routed: images a second on an iCE40 UP5K and an ECP5-25F.

Images/s = median clock of the seeds / interval. The lanes of each device are those that its RAM blocks (UP5K) or its
input width (25F) allow; the last row is the 25F's with words that have no escapes. The exit status is 1 where a DSP
block, a multiplication or a latch is found.

``python benchmarks/mnist_route.py --output benchmarks/results/mnist_route.json``
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import MODELS, PLAIN, parser, write

from sterna.flow.synth import check_no_multiplier, synthesize
from sterna.hw import AcceleratorConfig, generate
from sterna.hw.config import ESCAPE_PRICE
from sterna.hw.graph.plan import plan_accelerator
from sterna.net import Network, load

MODEL = "mnist-mlp-98"
# device, lanes of each layer, input elements a beat, price of a stream of escapes
CASES = [("up5k", (4, 2, 1), 1, ESCAPE_PRICE), ("25f", (16, 9, 4), 4, ESCAPE_PRICE), ("25f", (16, 9, 4), 4, PLAIN)]


def place(
    network: Network, device: str, lanes: tuple[int, ...], elements: int, escape_price: int, seeds: list[int]
) -> dict[str, Any]:
    """One device's figures."""
    with tempfile.TemporaryDirectory() as folder:
        config = AcceleratorConfig(lanes=lanes, elements_per_beat=elements, escape_price=escape_price, name="mnist")
        path = generate(network, folder, config=config)
        timing = json.loads(path.read_text())["timing"]
        units = plan_accelerator(network, config).units
        report = synthesize(
            path.with_suffix(".v"), top="mnist", device=device, seeds=seeds, out_dir=Path(folder) / "synth"
        )
    check_no_multiplier(report)
    figures = report.to_json()
    return {
        "device": device,
        "lanes": lanes,
        "elements_per_beat": elements,
        "escapes": escape_price != PLAIN,
        "index_bits": sum(unit.schedule.bits for unit in units),
        **timing,
        "images_per_second": figures["clock"]["median_hz"] / timing["interval_cycles"],
        **{key: figures[key] for key in ("total", "units", "utilization", "clock", "critical_path", "tools")},
        "multipliers": figures["multipliers"],
        "latches": figures["latches"],
    }


def main() -> int:
    """Measures, prints a line a device, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=5, help="seeds of place and route, from 1 (default: %(default)s)")
    arguments = command.parse_args()
    network = load(MODELS / f"{MODEL}.safetensors")
    seeds = list(range(1, arguments.seeds + 1))
    rows = []
    for case in CASES:
        row = place(network, *case, seeds)
        rows.append(row)
        print(
            f"{row['device']}: {row['images_per_second']:,.0f} images/s, {row['clock']['median_hz'] / 1e6:.1f} MHz, "
            f"{row['interval_cycles']} cycles, {row['total']['slots']} slots, {row['total']['ram_blocks']} RAM blocks",
            flush=True,
        )
    write(
        arguments.output,
        ("amaranth",),
        {"model": MODEL, "network_digest": network.digest, "place_and_route_seeds": seeds, "rows": rows},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
