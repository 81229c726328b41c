"""Trained weights in every code: networks by others, quantized and pruned here, and the ternary ones of models/.

Networks by others are .npz files of float weights, which are no part of the project: a folder that holds them is named
when the study runs. They are pruned by magnitude, with one threshold for all layers, and then quantized uniformly,
layer by layer; what that does to their accuracy is not looked at. Networks that come pruned are taken as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS

from sterna.codes import MatrixCosts, Totals, load_weights, matrix_costs, quantize_uniform, total
from sterna.net import load
from sterna.net.cost import layer_matrix
from sterna.net.nodes import WeightNode

BITS = (4, 5, 6, 7)
PRUNED = (0.0, 0.8, 0.9)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Matrices of one network, ready to be encoded.

    Members
    -------
    label : :class:`str`
    kind : :class:`str`
        ``"quantized"``, ``"pruned"`` or ``"ternary"``.
    bits : :class:`int` or ``None``
        Of the quantization; ``None`` for floats as they are.
    pruned : :class:`float`
        Share of weights that were pruned here.
    layers : tuple of (name, matrix, positions)
    """

    label: str
    kind: str
    bits: int | None
    pruned: float
    layers: tuple[tuple[str, np.ndarray, int], ...]

    @property
    def key(self) -> str:
        """What tells cases apart."""
        width = "float" if self.bits is None else f"{self.bits} bits"
        return f"{self.label}, {width}" + (f", {100 * self.pruned:.0f} % pruned" if self.pruned else "")


def _resnet_places(name: str) -> int:
    """Places of a CIFAR ResNet's layers: maps of 32, 16 and 8 pixels square."""
    side = {"conv1": 32, "layer1": 32, "layer2": 16, "layer3": 8, "linear": 1}[name.split(".")[0]]
    return side * side


def _lenet_places(name: str) -> int:
    """Places of LeNet-5's layers on 28 pixels square, without padding; 1 for dense ones."""
    return {"conv1": 24 * 24, "conv2": 8 * 8}.get(name.split(".")[0], 1)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of float weights, and how to make cases of it."""

    label: str
    file: str
    places: Callable[[str], int]
    comes_pruned: bool = False
    pruned: Sequence[float] = (0.0,)
    bits: Sequence[int | None] = BITS


SOURCES = (
    Source(label="ResNet-20", file="resnet_cifar10/resnet20-12fca82f.npz", places=_resnet_places, pruned=PRUNED),
    Source(label="ResNet-56", file="resnet_cifar10/resnet56-4bfd9763.npz", places=_resnet_places, pruned=PRUNED),
    Source(
        label="LeNet-300-100",
        file="lenet_mnist_pruned/lenet300100_sparse.npz",
        places=_lenet_places,
        comes_pruned=True,
        bits=(*BITS, None),
    ),
    Source(
        label="LeNet-5",
        file="lenet_mnist_pruned/lenet5_sparse.npz",
        places=_lenet_places,
        comes_pruned=True,
        bits=(*BITS, None),
    ),
)


def prune(matrices: Mapping[str, np.ndarray], share: float) -> dict[str, np.ndarray]:
    """Zero in place of that share of all elements, the least in magnitude: (out, the rest) each, as given."""
    if not share:
        return dict(matrices)
    magnitudes = np.sort(np.concatenate([np.abs(matrix).ravel() for matrix in matrices.values()]))
    threshold = magnitudes[int(share * len(magnitudes))]
    return {name: np.where(np.abs(matrix) < threshold, 0, matrix) for name, matrix in matrices.items()}


def quantized(source: Source, folder: Path) -> Iterator[Case]:
    """A file of weights at every width and share."""
    read = load_weights(folder / source.file).matrices
    for pruned in source.pruned:
        matrices = prune(read, pruned)
        for bits in source.bits:
            layers = tuple(
                (name, matrix if bits is None else quantize_uniform(matrix, bits), source.places(name))
                for name, matrix in matrices.items()
            )
            kind = "pruned" if pruned or source.comes_pruned else "quantized"
            yield Case(label=source.label, kind=kind, bits=bits, pruned=pruned, layers=layers)


def ternary(path: Path) -> Case:
    """The matrices of an integer network."""
    network = load(path)
    layers = tuple(
        (node.name, layer_matrix(node.weights), math.prod(network.shapes[node.name][1:]))
        for node in network.nodes
        if isinstance(node, WeightNode)
    )
    return Case(label=path.stem, kind="ternary", bits=2, pruned=0.0, layers=layers)


def every_case(folder: Path | None) -> Iterator[Case]:
    """All cases: without a folder of weights, only the networks of models/."""
    for source in SOURCES if folder else ():
        yield from quantized(source, folder)
    for path in sorted(MODELS.glob("*.safetensors")):
        yield ternary(path)


def figures(case: Case) -> dict[str, Any]:
    """Statistics of a case, and gains of every code over 32-bit dense, all with vectors of 32 bits.

    Multiplications by ±1 are counted, as in the paper. For ternary networks, ``energy_without_multiplications`` is the
    gain of a code that leaves them out and reads vectors of 8 bits, over the same dense.
    """
    layers = _costs(case, multiply_units=True)
    dense = total(layers, "dense")
    elements = sum(matrix.size for _, matrix, _ in case.layers)
    gains = {code: _gains(total(layers, code), dense) for code in layers[0].codes if code != "dense"}
    if case.kind == "ternary":
        free = _costs(case, operand_bits=8)
        for code, entry in gains.items():
            entry["energy_without_multiplications"] = dense.energy / total(free, code).energy
    statistics = [layer.statistics for layer in layers]
    fewest = sum(min(cost.storage.bits for cost in layer.codes.values()) for layer in layers)
    least = sum(min(cost.energy.total for cost in layer.codes.values()) for layer in layers)
    return {
        "label": case.label,
        "kind": case.kind,
        "bits": case.bits,
        "pruned": case.pruned,
        "elements": elements,
        "zeros": 1 - sum(int(np.count_nonzero(matrix)) for _, matrix, _ in case.layers) / elements,
        "entropy": sum(s.entropy * s.rows * s.columns for s in statistics) / elements,
        "groups_per_row": sum(s.groups for s in statistics) / sum(s.rows for s in statistics),
        "entropy_gain": dense.storage_bits / sum(layer.entropy_bits for layer in layers),
        "best_by_layer": {"storage": dense.storage_bits / fewest, "energy": dense.energy / least},
        "gains": gains,
    }


def _costs(case: Case, **options: Any) -> list[MatrixCosts]:
    return [matrix_costs(matrix, name=name, positions=places, **options) for name, matrix, places in case.layers]


def _gains(made: Totals, dense: Totals) -> dict[str, float]:
    return {
        "bits": made.storage_bits,
        "storage": dense.storage_bits / made.storage_bits,
        "operations": _operations(dense) / _operations(made),
        "energy": dense.energy / made.energy,
    }


def _operations(made: Totals) -> int:
    return made.multiplications + made.additions + made.reads + made.writes
