"""What every code makes of a matrix, of a layer and of a network: storage, operations, energy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from sterna.codes.base3 import Base3
from sterna.codes.bound import entropy_bound
from sterna.codes.registry import CODES, find_code
from sterna.codes.storage import Storage
from sterna.codes.values import check_matrix
from sterna.net.checks import check_integer
from sterna.net.cost import MatrixStatistics, layer_matrix, matrix_statistics
from sterna.net.energy import TABLE_I, Energy, EnergyTable, Operations, energy
from sterna.net.network import Network
from sterna.net.nodes import WeightNode


@dataclass(frozen=True, kw_only=True)
class CodeCost:
    """One matrix in one code.

    Members
    -------
    storage : :class:`Storage`
    operations : :class:`~sterna.net.energy.Operations`
        At all positions.
    energy : :class:`~sterna.net.energy.Energy`
        pJ, at all positions.
    """

    storage: Storage
    operations: Operations
    energy: Energy


@dataclass(frozen=True, kw_only=True)
class MatrixCosts:
    """One matrix in several codes.

    Members
    -------
    name : :class:`str`
        The layer.
    positions : :class:`int`
        Products with a vector for one input: places of a convolution's output map, 1 for a dense layer.
    statistics : :class:`~sterna.net.cost.MatrixStatistics`
    codes : mapping from a code's name to :class:`CodeCost`
        Base 3 is left out where a matrix is not ternary.
    entropy_bits : :class:`int`
        Storage of an ideal entropy code of single elements, with the table of values.
    """

    name: str
    positions: int
    statistics: MatrixStatistics
    codes: Mapping[str, CodeCost]
    entropy_bits: int


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over layers in one code.

    Members
    -------
    storage_bits, multiplications, additions, reads, writes : :class:`int`
    energy : :class:`float`
        pJ.
    """

    storage_bits: int
    multiplications: int
    additions: int
    reads: int
    writes: int
    energy: float


def matrix_costs(
    matrix: Any,
    *,
    name: str = "matrix",
    positions: int = 1,
    codes: Iterable[str] | None = None,
    operand_bits: int = 32,
    result_bits: int = 32,
    value_bits: int | None = 32,
    tight: bool = False,
    multiply_units: bool = False,
    table: EnergyTable = TABLE_I,
) -> MatrixCosts:
    """A matrix in several codes.

    Parameters
    ----------
    matrix : (rows, columns), integers or floats, finite
    codes : names of codes, or ``None`` for all
    value_bits : :class:`int`
        32 by default, as in the paper; ``None`` for the width of the matrix's dtype.
    operand_bits, result_bits, tight, multiply_units
        As :meth:`MatrixCode.operations` takes them.
    """
    matrix = check_matrix(matrix)
    positions = check_integer(positions, "positions", low=1)
    return MatrixCosts(
        name=name,
        positions=positions,
        statistics=matrix_statistics(matrix),
        codes=MappingProxyType(
            {
                code: _cost(
                    code,
                    matrix,
                    positions,
                    table,
                    value_bits=value_bits,
                    tight=tight,
                    operand_bits=operand_bits,
                    result_bits=result_bits,
                    multiply_units=multiply_units,
                )
                for code in _fitting(matrix, CODES if codes is None else codes)
            }
        ),
        entropy_bits=entropy_bound(matrix, value_bits=value_bits).bits,
    )


def _fitting(matrix: np.ndarray, codes: Iterable[str]) -> Iterator[str]:
    for code in codes:
        if find_code(code) is not Base3 or np.isin(matrix, (-1, 0, 1)).all():
            yield code


def _cost(
    code: str,
    matrix: np.ndarray,
    positions: int,
    table: EnergyTable,
    *,
    value_bits: int | None,
    tight: bool,
    **options: Any,
) -> CodeCost:
    coded = find_code(code).encode(matrix)
    operations = coded.operations(value_bits=value_bits, tight=tight, **options).times(positions)
    return CodeCost(
        storage=coded.storage(value_bits=value_bits, tight=tight),
        operations=operations,
        energy=energy(operations, table),
    )


def network_matrices(network: Network) -> Iterator[tuple[str, np.ndarray, int]]:
    """Name, matrix of weights and number of positions of every node with weights, in the nodes' order."""
    for node in network.nodes:
        if isinstance(node, WeightNode):
            yield node.name, layer_matrix(node.weights), math.prod(network.shapes[node.name][1:])


def network_costs(network: Network, **options: Any) -> tuple[MatrixCosts, ...]:
    """Every node with weights in several codes, in the nodes' order.

    A convolution is the matrix of its filters, multiplied at every place of its output map. (With several groups a row
    meets its own group's inputs only; numbers of operations are the same.)

    Parameters
    ----------
    options
        As :func:`matrix_costs` takes them.
    """
    return tuple(
        matrix_costs(matrix, name=name, positions=positions, **options)
        for name, matrix, positions in network_matrices(network)
    )


def total(layers: Iterable[MatrixCosts], code: str) -> Totals:
    """Sums over layers in one code; :exc:`KeyError` if a layer has none."""
    costs = [layer.codes[code] for layer in layers]
    return Totals(
        storage_bits=sum(cost.storage.bits for cost in costs),
        multiplications=sum(cost.operations.multiplications for cost in costs),
        additions=sum(cost.operations.additions for cost in costs),
        reads=sum(cost.operations.reads for cost in costs),
        writes=sum(cost.operations.writes for cost in costs),
        energy=sum(cost.energy.total for cost in costs),
    )
