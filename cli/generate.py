"""``sterna generate``: from a network file to Verilog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sterna.cli.fit import fit_model, show_fit
from sterna.cli.options import naming, within
from sterna.cli.output import console, facts, interval, print_json, read_json, steps
from sterna.cli.synth import find
from sterna.cli.target import ModelPath, OutputFolder, default_folder, make
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from sterna.hw import AcceleratorConfig
    from sterna.sim.manifest import Manifest

__all__ = ["configure", "generate", "parse_units"]

#: Of --units: what is best in the device.
AUTO = "auto"


def generate(
    model: ModelPath,
    output: OutputFolder = None,
    lanes: Annotated[
        str | None,
        typer.Option(
            help="Lanes (adders working at once) of every layer, as in 8, or of each, as in 8,4,1. Without --lanes, "
            "--fit and --fps, no layer is slower than the input takes to arrive.",
            show_default=False,
        ),
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            help="Choose lanes, and index words with escapes or without, so that the accelerator is as fast as this "
            "device holds: up5k, hx8k, 25f, 45f or 85f. With --fps, say whether it holds that rate.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Derive the lanes for this many frames a second; needs --clock-mhz.",
            show_default=False,
            callback=within(1e-6, 1e12),
        ),
    ] = None,
    clock_mhz: Annotated[
        float | None,
        typer.Option(help="Clock in MHz that --fps is meant at.", show_default=False, callback=within(1e-6, 1e6)),
    ] = None,
    elements_per_beat: Annotated[int, typer.Option(help="Input elements in one beat: a power of two, or all.")] = 1,
    argmax: Annotated[
        bool, typer.Option(help="Give the class (the lowest index among equal scores) instead of all scores.")
    ] = False,
    slack: Annotated[
        float | None,
        typer.Option(
            help="Share of a layer's cycles that may be given for fewer index bits, from 0 to 1.", show_default=False
        ),
    ] = None,
    escape_price: Annotated[
        int | None,
        typer.Option(
            help="Index bits that a stream of escapes has to save to be worth its logic: with more, less logic and "
            "larger memories.",
            show_default=False,
        ),
    ] = None,
    load: Annotated[
        str | None,
        typer.Option(
            help="Layers whose index words a host loads when the accelerator starts, as in conv2,fc1, or all: "
            "NAME.load.bin holds them, and the large single-port RAM of an iCE40 UP5K takes them.",
            show_default=False,
        ),
    ] = None,
    loadable: Annotated[
        float | None,
        typer.Option(
            help="Other networks of the same shapes can be loaded while the accelerator runs. Room for so many times "
            "the steps that this network takes: 1.5 is for one with half as many nonzero weights more. Folded dense "
            "layers only; every frame takes as long as there is room for.",
            show_default=False,
        ),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="Convolutions with fewer logic cells of an iCE40, at a lower clock."),
    ] = False,
    units: Annotated[
        str | None,
        typer.Option(
            help="Kinds of units, as in fc1=bitserial,fc2=folded, or all=unrolled; with --fit also auto, which chooses "
            "what is fastest there, or for --fps what is smallest. Unrolled and bit-serial units have "
            "an adder for every nonzero weight: one takes a dense layer's frame every cycle, the other in about a "
            "dozen cycles and less logic; a folded one is small.",
            show_default=False,
        ),
    ] = None,
    adder_levels: Annotated[
        int | None,
        typer.Option(
            help="Levels of adders of an unrolled unit between registers: with more, fewer registers and a lower "
            "clock.",
            show_default="2",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the top module and the files.", show_default="the network file's"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the description (NAME.json).")] = False,
) -> None:
    """Make an accelerator: NAME.v, and NAME.json that describes its ports, units and timing.

    With --load, also NAME.load.bin, whose bytes the accelerator needs before the first frame. With --loadable, the same
    file has the words of this network, which the Verilog has too.
    The folder also gets a copy of the network, for `sterna simulate` to compare with. The same network and options give
    the same bytes. A folder has one accelerator: made again, it is replaced, and what was simulated and synthesized of
    the old one counts no more.
    """
    if fit is not None and lanes is not None:
        raise InvalidValueError("give --lanes or --fit, not both")
    if units == AUTO and fit is None:
        raise InvalidValueError("--units auto needs --fit: which units are best depends on the device")
    config = configure(
        lanes=lanes,
        fps=fps,
        clock_mhz=clock_mhz,
        elements_per_beat=elements_per_beat,
        argmax=argmax,
        slack=slack,
        escape_price=escape_price,
        compact=compact,
        adder_levels=adder_levels,
        load=None if load is None else tuple(part.strip() for part in load.split(",")),
        loadable=loadable,
        units=None if units in (None, AUTO) else parse_units(units),
        name=name,
    )
    with steps() as progress:
        fitted = None
        if fit is not None:
            progress(f"fitting {model} to {fit}")
            fitted = fit_model(
                model,
                find(fit, option="--fit"),
                config,
                escape_price=escape_price,
                kinds=units == AUTO,
                progress=lambda units: progress(f"fitting {model} to {fit}: {units}"),
            )
            config = fitted.config
        progress(f"generating Verilog of {model}")
        manifest, replaced = make(model, output or default_folder(model), config)
        if replaced:
            progress.note(replaced)
    description = read_json(manifest.path)
    if as_json:
        print_json(description)
    else:
        show(manifest, description)
        if fitted is not None:
            show_fit(fitted)


def configure(
    *,
    lanes: str | None,
    fps: float | None,
    clock_mhz: float | None,
    **options: int | float | str | tuple[str, ...] | Mapping[str, str] | None,
) -> AcceleratorConfig:
    """The configuration that the options ask for; those that are ``None`` are left at their defaults."""
    from sterna.hw import AcceleratorConfig

    if (fps is None) != (clock_mhz is None):
        raise InvalidValueError("--fps and --clock-mhz go together: lanes are derived from the cycles of a frame")
    if lanes is not None and fps is not None:
        raise InvalidValueError("give --lanes or --fps, not both")
    fields: dict[str, Any] = {field: value for field, value in options.items() if value is not None}
    with naming("--lanes"):
        config = AcceleratorConfig(lanes=parse_lanes(lanes))
    for field, value in fields.items():
        with naming("--" + field.replace("_", "-")):
            config = replace(config, **{field: value})
    return replace(config, fps=fps, clock_hz=None if clock_mhz is None else clock_mhz * 1e6)


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


def parse_units(text: str) -> dict[str, str]:
    """``"fc1=bitserial,fc2=folded"`` by node."""
    units: dict[str, str] = {}
    for part in text.split(","):
        node, found, kind = (word.strip() for word in part.partition("="))
        if not found or not node or not kind:
            raise InvalidValueError(f"--units must be like fc1=bitserial,fc2=folded, and {part.strip()!r} is not")
        if node in units:
            raise InvalidValueError(f"--units names {node} twice")
        units[node] = kind
    return units


def show(manifest: Manifest, description: dict[str, Any]) -> None:
    """Print what was made."""
    weights = description["weights"]
    rows = {
        "network": manifest.network_digest,
        "Verilog": manifest.verilog,
        "latency": f"{manifest.latency_cycles:,} cycles",
        "interval": interval(description["timing"]),
        "index bits": f"{weights['index_bits']} for {weights['count']} weights, {weights['nonzeros']} not zero",
    }
    if manifest.load_port is not None:
        units = ", ".join(dict.fromkeys(memory["unit"] for memory in description["load"]["memories"]))
        rows["can be loaded" if manifest.load_port.keeps else "to be loaded"] = (
            f"{manifest.load_file}: {manifest.load_port.size:,} bytes, words of {units}"
        )
    if weights["bits_over_entropy"] is not None:
        rows["bits / entropy"] = f"{weights['bits_over_entropy']:.3f}"
    table = Table(
        "unit", "kind", "lanes", "output", "nonzeros", "cycles", "beats", "results", "utilization", "index bits"
    )
    for unit in description["units"]:
        weighted, folded = "nonzeros" in unit, "index_bits" in unit
        table.add_row(
            ", ".join(unit["nodes"]) or unit["name"],
            unit["kind"],
            str(unit["lanes"]) if weighted else "",
            " × ".join(map(str, unit["output"]["shape"])),
            str(unit["nonzeros"]) if weighted else "",
            str(unit["cycles"]),
            str(unit["beats"]),
            str(unit["results"]),
            f"{100 * unit['utilization']:.1f} %" if folded else "",
            str(unit["index_bits"]) if folded else "",
        )
    out = console()
    out.print(facts(rows))
    out.print(table)
