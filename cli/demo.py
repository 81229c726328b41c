"""``sterna demo``: the whole way once, from a recipe to routed devices."""

from __future__ import annotations

import time
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from sterna.cli import report as reports
from sterna.cli.output import console, print_json, share, steps
from sterna.cli.simulate import measure, test_set
from sterna.cli.synth import report_folder
from sterna.cli.target import make

__all__ = ["demo"]


def demo(
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe to train by.", show_default="Sterna's digits-mlp.toml")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("runs/demo"),
    devices: Annotated[str, typer.Option(help="Devices to place and route for, with commas between.")] = "up5k,25f",
    seeds: Annotated[int, typer.Option(help="Place and route this often; the median clock counts.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Train, export, emit Verilog, simulate it on every test image, place and route it, and print one table."""
    from sterna.flow.devices import Device, find_device
    from sterna.flow.synth import check_no_multiplier, synthesize
    from sterna.hw import AcceleratorConfig
    from sterna.train import run
    from sterna.train.recipe import load_recipe

    found = [find_device(name) for name in devices.split(",")]
    recipe = recipe or Path(str(files("sterna.recipes") / "digits-mlp.toml"))
    dataset = load_recipe(recipe).data.name
    started = time.monotonic()
    log = console(stderr=True)
    log.print(f"training by {recipe}")
    trained = run(recipe, output / "train")
    model_path, network = trained.exported()
    log.print(f"trained: {share(trained.test_accuracy)} on the test images, {share(trained.zeros)} zeros")
    with steps() as progress:
        progress("generating Verilog")
        folder = output / "accelerator"
        manifest = make(model_path, folder, AcceleratorConfig())
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
    figures = reports.collect(folder)
    if as_json:
        print_json({**figures, "seconds": round(time.monotonic() - started, 1)})
    else:
        reports.show(figures)
        log.print(f"{time.monotonic() - started:.0f} s; everything is in {output}")
