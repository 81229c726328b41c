# amaranth: UnusedElaboratable=no
"""``sterna bitstream``: from a network file to a bitstream for a board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.cache import writable_cache
from sterna.cli.generate import configure, parse_units
from sterna.cli.options import MAX_SEEDS, naming, within
from sterna.cli.output import console, facts, print_json, share, steps
from sterna.cli.target import ModelPath, default_folder
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from sterna.boards.build import BoardBuild
    from sterna.boards.catalog import BoardInfo, Oscillator
    from sterna.boards.pins import UartPins
    from sterna.hw import AcceleratorConfig, AcceleratorPlan
    from sterna.net import Network

__all__ = ["bitstream", "parse_uart"]


def bitstream(
    model: ModelPath,
    board: Annotated[
        str, typer.Option(help="Board, as `sterna boards` lists it: icebreaker, ulx3s-85f, ...", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write.", show_default="build/NAME/NAME-BOARD.bin, or .bit (ECP5)"),
    ] = None,
    clock: Annotated[
        float | None,
        typer.Option(
            help="Clock in MHz: the design gets the highest that the board has and that is not above it, or there is "
            "no bitstream.",
            show_default="the highest that place and route reaches",
            callback=within(0.1, 1000),
        ),
    ] = None,
    baud: Annotated[int, typer.Option(min=300, max=12_000_000, help="Bits a second of the UART.")] = 1_000_000,
    uart: Annotated[
        str | None,
        typer.Option(
            help="Pins of the UART, seen from the device, as in rx=A1,tx=B2, or of a connector, as in "
            "rx=pmod_0:1,tx=pmod_0:2. On an ECP5 also io=LVCMOS18 or another standard.",
            show_default="the board's",
        ),
    ] = None,
    oscillator: Annotated[
        str | None, typer.Option(help="Another clock of the board, by its name.", show_default="the board's")
    ] = None,
    lanes: Annotated[
        str | None,
        typer.Option(
            help="Lanes of every layer, as in 8, or of each, as in 8,4,1. Without --lanes and --fps there are as many "
            "as the UART can keep busy, or if those do not fit, as fit.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Lanes for this many frames a second.", show_default=False, callback=within(1e-6, 1e12)),
    ] = None,
    elements_per_beat: Annotated[int, typer.Option(help="Input elements in one beat: a power of two, or all.")] = 1,
    argmax: Annotated[bool, typer.Option(help="Give the class instead of all scores.")] = False,
    units: Annotated[
        str | None, typer.Option(help="Kinds of units, as in fc1=bitserial,fc2=folded.", show_default=False)
    ] = None,
    load: Annotated[
        str | None,
        typer.Option(
            help="Layers whose index words a host loads before the first frame (`sterna load`), on a UP5K into its "
            "large RAM blocks, as in conv2,fc1, or all.",
            show_default=False,
        ),
    ] = None,
    loadable: Annotated[
        float | None,
        typer.Option(
            help="Other networks of the same shapes can be loaded while this one answers: `sterna load`. Room for so "
            "many times the steps that this network takes.",
            show_default=False,
        ),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Convolutions with fewer logic cells of an iCE40, at a lower clock.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, max=MAX_SEEDS, help="Placements that are tried for a clock, at most.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Make a bitstream: the network, its transport over a UART, clock and reset, for a board.

    Beside the bitstream are the Verilog of all that is in it (.v) and the report (.json). Without --clock, a first
    placement finds how fast the design is, and the design is made again for the highest clock of the board's PLL that
    is a little below. Exits with 0 only if the design fits, place and route reached its clock, and it holds no DSP
    block and no multiplication; otherwise nothing is written.
    """
    from sterna.boards.build import build_bitstream
    from sterna.boards.catalog import find_board
    from sterna.boards.design import BUFFER_SLOTS
    from sterna.boards.transport.accelerator import SerialAccelerator
    from sterna.flow.bitstream import SUFFIXES
    from sterna.hw.config import identifier
    from sterna.hw.graph.names import module_name
    from sterna.net.file import load as load_file

    with naming("--board"):
        found = find_board(board)
    source, pins = _oscillator(found, oscillator), None if uart is None else parse_uart(uart)
    out = output or default_folder(model) / f"{model.stem}-{found.name}{SUFFIXES[found.device.family]}"
    _check_place(out)
    if lanes is not None and fps is not None:
        raise InvalidValueError("give --lanes or --fps, not both")
    config = configure(
        lanes=lanes,
        fps=None,
        clock_mhz=None,
        elements_per_beat=elements_per_beat,
        argmax=argmax,
        compact=compact,
        load=None if load is None else tuple(part.strip() for part in load.split(",")),
        loadable=loadable,
        units=None if units is None else parse_units(units),
    )
    with steps() as progress, writable_cache():
        progress(f"fitting {model} to {found.name}")
        network = load_file(model)
        plan = _plan(network, found, config, baud=baud, clock_hz=None if clock is None else clock * 1e6, fps=fps)
        build = build_bitstream(
            lambda hz: SerialAccelerator(plan, clock_hz=hz, baud=baud, slots=BUFFER_SLOTS[found.device.family]),
            board=found,
            name=module_name(identifier(model.stem), given=False),
            out=out,
            clock_hz=None if clock is None else clock * 1e6,
            oscillator=source,
            uart=pins,
            seeds=seeds,
            about=about(network, plan, baud),
            progress=progress,
        )
    if as_json:
        print_json(build.to_json())
    else:
        show(build)


def _plan(
    network: Network,
    board: BoardInfo,
    config: AcceleratorConfig,
    *,
    baud: int,
    clock_hz: float | None,
    fps: float | None,
) -> AcceleratorPlan:
    """The accelerator; lanes as asked for, or for the line."""
    from sterna.boards.design import fit_board, sure_hz
    from sterna.hw import plan_accelerator

    if config.lanes is not None:
        return plan_accelerator(network, config)
    sure = sure_hz(board.device) if clock_hz is None else clock_hz
    if fps is not None:
        config = replace(config, fps=fps, clock_hz=sure)
    return fit_board(network, board.device, baud=baud, clock_hz=sure, config=config).plan


def about(network: Network, plan: AcceleratorPlan, baud: int) -> dict[str, Any]:
    """What the report says of the network and the line."""
    from sterna.boards.design import line_rate
    from sterna.hw.emit.loading import load_words

    return {
        "network_digest": network.digest,
        "lanes": [unit.lanes for unit in plan.units if unit.lanes],
        "config": plan.config.as_json(),
        "load_bytes": len(load_words(plan)),
        "baud": baud,
        "line_frames_per_second": round(line_rate(plan.input, baud), 1),
        "interval_cycles": max(unit.work.interval for unit in plan.units),
    }


def parse_uart(text: str) -> UartPins:
    """``"rx=A1,tx=B2"``, and perhaps ``"io=LVCMOS18"``."""
    from sterna.boards.pins import UartPins

    fields: dict[str, str] = {}
    for part in text.split(","):
        key, found, value = (word.strip() for word in part.partition("="))
        if not found or key not in ("rx", "tx", "io") or not value or key in fields:
            raise InvalidValueError(f"--uart must be like rx=A1,tx=B2, and {text!r} is not")
        fields[key] = value
    if not {"rx", "tx"} <= fields.keys():
        raise InvalidValueError(f"--uart must name both rx and tx, and {text!r} does not")
    io = {"io_type": fields["io"]} if "io" in fields else {}
    return UartPins(rx=fields["rx"], tx=fields["tx"], **io)


def _oscillator(board: BoardInfo, name: str | None) -> Oscillator:
    clocks = {clock.name: clock for clock in (board.oscillator, *board.other_clocks)}
    if name is None:
        return board.oscillator
    if name not in clocks:
        raise InvalidValueError(f"{board.name} has no clock {name!r}; it has {', '.join(clocks)}")
    return clocks[name]


def _check_place(out: Path) -> None:
    """What lies beside a bitstream is written, too: it must not be the network, or Verilog of another's."""
    if out.suffix in ("", ".v", ".json", ".safetensors"):
        raise InvalidValueError(f"--output must be a bitstream's name, as in digits.bin or digits.bit, not {out}")
    verilog, report = out.with_suffix(".v"), out.with_suffix(".json")
    if verilog.exists() and not report.exists():
        raise InvalidValueError(f"{verilog} is there, and it belongs to no bitstream: give another name with --output")


def show(build: BoardBuild) -> None:
    """Print a report."""
    pll, about = build.setting, build.about
    source = f"{build.oscillator.hz / 1e6:g} MHz oscillator"
    rows: dict[str, object] = {
        "bitstream": f"{build.out} ({build.size:,} bytes)",
        "network": about.get("network_digest", ""),
        "board": f"{build.board.name}: {build.board.device}",
        "clock": f"{build.clock_hz / 1e6:.2f} MHz ({'' if pll is None else 'PLL of the '}{source})",
        "reached": f"{build.routed.reached_hz / 1e6:.2f} MHz, seed {build.routed.seed}",
        "UART": f"{about.get('baud', 0):,} baud, "
        + ", ".join(f"{pin.port} at {pin.site}" for pin in build.pins.pins if pin.port in ("rx", "tx")),
        "frames/s": f"{about.get('line_frames_per_second', 0):,} at most over the UART; "
        f"{build.clock_hz / about['interval_cycles']:,.0f} of the accelerator alone",
        "lanes": ", ".join(map(str, about.get("lanes", []))),
    }
    if about.get("load_bytes"):
        how = "while this one answers" if about["config"]["loadable"] else "before the first frame"
        rows["networks"] = f"{about['load_bytes']:,} bytes, loaded {how}"
    for resource, (used, available) in build.routed.packed.utilization.items():
        if available:
            rows[resource.value] = f"{used} of {available} ({share(used / available, 1)})"
    out = console()
    out.print(facts(rows))
    out.print(f"next: sterna program {build.out} --board {build.board.name}")
