"""What one dense unit costs: 784 × 128 at 95 % zeros, everything between its streams but the requantization.

Weights are random with a fixed seed. The unit is placed and routed with each of ``--seeds``; the clock is their median.

=====  ============================  =====  ===========  ===================================================
row    device                        lanes  activations  what else
=====  ============================  =====  ===========  ===================================================
1, 2   ECP5-85F, speed 6             8      8 bits       without and with the block RAMs' output registers
3, 4   ECP5-85F, speed 6             8      4 bits       the same
5      iCE40 UP5K                    4      4 bits
6      ECP5-85F, speed 6             8      8 bits       as row 2, with words that have no escapes
=====  ============================  =====  ===========  ===================================================

Then an accelerator of that one layer is synthesized as in row 2, and its netlist simulated at gate level on random
frames, with and without stalls: every score has to equal the golden model's, every cycle the computed timing. The exit
status is 1 where one does not.

``python benchmarks/dense_unit.py --output benchmarks/results/dense_unit.json``
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog
from common import PLAIN, parser, write

from sterna.flow.gate_level import write_gates
from sterna.flow.synth import synthesize
from sterna.hw import AcceleratorConfig, generate
from sterna.hw.config import ESCAPE_PRICE
from sterna.hw.graph.lower import lower
from sterna.hw.units.dense.component import DenseUnit
from sterna.hw.units.dense.plan import plan_dense
from sterna.net import ActivationType, Linear, Network
from sterna.sim.gate_level import GateLevelModel
from sterna.sim.golden import GoldenModel
from sterna.sim.stalls import RandomStall

SEED = 0
ROWS, COLUMNS, ZEROS = 128, 784, 0.95
FRAMES = 80  # the interval is measured over 64
NAME = "dense_unit"
# device, lanes, bits of an activation, output registers, price of a stream of escapes
CASES = [
    ("85f", 8, 8, False, ESCAPE_PRICE),
    ("85f", 8, 8, True, ESCAPE_PRICE),
    ("85f", 8, 4, False, ESCAPE_PRICE),
    ("85f", 8, 4, True, ESCAPE_PRICE),
    ("up5k", 4, 4, False, ESCAPE_PRICE),
    ("85f", 8, 8, True, PLAIN),
]


def layer(width: int) -> Network:
    """The layer as a network."""
    rng = np.random.default_rng(SEED)
    weights = (rng.random((ROWS, COLUMNS)) > ZEROS) * rng.choice([-1, 1], (ROWS, COLUMNS))
    return Network(
        input_shape=(COLUMNS,),
        input_type=ActivationType(width, False),
        input_scale=1.0,
        nodes=[Linear(name="fc", weights=weights.astype(np.int8))],
    )


def place(
    device: str, lanes: int, width: int, output_registers: bool, escape_price: int, seeds: list[int]
) -> dict[str, Any]:
    """Cost and clock of the unit."""
    network = layer(width)
    plan = plan_dense(lower(network)[0], lanes=lanes, escape_price=escape_price)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.v"
        unit = DenseUnit(plan)
        path.write_text(verilog.convert(unit, name=NAME, emit_src=False, strip_internal_attrs=True), encoding="utf-8")
        report = synthesize(
            path,
            top=NAME,
            device=device,
            out_dir=Path(folder) / "out",
            seeds=seeds,
            output_registers=output_registers,
        )
    assert report.clock is not None
    written = report.to_json()
    return {
        "device": device,
        "part": str(report.device),
        "lanes": lanes,
        "activation_bits": width,
        "output_registers": written["output_registers"],
        "escapes": escape_price != PLAIN,
        "index_bits": plan.schedule.bits,
        "cycles": plan.schedule.steps,
        "fifo_depth": plan.fifo_depth,
        "resources": written["total"],
        # tables and carry cells alone, without the output FIFO's 16 × 4-bit memories made of tables
        "logic_slots": report.total.slots - 4 * report.total.distributed_ram,
        "utilization": written["utilization"],
        "clock": written["clock"],
        "critical_path": written["critical_path"],
        "commands": written["commands"],
        "tools": written["tools"],
    }


def check(seeds: list[int]) -> dict[str, Any]:
    """Gate-level simulation of the layer's accelerator against the golden model."""
    network = layer(8)
    frames = np.random.default_rng(SEED).integers(0, 256, (FRAMES, COLUMNS))
    expected = GoldenModel(network).predict(frames)
    with tempfile.TemporaryDirectory() as folder:
        path = generate(network, folder, config=AcceleratorConfig(lanes=8, name=NAME))
        out = Path(folder) / "out"
        report = synthesize(path.with_suffix(".v"), top=NAME, device="85f", out_dir=out, seeds=seeds[:1])
        gates = Path(folder) / "gates.v"
        write_gates(out / "mapped.json", gates, top=NAME, family=report.device.family)
        free = GateLevelModel(path, gates)
        scores = free.predict(frames)
        stalled = GateLevelModel(
            path, gates, input_stall=RandomStall(share=0.3), output_stall=RandomStall(share=0.6), seed=SEED
        )
        timing = json.loads(path.read_text(encoding="utf-8"))["timing"]
        measured = {"latency_cycles": free.latency_cycles, "interval_cycles": free.interval_cycles}
        return {
            "frames": FRAMES,
            "simulator": free.simulator.value,
            "output_registers": report.to_json()["output_registers"],
            "timing": {"computed": timing, "measured": measured},
            "equal": bool((scores == expected).all()),
            "equal_with_stalls": bool((stalled.predict(frames) == expected).all()),
            "timing_equal": free.interval is not None and not free.timing.differences(free.manifest),
        }


def main() -> int:
    """Measures, prints a line a row, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=5, help="seeds of place and route, from 1 (default: %(default)s)")
    arguments = command.parse_args()
    seeds = list(range(1, arguments.seeds + 1))
    rows = []
    for case in CASES:
        rows.append(place(*case, seeds))
        show(rows[-1])
    gates = check(seeds)
    good = gates["equal"] and gates["equal_with_stalls"] and gates["timing_equal"]
    print(f"gate level: {'equal' if good else 'DIFFERENT'} on {FRAMES} frames")
    figures = {
        "seed": SEED,
        "place_and_route_seeds": seeds,
        "layer": {"rows": ROWS, "columns": COLUMNS, "zeros": layer(8).zeros},
        "rows": rows,
        "gate_level": gates,
    }
    write(arguments.output, ("amaranth", "numpy"), figures)
    return 0 if good else 1


def show(row: dict[str, Any]) -> None:
    """One line a row."""
    registers = row["output_registers"]
    print(
        f"{row['part']}, {row['lanes']} lanes, {row['activation_bits']} bits: {row['logic_slots']} slots, "
        f"{row['clock']['median_hz'] / 1e6:.1f} MHz ({row['clock']['min_hz'] / 1e6:.1f} to "
        f"{row['clock']['max_hz'] / 1e6:.1f}), {row['cycles']} cycles"
        + (f", {registers['folded']} ports with output registers" if registers else ""),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
