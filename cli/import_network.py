"""``sterna import``: other people's networks as network files, proved, or refused node by node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sterna.cli.options import naming
from sterna.cli.output import console, facts, print_json, steps
from sterna.cli.text import printable
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from sterna.imports import Imported, ImportOptions
    from sterna.imports.preflight import Preflight

__all__ = ["import_network"]


def import_network(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="ONNX file (.onnx), with QONNX's operators or without; or arrays, .npz or a folder of .csv.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Network file to write.", show_default="NAME.safetensors"),
    ] = None,
    input_type: Annotated[
        str | None,
        typer.Option(
            help="Type of the input's codes, as u8 or s4, for a model that does not quantize its input.",
            show_default=False,
        ),
    ] = None,
    input_scale: Annotated[
        float | None, typer.Option(help="Real value of one step of these codes.", show_default=False)
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="INPUTS.npy",
            help="Real inputs, (batch, ...), to prove the import on, instead of 1,000 random ones.",
            show_default=False,
        ),
    ] = None,
    narrow_input: Annotated[
        bool,
        typer.Option("--narrow-input", help="Take an input of -1 and 1 where there is a code 0 between; keep 0 away."),
    ] = False,
    unequal_scores: Annotated[
        bool,
        typer.Option(
            "--unequal-scores",
            help="Take scores whose scale or offset differs between classes, and count how often the class changes.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what becomes of every node, and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Import a trained network from ONNX: every layer becomes integers, exactly, or the nodes that cannot be are named.

    The original is executed beside the result: a file is written only if all hidden codes and all scores are equal.
    docs/import.md says what is understood.
    """
    from sterna.imports import RefusedError, import_model
    from sterna.net.arrays import load_array
    from sterna.net.file import save

    options = _options(input_type, input_scale, narrow_input, unequal_scores)
    path = output or Path(f"{model.stem}.safetensors")
    if path.suffix != ".safetensors":
        raise InvalidValueError(f"{path}: a network file ends in .safetensors")
    if model.is_dir() or model.suffix == ".npz":
        _import_arrays(model, None if dry_run else path, as_json)
        return
    with steps() as progress:
        progress(f"folding and checking {model}")
        try:
            found = import_model(model, options=options, check=None if check is None else load_array(check))
        except RefusedError as error:
            _show_refused(error.preflight, as_json)
            raise
        if not dry_run:
            save(found.network, path)
    figures = _figures(found, None if dry_run else path)
    if as_json:
        print_json(figures)
        return
    console().print(_table(found.preflight))
    if found.preflight.layers:
        console().print(_layers(found.preflight))
    console().print(facts(_summary(found, None if dry_run else path)))


def _import_arrays(model: Path, path: Path | None, as_json: bool) -> None:
    """A network of integers that are there already: nothing is folded, and nothing is to be compared."""
    from sterna.imports import from_arrays
    from sterna.net.file import save

    network = from_arrays(model)
    if path is not None:
        save(network, path)
    if as_json:
        file = None if path is None else str(path)
        print_json({"imported": True, "file": file, "network_digest": network.digest})
    else:
        console().print(facts({"network": network.digest, "written": path or "nothing"}))


def _options(
    input_type: str | None, input_scale: float | None, narrow_input: bool, unequal_scores: bool
) -> ImportOptions:
    from sterna.imports import ImportOptions
    from sterna.net import ActivationType

    kind = None
    if input_type is not None:
        with naming("--input-type"):
            if not re.fullmatch("[us][1-8]", input_type):
                raise InvalidValueError(f"must be u1 to u8 or s1 to s8, not {input_type}")
            kind = ActivationType(int(input_type[1]), input_type[0] == "s")
    return ImportOptions(
        input_type=kind, input_scale=input_scale, narrow_input=narrow_input, unequal_scores=unequal_scores
    )


def _show_refused(preflight: Preflight, as_json: bool) -> None:
    if as_json:
        print_json({"imported": False, **preflight.as_json()})
    else:
        console().print(_table(preflight))


def _figures(found: Imported, path: Path | None) -> dict[str, Any]:
    return {
        "imported": True,
        "file": None if path is None else str(path),
        "network_digest": found.network.digest,
        **found.preflight.as_json(),
        "check": found.proof.as_json(),
    }


def _table(preflight: Preflight) -> Table:
    """What becomes of every node."""
    table = Table("node", "operator", "becomes", "of it")
    for row in preflight.rows:
        table.add_row(printable(row.node), printable(row.operator), str(row.fate), printable(row.detail))
    return table


def _layers(preflight: Preflight) -> Table:
    """What is worth knowing about the layers with thresholds."""
    table = Table("layer", "accumulator", "rows flipped", "channels dead", "ties")
    for name, layer in preflight.layers.items():
        low, high = layer["accumulator"]
        table.add_row(name, f"{low} .. {high}", str(layer["flipped"]), str(layer["dead"]), str(layer["ties"]))
    return table


def _summary(found: Imported, path: Path | None) -> dict[str, object]:
    proof, rule = found.proof, found.network.input_rule
    scale, offset = (found.preflight.scores[name] for name in ("scale", "offset"))
    rows: dict[str, object] = {
        "network": found.network.digest,
        "input": f"{rule.type}, scale {rule.scale:g}, codes {rule.range[0]} to {rule.range[1]}",
        "scores": f"scale {_short(scale)}, offset {_short(offset)}",
        "checked": f"{proof.samples:,} inputs, {proof.codes - proof.ties:,} codes equal",
    }
    if not found.preflight.input.get("own_rule", True):
        rows["real inputs"] = "the network's own rule gives other codes for some: quantize them as the original does"
    elif (rule.gain, rule.offset) != ((1.0,), (0.0,)):
        rows["real inputs"] = f"times {_short(rule.gain)}, plus {_short(rule.offset)}, before they are quantized"
    shape = tuple(found.preflight.input.get("shape", rule.shape))
    if shape != rule.shape:
        last = ", its channels first" if found.preflight.input["channels_last"] else ""
        rows["shape"] = f"the model's {shape} is given to the network as {rule.shape}{last}"
    if "note" in found.preflight.input:
        rows["note"] = found.preflight.input["note"]
    if proof.ties:
        rows["ties"] = f"{proof.ties:,} codes differ, at ties that float32 rounds otherwise"
    if proof.classes_changed:
        rows["classes"] = f"{proof.classes_changed:,} inputs have another largest score"
    rows["written"] = path or "nothing"
    return rows


def _short(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{min(values):g} to {max(values):g} by channel"
