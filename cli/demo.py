"""``sterna demo``: the whole way once, from a recipe to routed devices."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sterna.cli import report as reports
from sterna.cli.cache import writable_cache
from sterna.cli.fit import budget_of
from sterna.cli.frames import test_set
from sterna.cli.options import MAX_SEEDS
from sterna.cli.output import console, print_json, share, steps
from sterna.cli.simulate import measure
from sterna.cli.synth import find, report_folder
from sterna.cli.target import make

__all__ = ["demo"]


def demo(
    recipe: Annotated[
        str, typer.Option(help="Recipe to train by: a file, or the name of a packaged one (`sterna train --list`).")
    ] = "digits-demo",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("runs/demo"),
    devices: Annotated[str, typer.Option(help="Devices to place and route for, with commas between.")] = "up5k,25f",
    seeds: Annotated[
        int, typer.Option(min=1, max=MAX_SEEDS, help="Place and route this often; the median clock counts.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train, export, emit Verilog, simulate it on every test image, place and route it, and print one table.

    Lanes are chosen so that the accelerator is as fast as the devices hold. It takes some minutes. The folder gets the
    training run (train) and the accelerator with its reports (accelerator).
    """
    from sterna.flow.devices import Device
    from sterna.flow.synth import REPORT, check_no_multiplier, synthesize
    from sterna.hw import fit_device
    from sterna.train import run
    from sterna.train.recipe import load_recipe

    found = [find(name, option="--devices") for name in devices.split(",")]
    dataset = load_recipe(recipe).data.name
    started = time.monotonic()
    log = console(stderr=True)
    log.print(f"training by {recipe}")
    trained = run(recipe, output / "train")
    model_path, network = trained.exported()
    log.print(f"trained: {share(trained.test_accuracy)} on the test images, {share(trained.zeros)} zeros")
    log.print('other seeds and processors give other networks: docs/results.md, "What the demo reaches"')
    with steps() as progress, writable_cache():
        progress("generating Verilog")
        folder = output / "accelerator"
        # one accelerator for all devices: as fast as the one that holds the least can be
        fits = [fit_device(network, budget_of(device)) for device in found]
        manifest, _ = make(model_path, folder, max(fits, key=lambda fit: fit.cycles).config)
        codes, labels = test_set(network, dataset)
        progress(f"simulating all {len(codes)} test images against the golden model")
        measure(network, manifest, codes, labels, dataset=dataset)["report"].check()
        for device in found:

            def say(step: str, device: Device = device) -> None:
                progress(f"{device}: {step}")

            result = synthesize(
                manifest.verilog,
                top=manifest.name,
                device=device,
                out_dir=report_folder(folder, device),
                seeds=range(1, seeds + 1),
                progress=say,
            )
            check_no_multiplier(result)
    # An earlier demo may have left reports of other devices, and of other Verilog.
    figures = reports.collect(folder, reports=[report_folder(folder, device) / REPORT for device in found])
    if as_json:
        print_json({**figures, "seconds": round(time.monotonic() - started, 1)})
    else:
        reports.show(figures)
        log.print(f"{time.monotonic() - started:.0f} s; everything is in {output}")
