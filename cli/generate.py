"""``sterna generate``: from a network file to Verilog."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sterna.cli.output import console, facts, print_json, steps
from sterna.cli.target import ModelPath, OutputFolder, default_folder, make
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from sterna.sim.manifest import Manifest

__all__ = ["generate"]


def generate(
    model: ModelPath,
    output: OutputFolder = None,
    lanes: Annotated[
        str | None,
        typer.Option(
            help="Lanes (adders working at once) of every layer, as in 8, or of each, as in 8,4,1. Without --lanes and "
            "--fps, no layer is slower than the input takes to arrive.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Derive the lanes for this many frames a second; needs --clock-mhz.", show_default=False),
    ] = None,
    clock_mhz: Annotated[
        float | None, typer.Option(help="Clock in MHz that --fps is meant at.", show_default=False)
    ] = None,
    elements_per_beat: Annotated[int, typer.Option(help="Input elements in one beat, a power of two.")] = 1,
    argmax: Annotated[bool, typer.Option(help="Give the class (lowest among equals), or all scores.")] = False,
    slack: Annotated[
        float | None,
        typer.Option(help="Share of a layer's cycles that may be given for fewer index bits.", show_default=False),
    ] = None,
    escape_price: Annotated[
        int | None,
        typer.Option(
            help="Index bits that a stream of escapes has to save to be worth its logic: with more, less logic and "
            "larger memories.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the top module and the files.", show_default="the network file's"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the description (NAME.json).")] = False,
) -> None:
    """Make an accelerator: NAME.v, and NAME.json that describes its ports, units and timing.

    The folder also gets a copy of the network, for `sterna simulate` to compare with. The same network and options give
    the same bytes.
    """
    from sterna.hw import AcceleratorConfig

    config = AcceleratorConfig(
        lanes=parse_lanes(lanes),
        fps=fps,
        clock_hz=None if clock_mhz is None else clock_mhz * 1e6,
        elements_per_beat=elements_per_beat,
        argmax=argmax,
        name=name,
    )
    if slack is not None:
        config = replace(config, slack=slack)
    if escape_price is not None:
        config = replace(config, escape_price=escape_price)
    with steps() as progress:
        progress(f"generating Verilog of {model}")
        manifest = make(model, output or default_folder(model), config)
    if as_json:
        print_json(json.loads(manifest.path.read_text(encoding="utf-8")))
    else:
        show(manifest)


def parse_lanes(text: str | None) -> int | tuple[int, ...] | None:
    """``"8"`` is 8 lanes in every layer, ``"8,4,1"`` gives them layer by layer."""
    if text is None:
        return None
    try:
        lanes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidValueError(
            f"lanes must be a positive integer, or several with commas between, not {text!r}"
        ) from None
    return lanes if len(lanes) > 1 else lanes[0]


def show(manifest: Manifest) -> None:
    """Print what was made."""
    description = json.loads(manifest.path.read_text(encoding="utf-8"))
    weights = description["weights"]
    rows = {
        "network": manifest.network_digest,
        "Verilog": manifest.verilog,
        "latency": f"{manifest.latency_cycles} cycles",
        "interval": f"{manifest.interval_cycles:.12g} cycles a frame",
        "index bits": f"{weights['index_bits']} for {weights['count']} weights, {weights['nonzeros']} not zero",
    }
    if weights["bits_over_entropy"] is not None:
        rows["bits / entropy"] = f"{weights['bits_over_entropy']:.3f}"
    table = Table("unit", "lanes", "rows × columns", "nonzeros", "cycles", "utilization", "index bits", "table bits")
    for unit in description["units"]:
        if unit["kind"] == "dense":
            table.add_row(
                unit["name"],
                str(unit["lanes"]),
                f"{unit['rows']} × {unit['columns']}",
                str(unit["nonzeros"]),
                str(unit["cycles"]),
                f"{100 * unit['utilization']:.1f} %",
                str(unit["index_bits"]),
                str(unit["table_bits"]),
            )
    out = console()
    out.print(facts(rows))
    out.print(table)
