"""Matrices with the shapes of four architectures and drawn elements, in dense, CSR, CER and CSER.

Statistics and gains are those that Wiedemann, Müller and Samek 2018 published, as far as remembered: the text was not
at hand, and nothing here repeats it. Storage of what is encoded is held against the paper's formulas, with statistics
counted in another way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from architectures import ARCHITECTURES, Layer
from low_entropy import Wanted, draw, solve, statistics

from sterna.codes import encode
from sterna.net import cost
from sterna.net.energy import Operations, energy

SEED = 1
CODES = ("csr", "cer", "cser")
VALUE_BITS = 32  # of a value: single precision, as in the paper
QUANTIZED_BITS = 7

#: Remembered, not verified: share of the most frequent value, entropy, groups a row.
WANTED: Mapping[str, Wanted] = MappingProxyType(
    {
        "AlexNet": Wanted(p0=0.89, entropy=0.89, groups=18.3),
        "VGG-16": Wanted(p0=0.07, entropy=4.8, groups=55.8),
        "ResNet-152": Wanted(p0=0.12, entropy=4.12, groups=32.3),
        "DenseNet-161": Wanted(p0=0.36, entropy=3.73, groups=44.0),
    }
)
#: Remembered, not verified: gains of CSR, CER and CSER over dense. None are remembered for AlexNet.
REMEMBERED: Mapping[str, Mapping[str, tuple[float, float, float]]] = MappingProxyType(
    {
        "VGG-16": {
            "storage": (0.71, 2.11, 2.11),
            "operations": (0.88, 1.40, 1.39),
            "time": (0.85, 1.27, 1.29),
            "energy": (0.76, 2.37, 2.38),
        },
        "ResNet-152": {
            "storage": (0.76, 2.08, 2.10),
            "operations": (0.93, 1.42, 1.41),
            "time": (0.93, 1.30, 1.31),
            "energy": (1.25, 3.73, 3.74),
        },
        "DenseNet-161": {
            "storage": (1.04, 2.74, 2.79),
            "operations": (1.11, 1.66, 1.65),
            "time": (1.10, 1.43, 1.45),
            "energy": (1.95, 6.40, 6.57),
        },
    }
)


@dataclass(kw_only=True)
class Sums:
    """Sums over layers in one code: bits as stored, bits with columns of at least 16 bits, operations, pJ."""

    bits: int = 0
    bits_of_wide_columns: int = 0
    operations: int = 0
    energy: float = 0.0

    def add(self, bits: int, extra: int, operations: Operations) -> None:
        """A layer's; ``extra`` is what wide columns take beside."""
        self.bits += bits
        self.bits_of_wide_columns += bits + extra
        self.operations += operations.total
        self.energy += energy(operations).total


def formulas(matrix: np.ndarray) -> tuple[cost.MatrixStatistics, dict[str, int]]:
    """Statistics of an int8 matrix, and what the paper's formulas say that it takes in each of :data:`CODES`."""
    found, background = statistics(matrix)
    kept = int(np.count_nonzero(matrix))
    pointers = {"cer": found.groups + found.empty_groups, "cser": found.groups}
    width = index_width(_last_column(matrix, background))
    return found, {
        "csr": cost.csr_bits(
            rows=found.rows,
            kept=kept,
            value_bits=VALUE_BITS,
            column_bits=index_width(_last_column(matrix, 0)),
            row_pointer_bits=index_width(kept),
        ),
        "cer": cost.cer_bits(
            found,
            value_bits=VALUE_BITS,
            column_bits=width,
            group_pointer_bits=index_width(found.kept),
            row_pointer_bits=index_width(pointers["cer"]),
        ),
        "cser": cost.cser_bits(
            found,
            value_bits=VALUE_BITS,
            column_bits=width,
            group_value_bits=index_width(found.values - 1),
            group_pointer_bits=index_width(found.kept),
            row_pointer_bits=index_width(pointers["cser"]),
        ),
    }


def index_width(maximum: int) -> int:
    """The smallest of 8, 16 and 32 bits that holds it."""
    return next(width for width in (8, 16, 32) if maximum < 1 << width)


def _last_column(matrix: np.ndarray, left_out: int) -> int:
    """The last column that has another element than those left out; 0 if none has."""
    return int(np.flatnonzero((matrix != left_out).any(axis=0))[-1:].sum())


def measure(name: str, *, seed: int = SEED) -> dict[str, Any]:
    """Figures of a drawn network: wanted and reached statistics, and each code's gains over dense."""
    architecture, wanted = ARCHITECTURES[name], WANTED[name]
    solved = solve(wanted, architecture.layers)
    sums = {code: Sums() for code in ("dense", *CODES)}
    layers = []
    for number, layer in enumerate(architecture.layers):
        matrix = draw(solved.shares, layer.rows, layer.columns, (seed, number))
        layers.append(_layer(layer, matrix, sums))
    elements, rows = architecture.weights, architecture.rows
    packed = sum(32 * layer["values"] + QUANTIZED_BITS * layer["rows"] * layer["columns"] for layer in layers)
    return {
        "wanted": {"p0": wanted.p0, "entropy": wanted.entropy, "groups": wanted.groups},
        "remembered": dict(REMEMBERED.get(name, {})),
        "scale": solved.scale,
        "freedom": solved.freedom,
        "reached": {
            "p0": sum(layer["p0"] * layer["rows"] * layer["columns"] for layer in layers) / elements,
            "entropy": sum(layer["entropy"] * layer["rows"] * layer["columns"] for layer in layers) / elements,
            "groups": sum(layer["groups"] for layer in layers) / rows,
            "empty_groups": sum(layer["empty_groups"] for layer in layers) / rows,
        },
        "elements": elements,
        "rows": rows,
        "equal": all(layer["bits"] == layer["formula_bits"] for layer in layers),
        "gains": {code: _gains(sums[code], sums["dense"]) for code in CODES},
        "packed_gain": 32 * elements / packed,
        "layers": layers,
    }


def _layer(layer: Layer, matrix: np.ndarray, sums: Mapping[str, Sums]) -> dict[str, Any]:
    """Encodes a layer, adds to the sums, and returns its own figures."""
    found, wanted = formulas(matrix)
    bits = {}
    for code in sums:
        coded = encode(matrix, code)
        storage = coded.storage(value_bits=VALUE_BITS)
        extra = 0
        if code != "dense":
            bits[code] = storage.bits
            columns = storage.array("columns")
            extra = columns.entries * max(16 - columns.width, 0)
        sums[code].add(storage.bits, extra, coded.operations(value_bits=VALUE_BITS).times(layer.positions))
    return {
        "name": layer.name,
        "rows": layer.rows,
        "columns": layer.columns,
        "positions": layer.positions,
        "values": found.values,
        "p0": found.most_frequent_share,
        "entropy": found.entropy,
        "groups": found.groups,
        "empty_groups": found.empty_groups,
        "bits": bits,
        "formula_bits": wanted,
    }


def _gains(code: Sums, dense: Sums) -> dict[str, float]:
    return {
        "storage": dense.bits / code.bits,
        "storage_of_wide_columns": dense.bits / code.bits_of_wide_columns,
        "operations": dense.operations / code.operations,
        "energy": dense.energy / code.energy,
    }
