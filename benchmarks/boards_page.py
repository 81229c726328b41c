"""Fills the tables of docs/boards.md: the boards, and what benchmarks/bitstreams.py measured.

``python benchmarks/boards_page.py``
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from common import RESULTS, ROOT

from sterna.boards.catalog import BoardInfo, list_boards
from sterna.net.container import write_text

PAGE = ROOT / "docs" / "boards.md"


def boards_table() -> str:
    """A line a board."""
    lines = [
        "| board | device | oscillator | UART: rx, tx | openFPGALoader | built here |",
        "|---|---|---|---|---|---|",
    ]
    for board in list_boards():
        speed = "" if board.device.speed is None else f", speed {board.device.speed}"
        cells = [
            f"`{board.name}`",
            f"{board.device.part}, {board.device.package}{speed}",
            _oscillator(board),
            "by option" if board.uart is None else ", ".join(board.uart),
            board.loader or "",
            board.known.removesuffix(" built"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _oscillator(board: BoardInfo) -> str:
    text = f"{board.oscillator.hz / 1e6:g} MHz"
    return f"{text}, internal" if board.oscillator.internal else text


def results_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line a bitstream."""
    lines = [
        "| network | board | clock | reached | slots | flip-flops | RAM blocks | beside the accelerator | bytes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        used, more = row["utilization"], row["beside_the_accelerator"]
        cells = [
            f"`{row['model']}`",
            f"`{row['board']}`" + (", pins by option" if row["options"] else ""),
            f"{row['clock_hz'] / 1e6:.2f} MHz",
            f"{row['reached_hz'] / 1e6:.2f} MHz",
            *(_share(used.get(name)) for name in ("slots", "flip_flops", "ram_blocks")),
            f"{more['slots']:,} slots, RAM blocks: {more['ram_blocks']}",
            f"{row['bitstream_bytes']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(figures: dict[str, int] | None) -> str:
    return "" if figures is None else f"{figures['used']:,} of {figures['available']:,}"


def filled(text: str) -> str:
    """The page with its tables as they are now."""
    rows = json.loads((RESULTS / "bitstreams.json").read_text(encoding="utf-8"))["rows"]
    for name, table in (("boards", boards_table()), ("bitstreams", results_table(rows))):
        begin, end = f"<!-- {name}: made by benchmarks/boards_page.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{PAGE.name} must have one place for {name}")
        text = pattern.sub(lambda _, begin=begin, table=table, end=end: f"{begin}\n{table}\n{end}", text)
    return text


def main() -> None:
    """Writes the page."""
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
