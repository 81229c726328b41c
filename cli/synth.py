"""``sterna synth``: resources and clock in a device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sterna.cli.cache import writable_cache
from sterna.cli.options import MAX_SEEDS, naming, within
from sterna.cli.output import BLOCK_ALONE, console, facts, interval, print_json, read_json, steps
from sterna.cli.target import OutputFolder, TargetPath, open_target

if TYPE_CHECKING:
    from sterna.flow.devices import Device
    from sterna.flow.synth import SynthesisReport

__all__ = ["find", "rate", "report_folder", "synth"]

_MIN_MHZ, _MAX_MHZ = 0.001, 10_000  # what nextpnr takes, and a device can be meant to reach


def synth(
    target: TargetPath,
    device: Annotated[
        str, typer.Option(help="Device: up5k, hx8k (iCE40), 25f, 45f or 85f (ECP5).", show_default=False)
    ],
    output: OutputFolder = None,
    speed: Annotated[int | None, typer.Option(help="Speed grade of an ECP5: 6, 7 or 8.", show_default="6")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=MAX_SEEDS, help="Place and route this often; the median clock counts.")
    ] = 1,
    freq_mhz: Annotated[
        float | None,
        typer.Option(
            help="Clock to ask for, in MHz.",
            show_default="above what the device reaches",
            callback=within(_MIN_MHZ, _MAX_MHZ),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Synthesize, place and route with Yosys and nextpnr.

    The folder synth-DEVICE beside the Verilog gets the report, the netlist and the logs. Clock and frames/s are of the
    block alone, without pins. Exits with 0 only if the design fits, and holds no DSP block, multiplication or latch.
    The environment variables YOSYS, NEXTPNR_ICE40 and NEXTPNR_ECP5 name native tools; without them, YoWASP's are used.
    """
    from sterna.flow.synth import check_no_multiplier, synthesize

    found = find(device, speed)
    with steps() as progress:
        manifest, _ = open_target(target, output, progress)
        with writable_cache():
            report = synthesize(
                manifest.verilog,
                top=manifest.name,
                device=found,
                out_dir=report_folder(manifest.path.parent, found),
                seeds=range(1, seeds + 1),
                freq=None if freq_mhz is None else freq_mhz * 1e6,
                progress=progress,
            )
    timing = read_json(manifest.path)["timing"]
    if as_json:
        print_json({**report.to_json(), **rate(timing, report.clock.median_hz if report.clock else None)})
    else:
        show(report, timing)
    check_no_multiplier(report)


def find(device: str, speed: int | None = None, *, option: str = "--device") -> Device:
    """The device that the options name."""
    from sterna.flow.devices import find_device

    with naming(option):
        find_device(device)
    with naming("--speed"):
        return find_device(device, speed=speed)


def rate(timing: Mapping[str, Any], clock_hz: float | None) -> dict[str, Any]:
    """The interval, and how many frames a second it gives at a clock."""
    cycles = timing["interval_cycles"]
    return {
        "interval_cycles": cycles,
        "largest_gap_cycles": timing["largest_gap_cycles"],
        "images_per_second": None if clock_hz is None else round(clock_hz / cycles),
        "images_per_second_is": BLOCK_ALONE,
    }


def report_folder(folder: Path, device: Device) -> Path:
    """Where the report of a device goes, beside the Verilog."""
    return folder / ("synth-" + device.name + ("" if device.speed in (None, 6) else f"-{device.speed}"))


def show(report: SynthesisReport, timing: Mapping[str, Any]) -> None:
    """Print a report, with the frames a second by the timing that NAME.json states."""
    rows: dict[str, object] = {"network": report.network_digest, "device": str(report.device)}
    clock, path = report.clock, report.critical_path
    if clock:
        seeds = f"median of {len(clock.by_seed)} seeds, {clock.min_hz / 1e6:.1f} to {clock.max_hz / 1e6:.1f}"
        rows["clock"] = f"{clock.median_hz / 1e6:.1f} MHz" + (
            f" ({seeds})" if len(clock.by_seed) > 1 else " (one seed)"
        )
        rows["frames/s"] = f"{rate(timing, clock.median_hz)['images_per_second']:,} ({BLOCK_ALONE})"
    rows["interval"] = interval(timing)
    if path:
        rows["critical path"] = " → ".join(path.components)
        rows[""] = (
            f"{path.delay_ns:.2f} ns: logic {path.logic_ns:.2f}, routing {path.routing_ns:.2f}, {path.cells} cells"
        )
    for resource, (used, available) in report.utilization.items():
        if available:
            rows[resource.value] = f"{used} of {available} ({100 * used / available:.1f} %)"
    rows["multiplications"] = sum(report.multipliers.values())
    rows["tools"] = ", ".join(report.tools.values())
    table = Table("unit", "LUT4", "carry", "slots", "flip-flops", "RAM blocks", "SPRAM", "distributed RAM", "DSP")
    for name, r in [*report.units.items(), ("total", report.total)]:
        if name == "total":
            table.add_section()
        cells = (r.lut4, r.carry, r.slots, r.flip_flops, r.ram_blocks, r.spram_blocks, r.distributed_ram, r.dsps)
        table.add_row(name, *map(str, cells))
    out = console()
    out.print(facts(rows))
    out.print(table)
