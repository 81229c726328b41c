"""``sterna export``: a network as QONNX, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterna.cli.output import console, facts, print_json
from sterna.cli.target import ModelPath

__all__ = ["export"]


def export(
    model: ModelPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="QONNX file to write.", show_default="NAME.onnx")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Inputs at a time: QONNX's tools want all shapes fixed.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a network as QONNX, which computes the same codes and scores (docs/import.md).

    `sterna import` makes the very same network of it.
    """
    from sterna.imports.export import export_qonnx
    from sterna.net.file import load

    network = load(model)
    path = output or Path(f"{model.stem}.onnx")
    export_qonnx(network, path, batch=batch)
    if as_json:
        print_json({"network_digest": network.digest, "file": str(path), "batch": batch})
        return
    shapes = (" × ".join(map(str, (batch, *shape))) for shape in (network.input_shape, network.output_shape))
    rows = dict(zip(("input", "output"), shapes, strict=True))
    console().print(facts({"network": network.digest, **rows, "written": path}))
