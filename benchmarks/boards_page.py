"""The parts of docs/results.md about boards, and the tables of docs/boards.md: boards, and their bitstreams.

``python benchmarks/boards_page.py``
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from common import RESULTS, ROOT
from tables import percent, table

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


def bitstreams(result: dict[str, Any]) -> str:
    """One command each."""
    return (
        "## Bitstreams\n\n"
        + results_table(result["rows"])
        + "\n\n`sterna bitstream MODEL --board NAME`, one command each: clock of the PLL, and what place and route "
        "reached. Must: iCEBreaker and ULX3S; aim: three more boards. No physical board was used.\n"
    )


def transport(result: dict[str, Any]) -> str:
    """What the protocol and its logic cost."""
    line, added = result["line"], result["logic"]["added"]
    directions = (("to the board", "to_board"), ("to the host", "to_host"), ("both", "both"))
    rows = [
        [name, f"{line[key]['payload_bytes']:,}", f"{line[key]['wire_bytes']:,}", percent(line[key]["share"], 1)]
        for name, key in directions
    ]
    return (
        "## Transport over a UART\n\n"
        + table(["direction", "payload, bytes", "on the wire", "share"], rows)
        + f"\n{line['images']} digits through the simulated pins ({result['simulator']}), "
        f"{line['baud'] / 1e6:g} Mbaud: {'equal to' if line['equal'] else '**NOT EQUAL** to'} the golden model's "
        "scores. Must / aim: 80 % / 95 %. Transport and registers take "
        f"{added['logic slots']} logic cells and {added['RAM blocks']} RAM blocks of a {result['logic']['device']} "
        "(must / aim: 600 / 350 cells).\n"
    )


def faults(result: dict[str, Any]) -> str:
    """What was done to the line, and what came of it."""
    rows = [[name, f"{count:,}"] for name, count in result["faults"].items()]
    return (
        "## Faults on the line\n\n"
        + table(["fault", "how often"], rows)
        + f"\n{result['faults_total']:,} faults in {result['runs']} runs: {result['wrong']} wrong results were "
        f"accepted, {result['hangs']} runs hung, {result['recovered']} of {result['runs']} recovered in the end. The "
        f"host gave up with an error {result['errors_raised']} times, and began {result['sessions']:,} sessions. Must "
        "/ aim: 0 wrong and 0 hangs of 1,000 / of 10,000. Simulated pins, Verilator, the real host.\n"
    )


def swaps(result: dict[str, Any]) -> str:
    """How often networks replaced each other, and what came of it."""
    shape, turn = " to ".join(map(str, result["shape"])), "in" if result["in_turn"] else "OUT OF"
    return (
        "## Networks that replace each other while frames flow\n\n"
        f"{result['swaps']:,} loads of {result['networks']} networks of {shape} features, {result['load_bytes']} bytes "
        f"each, by a second thread while {result['frames']:,} frames were computed; {result['swaps_inside_batches']:,} "
        f"of them ended between two frames of one batch. {result['wrong']} results were not those of the network that "
        f"the host named; networks came {turn} turn. Must / aim: 0 wrong in 100 swaps / in 1,000. Simulated pins, "
        "Verilator, the real host.\n"
    )


def filled(text: str) -> str:
    """The page with its tables as they are now."""
    rows = json.loads((RESULTS / "bitstreams.json").read_text(encoding="utf-8"))["rows"]
    for name, lines in (("boards", boards_table()), ("bitstreams", results_table(rows))):
        begin, end = f"<!-- {name}: made by benchmarks/boards_page.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{PAGE.name} must have one place for {name}")
        text = pattern.sub(lambda _, begin=begin, lines=lines, end=end: f"{begin}\n{lines}\n{end}", text)
    return text


def main() -> None:
    """Writes the page."""
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
