"""The parts of docs/results.md about boards, and what is measured in docs/boards.md: boards, bitstreams, examples.

``python benchmarks/boards_page.py``
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path
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


def example_parts(rows: Sequence[dict[str, Any]]) -> str:
    """A part for each example: its commands, its bitstream, and what it printed without a board."""
    header = ["clock", "reached", "slots", "flip-flops", "RAM blocks", "DSP blocks", "lanes", "bytes", "made in"]
    parts = []
    for row in rows:
        made, pins, script = row["bitstream"], row["pins"], f"examples/boards/{row['name']}.py"
        (title, about), commands = described(ROOT / script)
        parts += [
            f"### {title}",
            f"[{script}](../{script}): {about}",
            "\n".join(["```", *commands, "```"]),
            table(header, [[*_built(made), f"{made['seconds']:.0f} s"]]).rstrip(),
            f"`{pins['command']}` simulates the board and prints:",
            "\n".join(["```", *pins["printed"], "```"]),
        ]
    return "\n\n".join(parts)


def described(script: Path) -> tuple[list[str], list[str]]:
    """What an example's docstring says: title and rest of its first line, and the commands for a board."""
    text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    first, *rest = text.split("\n\n")
    block = next(part for part in rest if part.startswith("    "))
    return first.split(": ", 1), [line.strip() for line in block.splitlines()]


def _built(made: dict[str, Any]) -> list[str]:
    return [
        f"{made['clock_hz'] / 1e6:.2f} MHz",
        f"{made['reached_hz'] / 1e6:.2f} MHz",
        *(_share(made["utilization"].get(name)) for name in ("slots", "flip_flops", "ram_blocks", "dsps")),
        ", ".join(map(str, made["lanes"])),
        f"{made['bitstream_bytes']:,}",
    ]


def examples(result: dict[str, Any]) -> str:
    """Frames through the pins of the examples' boards."""
    rows = [
        [
            f"`{row['name']}`",
            f"`{row['model']}` on `{row['board']}`",
            f"{row['bitstream']['clock_hz'] / 1e6:.2f} MHz",
            _share(row["bitstream"]["utilization"]["slots"]),
            _share(row["bitstream"]["utilization"]["ram_blocks"]),
            row["pins"]["frames"],
            f"**{row['pins']['different']} DIFFER**" if row["pins"]["different"] else "all",
            percent(row["pins"]["right"] / row["pins"]["frames"]),
            percent(row["pins"]["frame_bytes"] / row["pins"]["sent_bytes"], 1),
            percent(row["pins"]["result_bytes"] / row["pins"]["received_bytes"], 1),
            percent(_payload(row["pins"]), 1),
            f"{row['pins']['seconds']:.0f} s",
        ]
        for row in result["rows"]
    ]
    header = [
        "example",
        "design",
        "clock",
        "slots",
        "RAM blocks",
        "frames",
        "equal",
        "right",
        "payload sent",
        "received",
        "both",
        "simulated in",
    ]
    return (
        "## Examples for boards\n\n"
        + table(header, rows)
        + "\nClock, slots and RAM blocks are the bitstream's. Frames go through the pins of the simulated board "
        f"({result['simulator']}), at its oscillator's clock, by the host that talks to boards; *equal* is to the "
        "golden model. Must: digits through the pins; aim: 100 MNIST images. Payload: frames of the bytes sent, "
        "results of those received; a board answers every packet of frames, so few results are a small share. Seconds "
        "with the build. No physical board was used.\n"
    )


def _payload(pins: dict[str, int]) -> float:
    return (pins["frame_bytes"] + pins["result_bytes"]) / (pins["sent_bytes"] + pins["received_bytes"])


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
    places = {
        "boards": boards_table(),
        "bitstreams": results_table(_rows("bitstreams")),
        "examples": example_parts(_rows("board_examples")),
    }
    for name, lines in places.items():
        begin, end = f"<!-- {name}: made by benchmarks/boards_page.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{PAGE.name} must have one place for {name}")
        text = pattern.sub(lambda _, begin=begin, lines=lines, end=end: f"{begin}\n{lines}\n{end}", text)
    return text


def _rows(name: str) -> list[dict[str, Any]]:
    return list(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"])


def main() -> None:
    """Writes the page."""
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
