"""``sterna report``: everything that is known about an accelerator, in one table."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sterna.cli.output import console, facts, print_json, share
from sterna.cli.simulate import RESULT
from sterna.net.errors import InvalidValueError

__all__ = ["collect", "report", "show"]


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `sterna generate` made.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Gather what generate, simulate and synth left in a folder: accuracy, zeros, bits, cycles, images/s, resources.

    Nothing is run. Figures of other Verilog than the folder's are refused.
    """
    figures = collect(folder)
    if as_json:
        print_json(figures)
    else:
        show(figures)


def collect(folder: Path) -> dict[str, Any]:
    """The figures of an accelerator's folder.

    Raises
    ------
    ValueError
        If a report was made of other Verilog.
    """
    from sterna.flow.synth import REPORT
    from sterna.net.file import load
    from sterna.sim.manifest import Manifest

    manifest = Manifest.load(folder)
    folder = manifest.path.parent
    description = _read(manifest.path)
    network = load(manifest.path.with_suffix(".safetensors"))
    simulation = _read(folder / RESULT) if (folder / RESULT).is_file() else None
    syntheses = {path: _read(path) for path in sorted(folder.glob(f"synth-*/{REPORT}"))}
    verilog = hashlib.sha256(manifest.verilog.read_bytes()).hexdigest()
    for path, found in [(folder / RESULT, simulation), *syntheses.items()]:
        if found is not None and found.get("verilog_sha256") != verilog:
            raise InvalidValueError(
                f"{path}: made of other Verilog than {manifest.verilog.name}; run that command again"
            )
    devices = [_device(synthesis, manifest.interval_cycles) for synthesis in syntheses.values()]
    return {
        "name": manifest.name,
        "network_digest": manifest.network_digest,
        "test_accuracy": network.metadata.get("test_accuracy"),
        "weights": description["weights"],
        "zeros": network.zeros,
        "lanes": [unit["lanes"] for unit in description["units"] if "lanes" in unit],
        "latency_cycles": manifest.latency_cycles,
        "interval_cycles": manifest.interval_cycles,
        "simulation": simulation,
        "devices": devices,
    }


def _device(synthesis: dict[str, Any], interval: float) -> dict[str, Any]:
    clock = synthesis["clock"]
    return {
        "device": synthesis["device"],
        "total": synthesis["total"],
        "utilization": synthesis["utilization"],
        "multipliers": sum(synthesis["multipliers"].values()),
        "clock": clock,
        "images_per_second": round(clock["median_hz"] / interval) if clock else None,
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
            f"{figures['interval_cycles']:,.12g}",
            f"{entry['images_per_second']:,}" if clock else "",
            f"{total['lut4']:,}",
            f"{used['slots']['used']:,} ({100 * used['slots']['share']:.0f} %)",
            f"{total['ram_blocks']} of {used['ram_blocks']['available']}",
            f"{clock['median_hz'] / 1e6:.1f} MHz" if clock else "",
            str(total["dsps"]),
        )
    out = console()
    out.print(facts({"network": figures["network_digest"], "simulation": checked}))
    out.print(table)
    if not figures["devices"]:
        out.print("No device yet: run `sterna synth`.")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
