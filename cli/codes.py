"""``sterna codes``: what a network's weights take and cost in every matrix code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from sterna.cli.options import naming
from sterna.cli.output import console, facts, print_json, share, steps
from sterna.cli.text import printable
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from sterna.codes import MatrixCosts

__all__ = ["codes"]

_PREFIXES = ((1e12, ""), (1e9, "m"), (1e6, "µ"), (1e3, "n"), (1.0, "p"))  # of a joule, in pJ


def codes(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL|WEIGHTS.npz",
            help="Network file (.safetensors), or arrays of weights (.npz, numpy.savez).",
            show_default=False,
        ),
    ],
    quantize: Annotated[
        int | None,
        typer.Option(
            metavar="BITS", help="Quantize the arrays of an .npz file uniformly to 2^BITS values.", show_default=False
        ),
    ] = None,
    tight: Annotated[
        bool, typer.Option("--tight", help="Indices of just the bits they need, not of 8, 16 or 32.")
    ] = False,
    plane: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the plane of entropy and p0 with what each code wins, and the layers on it.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare the matrix codes: storage, operations and energy of a network's weights, and each layer's statistics.

    Values of the matrices count 32 bits, entries of vectors too. A network's convolutions are multiplied at every place
    of their output; an .npz file does not tell the places, so each matrix is multiplied once. docs/codes.md explains
    every figure.
    """
    if plane is not None:
        from sterna.cli.plane import check_picture

        check_picture(plane)
    with steps() as progress:
        figures, layers = _collect(weights, quantize, tight, progress)
        if plane is not None:
            from sterna.cli.plane import draw_plane

            progress("drawing the plane")
            draw_plane(layers, plane, tight=tight)
            figures["plane"] = str(plane)
    if as_json:
        print_json(figures)
    else:
        _show(figures)


def _collect(
    path: Path, quantize: int | None, tight: bool, progress: Callable[[str], None]
) -> tuple[dict[str, Any], list[MatrixCosts]]:
    """Everything about a file's weights, and the costs it was made from."""
    from sterna.codes import matrix_costs
    from sterna.net import cost

    figures: dict[str, Any] = {"file": str(path), "quantize": quantize, "tight": tight}
    if path.suffix == ".npz":
        source, matrices = _open_arrays(path, quantize)
    elif path.suffix == ".safetensors":
        source, matrices = _open_network(path, quantize)
    else:
        raise InvalidValueError(f"{path}: neither a network (.safetensors) nor arrays of weights (.npz)")
    layers, nonzeros = [], 0
    for name, matrix, positions in matrices:
        progress(f"encoding {name}")
        layers.append(matrix_costs(matrix, name=name, positions=positions, tight=tight))
        nonzeros += cost.nonzeros(matrix)
    count = sum(_size(layer) for layer in layers)
    if not count:
        raise InvalidValueError(f"{path}: there are no weights in it")
    figures |= source
    figures |= {
        "weights": count,
        "zeros": 1 - nonzeros / count,
        "entropy_bits": sum(layer.entropy_bits for layer in layers),
    }
    figures["codes"] = _totals(layers, count)
    figures["layers"] = [_layer(layer) for layer in layers]
    return figures, layers


def _open_network(path: Path, quantize: int | None) -> tuple[dict[str, Any], Iterator[tuple[str, np.ndarray, int]]]:
    from sterna.codes import network_matrices
    from sterna.net.file import load

    if quantize is not None:
        raise InvalidValueError("--quantize is for arrays of an .npz file: a network's weights are ternary already")
    network = load(path)
    return {"network_digest": network.digest, "skipped": 0}, network_matrices(network)


def _open_arrays(path: Path, quantize: int | None) -> tuple[dict[str, Any], Iterator[tuple[str, np.ndarray, int]]]:
    from sterna.codes import load_weights, quantize_uniform
    from sterna.codes.quantize import MAX_BITS, MIN_BITS
    from sterna.net.checks import check_integer

    if quantize is not None:
        with naming("--quantize"):
            check_integer(quantize, "BITS", low=MIN_BITS, high=MAX_BITS)
    found = load_weights(path)

    def matrices() -> Iterator[tuple[str, np.ndarray, int]]:
        for name, matrix in found.matrices.items():
            try:
                yield name, matrix if quantize is None else quantize_uniform(matrix, quantize), 1
            except (TypeError, ValueError) as error:
                raise InvalidValueError(f"{path}: array '{name}': {error}") from None

    return {"network_digest": None, "skipped": found.skipped}, matrices()


def _size(layer: MatrixCosts) -> int:
    return layer.statistics.rows * layer.statistics.columns


def _totals(layers: list[MatrixCosts], count: int) -> dict[str, Any]:
    """Sums over the layers, of the codes that all of them have, with gains."""
    from sterna.codes import CODES, total

    sums = {code: total(layers, code) for code in CODES if all(code in layer.codes for layer in layers)}
    return {
        code: {
            "storage_bits": found.storage_bits,
            "multiplications": found.multiplications,
            "additions": found.additions,
            "reads": found.reads,
            "writes": found.writes,
            "energy_pj": found.energy,
            "bits_per_weight": found.storage_bits / count,
            "storage_gain_over_dense": sums["dense"].storage_bits / found.storage_bits,
            "storage_gain_over_packed": sums["packed"].storage_bits / found.storage_bits,
            "energy_gain_over_dense": sums["dense"].energy / found.energy,
        }
        for code, found in sums.items()
    }


def _layer(layer: MatrixCosts) -> dict[str, Any]:
    statistics = layer.statistics
    return {
        "name": layer.name,
        "positions": layer.positions,
        **asdict(statistics),
        "groups_per_row": statistics.groups_per_row,
        "empty_groups_per_row": statistics.empty_groups_per_row,
        "entropy_bits": layer.entropy_bits,
        "best_storage": min(layer.codes, key=lambda code: layer.codes[code].storage.bits),
        "best_energy": min(layer.codes, key=lambda code: layer.codes[code].energy.total),
        "codes": {
            code: {
                "storage_bits": cost.storage.bits,
                "multiplications": cost.operations.multiplications,
                "additions": cost.operations.additions,
                "reads": cost.operations.reads,
                "writes": cost.operations.writes,
                "energy_pj": cost.energy.total,
            }
            for code, cost in layer.codes.items()
        },
    }


def _show(figures: dict[str, Any]) -> None:
    rows = {"network": figures["network_digest"]} if figures["network_digest"] else {"file": figures["file"]}
    skipped = f"; {figures['skipped']} arrays of one dimension left out" if figures["skipped"] else ""
    rows["weights"] = f"{figures['weights']:,}, {share(figures['zeros'])} zeros{skipped}"
    if figures["quantize"] is not None:
        rows["values"] = f"at most {2 ** figures['quantize']} a matrix, uniform"
    indices = "those they need" if figures["tight"] else "8, 16 or 32"
    rows["bits"] = f"32 a value of a matrix, a vector or a result; {indices} an index"
    if "plane" in figures:
        rows["plane"] = figures["plane"]
    out = console()
    out.print(facts(rows))
    for table in (_layer_table(figures), _storage_table(figures), _product_table(figures)):
        out.print(table)


def _table(title: str, *names: str) -> Table:
    """A column of names, which may be folded, and right-aligned ones, which keep their width."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0)
    )
    table.add_column(names[0], overflow="fold")
    for name in names[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _layer_table(figures: dict[str, Any]) -> Table:
    table = _table("layers", "layer", "matrix", "K", "p0", "H", "H∞", "k̄", "k̃", "least\nbits", "least\nenergy")
    for layer in figures["layers"]:
        table.add_row(
            printable(layer["name"]),
            f"{layer['rows']}×{layer['columns']}",
            str(layer["values"]),
            f"{layer['most_frequent_share']:.3f}",
            f"{layer['entropy']:.3f}",
            f"{layer['min_entropy']:.3f}",
            *(
                f"{mean:.{1 if mean >= 10 else 2}f}"
                for mean in (layer["groups_per_row"], layer["empty_groups_per_row"])
            ),
            layer["best_storage"],
            layer["best_energy"],
        )
    return table


def _storage_table(figures: dict[str, Any]) -> Table:
    table = _table("storage", "code", "bits", "bits a\nweight", "gain over\ndense", "gain over\npacked")
    codes = figures["codes"]
    stored = {code: found["storage_bits"] for code, found in codes.items()}
    for code, bits in {**stored, "entropy bound": figures["entropy_bits"]}.items():
        gains = [_ratio(stored[other], bits) for other in ("dense", "packed")]
        table.add_row(code, f"{bits:,}", f"{bits / figures['weights']:.3f}", *gains)
    return table


def _product_table(figures: dict[str, Any]) -> Table:
    title = "one input" if figures["network_digest"] else "one product of each matrix with a vector"
    table = _table(title, "code", "multipli-\ncations", "additions", "reads", "energy", "gain over\ndense")
    for code, found in figures["codes"].items():
        table.add_row(
            code,
            *(f"{found[name]:,}" for name in ("multiplications", "additions", "reads")),
            _energy(found["energy_pj"]),
            f"{found['energy_gain_over_dense']:.2f} ×",
        )
    return table


def _ratio(whole: int, part: int) -> str:
    return f"{whole / part:.2f} ×" if part else ""


def _energy(picojoules: float) -> str:
    for size, prefix in _PREFIXES:
        if picojoules >= size:
            return f"{picojoules / size:#.3g} {prefix}J".replace(". ", " ")
    return f"{picojoules:#.3g} pJ"
