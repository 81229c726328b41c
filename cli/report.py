"""``sterna report``: everything that is known about an accelerator, in one table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sterna.cli.output import BLOCK_ALONE, console, facts, interval, number, print_json, read_json, share
from sterna.cli.simulate import RESULT
from sterna.cli.synth import rate
from sterna.cli.target import load_accelerator
from sterna.net.errors import InvalidValueError

__all__ = ["collect", "report", "show"]

# What NAME.json says of the time between frames.
_TIMING = ("interval_cycles", "period_cycles", "period_frames", "largest_gap_cycles")


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `sterna generate` made.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Gather what generate, simulate and synth left in a folder: accuracy, zeros, bits, cycles, images/s, resources.

    Nothing is run. Figures of other Verilog than the folder's are refused. Images/s are clock / interval, of the block
    alone, without pins.
    """
    figures = collect(folder)
    if as_json:
        print_json(figures)
    else:
        show(figures)


def collect(folder: Path, *, reports: Iterable[Path] | None = None) -> dict[str, Any]:
    """The figures of an accelerator's folder.

    Parameters
    ----------
    folder : Path
    reports : paths, optional
        The reports of synthesis that count. By default all in the folder.

    Raises
    ------
    ValueError
        If a report was made of other Verilog, or lacks a figure.
    """
    from sterna.flow.synth import REPORT

    manifest, network = load_accelerator(folder)
    folder = manifest.path.parent
    description = read_json(manifest.path)
    if reports is None:
        reports = sorted(folder.glob(f"synth-*/{REPORT}"))
    verilog = hashlib.sha256(manifest.verilog.read_bytes()).hexdigest()
    simulation = _read(folder / RESULT, verilog) if (folder / RESULT).is_file() else None
    devices = []
    for path in reports:
        synthesis = _read(path, verilog)
        try:
            devices.append(_device(synthesis, description["timing"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidValueError(f"{path}: {error} is missing or wrong; run `sterna synth` again") from None
    accuracy = network.metadata.get("test_accuracy")
    return {
        "name": manifest.name,
        "network_digest": manifest.network_digest,
        "test_accuracy": accuracy if isinstance(accuracy, int | float) else None,
        "weights": description["weights"],
        "zeros": network.zeros,
        "lanes": [unit["lanes"] for unit in description["units"] if "lanes" in unit],
        "latency_cycles": manifest.latency_cycles,
        **{name: description["timing"][name] for name in _TIMING},
        "images_per_second_is": BLOCK_ALONE,
        "simulation": simulation,
        "devices": devices,
    }


def _read(path: Path, verilog: str) -> dict[str, Any]:
    """A result that was found with the Verilog of this hash."""
    content = read_json(path)
    if content.get("verilog_sha256") != verilog:
        raise InvalidValueError(f"{path}: made of other Verilog than the folder's; run that command again")
    return content


def _device(synthesis: Mapping[str, Any], timing: Mapping[str, Any]) -> dict[str, Any]:
    clock = synthesis["clock"]
    return {
        "device": synthesis["device"],
        "total": synthesis["total"],
        "utilization": synthesis["utilization"],
        "multipliers": sum(synthesis["multipliers"].values()),
        "clock": clock,
        "images_per_second": rate(timing, clock["median_hz"] if clock else None)["images_per_second"],
    }


def show(figures: dict[str, Any]) -> None:
    """Print the figures as one table, a row for each device."""
    weights, simulation = figures["weights"], figures["simulation"]
    accuracy = figures["test_accuracy"] if simulation is None else simulation.get("accuracy", figures["test_accuracy"])
    checked = "not simulated yet: run `sterna simulate`"
    if simulation is not None:
        checked = f"{simulation['frames']} frames, every value equal to the golden model"
    over = "" if weights["bits_over_entropy"] is None else f" ({weights['bits_over_entropy']:.2f} × entropy)"
    columns = "device, accuracy, zeros, index bits, cycles, images/s, LUT4, slots, RAM blocks, clock, DSP"
    table = Table(*columns.split(", "), title=figures["name"])
    for entry in figures["devices"]:
        clock, total, used = entry["clock"], entry["total"], entry["utilization"]
        device = entry["device"]
        table.add_row(
            device["part"] + ("" if device["speed"] is None else f"-{device['speed']}"),
            "" if accuracy is None else share(accuracy),
            share(figures["zeros"]),
            f"{weights['index_bits']:,}{over}",
            number(figures["interval_cycles"]),
            f"{entry['images_per_second']:,}" if clock else "",
            f"{total['lut4']:,}",
            f"{used['slots']['used']:,} ({100 * used['slots']['share']:.0f} %)",
            f"{total['ram_blocks']} of {used['ram_blocks']['available']}",
            f"{clock['median_hz'] / 1e6:.1f} MHz" if clock else "",
            str(total["dsps"]),
        )
    out = console()
    rows = {"network": figures["network_digest"], "simulation": checked, "interval": interval(figures)}
    out.print(facts({**rows, "images/s": BLOCK_ALONE}))
    out.print(table)
    if not figures["devices"]:
        out.print("No device yet: run `sterna synth`.")
