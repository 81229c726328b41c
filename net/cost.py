"""What weights cost: zeros, entropy, the statistics and sizes of matrix codes, index bits, lane cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sterna.net.errors import InvalidValueError
from sterna.net.network import Network
from sterna.net.nodes import WeightNode

_ROUNDING = 1e-9  # of probabilities


def nonzeros(weights: np.ndarray) -> int:
    """Number of weights that are not zero."""
    return int(np.count_nonzero(weights))


def zeros(weights: np.ndarray) -> float:
    """Share of zero weights, 0 to 1; 0 without weights."""
    return 1 - nonzeros(weights) / weights.size if weights.size else 0.0


def entropy(weights: np.ndarray) -> float:
    """Shannon entropy of the values' frequencies, in bits a weight; at most log2(3) for ternary weights.

    No code of single, independent weights needs less on average (Shannon 1948, theorem 9).
    """
    if not weights.size:
        return 0.0
    _, counts = np.unique(weights, return_counts=True)
    shares = counts / weights.size
    return float(max(0.0, -(shares * np.log2(shares)).sum()))


def weight_bits(weights: np.ndarray) -> float:
    """Bits that the entropy allows for all weights."""
    return weights.size * entropy(weights)


def min_entropy(weights: np.ndarray) -> float:
    """−log2 of the most frequent value's share, in bits a weight; at most the entropy; 0 without weights."""
    return -math.log2(most_frequent_share(weights)) + 0.0 if weights.size else 0.0


def most_frequent_share(weights: np.ndarray) -> float:
    """Share p0 of the most frequent value, 0 to 1; 0 without weights."""
    if not weights.size:
        return 0.0
    _, counts = np.unique(weights, return_counts=True)
    return float(counts.max() / weights.size)


@dataclass(frozen=True, kw_only=True)
class MatrixStatistics:
    """What decides how well a matrix can be encoded (Wiedemann, Müller, Samek 2018).

    Members
    -------
    rows, columns : :class:`int`
    values : :class:`int`
        Number K of distinct values.
    kept : :class:`int`
        Elements that have not the most frequent value.
    entropy, min_entropy : :class:`float`
        Bits an element.
    most_frequent_share : :class:`float`
        p0, 0 to 1.
    groups : :class:`int`
        Distinct values other than the most frequent one, counted row by row.
    empty_groups : :class:`int`
        Values that a row lacks, but that are more frequent in the whole matrix than another one that it has: the most
        frequent value not counted.
    """

    rows: int
    columns: int
    values: int
    kept: int
    entropy: float
    min_entropy: float
    most_frequent_share: float
    groups: int
    empty_groups: int

    @property
    def groups_per_row(self) -> float:
        """k̄, the mean number of groups of a row; 0 without rows."""
        return self.groups / self.rows if self.rows else 0.0

    @property
    def empty_groups_per_row(self) -> float:
        """k̃, the mean number of empty groups of a row in CER; 0 without rows."""
        return self.empty_groups / self.rows if self.rows else 0.0


def matrix_statistics(matrix: np.ndarray) -> MatrixStatistics:
    """Statistics of a matrix of any numbers, (rows, columns).

    Among equally frequent values 0 counts as the more frequent one, then the lesser one.
    """
    if matrix.ndim != 2:
        raise InvalidValueError(f"matrix must have two dimensions, not {matrix.ndim}")
    values, inverse, counts = np.unique(matrix, return_inverse=True, return_counts=True)
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.lexsort((values, values != 0, -counts))] = np.arange(len(values))
    rows, columns = matrix.shape
    places = np.arange(rows)[:, None] * max(len(values), 1) + ranks[inverse].reshape(matrix.shape)
    present_rows, present = np.divmod(np.unique(places), max(len(values), 1))
    last = np.zeros(rows, dtype=np.int64)
    np.maximum.at(last, present_rows, present)
    groups = int(np.count_nonzero(present))
    return MatrixStatistics(
        rows=rows,
        columns=columns,
        values=len(values),
        kept=int(matrix.size - counts.max()) if matrix.size else 0,
        entropy=entropy(matrix),
        min_entropy=min_entropy(matrix),
        most_frequent_share=most_frequent_share(matrix),
        groups=groups,
        empty_groups=int(last.sum()) - groups,
    )


def expected_groups(shares: np.ndarray, *, columns: int) -> tuple[float, float]:
    """k̄ and k̃ of a row of independent elements: mean numbers of groups, and of empty groups in CER.

    k̄ = Σ_i 1 − (1 − p_i)^n over the values but the most frequent one, i = 1 … K − 1. In CER the row has a place for
    every value up to the last that it has: k̄ + k̃ = Σ_i 1 − (1 − (p_i + … + p_{K−1}))^n. (Ours; the paper draws at
    random.)

    Parameters
    ----------
    shares : (K,), not rising
        Probability of each value, the most frequent one first.
    columns : :class:`int`
        n.
    """
    rest = shares[:0:-1]
    present = -np.expm1(columns * np.log1p(-rest)).sum()
    places = -np.expm1(columns * np.log1p(-np.minimum(np.cumsum(rest), 1 - shares[0]))).sum()
    return float(present), float(places - present)


def expected_statistics(shares: np.ndarray, *, rows: int, columns: int) -> MatrixStatistics:
    """Statistics to expect of a matrix of independent elements; whole numbers are rounded means.

    Parameters
    ----------
    shares : (K,), not rising
        Probability of each value, the most frequent one first.

    Raises
    ------
    :exc:`ValueError`
        If ``shares`` are no such probabilities.
    """
    if not (shares.ndim == 1 and shares.size and shares[-1] >= 0 and (np.diff(shares) <= _ROUNDING).all()):
        raise InvalidValueError("shares must be one or more probabilities in an order that does not rise")
    if not abs(float(shares.sum()) - 1) <= _ROUNDING:
        raise InvalidValueError(f"shares must have the sum 1, not {float(shares.sum()):g}")
    positive = shares[shares > 0]
    elements = rows * columns
    groups, empty_groups = expected_groups(shares, columns=columns)
    with np.errstate(divide="ignore"):  # one value only: its share is 1
        values = -np.expm1(elements * np.log1p(-positive)).sum()
    return MatrixStatistics(
        rows=rows,
        columns=columns,
        values=round(float(values)),
        kept=round(elements * (1 - float(shares[0]))),
        entropy=float(max(0.0, -(positive * np.log2(positive)).sum())),
        min_entropy=-math.log2(shares[0]) + 0.0,
        most_frequent_share=float(shares[0]),
        groups=round(rows * groups),
        empty_groups=round(rows * empty_groups),
    )


def layer_matrix(weights: np.ndarray) -> np.ndarray:
    """Weights of a layer as a matrix whose rows are its outputs or filters: (out, ...) to (out, the rest)."""
    return weights.reshape(len(weights), -1)


def dense_bits(elements: int, value_bits: int) -> int:
    """Storage of a dense matrix, in bits."""
    return elements * value_bits


def csr_bits(*, rows: int, kept: int, value_bits: int, column_bits: int, row_pointer_bits: int) -> int:
    """Storage of CSR, in bits: nnz (b_W + b_I) + (m + 1) b_R, after Wiedemann, Müller, Samek 2018.

    Parameters
    ----------
    kept : elements stored, those that are not 0.
    value_bits, column_bits, row_pointer_bits : widths of an entry of values, columns and row pointers.
    """
    return kept * (value_bits + column_bits) + (rows + 1) * row_pointer_bits


def cer_bits(
    statistics: MatrixStatistics, *, value_bits: int, column_bits: int, group_pointer_bits: int, row_pointer_bits: int
) -> int:
    """Storage of CER, in bits: K b_W + nnz b_I + (m (k̄ + k̃) + 1) b_P + (m + 1) b_R."""
    return (
        statistics.values * value_bits
        + statistics.kept * column_bits
        + (statistics.groups + statistics.empty_groups + 1) * group_pointer_bits
        + (statistics.rows + 1) * row_pointer_bits
    )


def cser_bits(
    statistics: MatrixStatistics,
    *,
    value_bits: int,
    column_bits: int,
    group_value_bits: int,
    group_pointer_bits: int,
    row_pointer_bits: int,
) -> int:
    """Storage of CSER, in bits: K b_W + nnz b_I + m k̄ b_K + (m k̄ + 1) b_P + (m + 1) b_R."""
    return (
        statistics.values * value_bits
        + statistics.kept * column_bits
        + statistics.groups * group_value_bits
        + (statistics.groups + 1) * group_pointer_bits
        + (statistics.rows + 1) * row_pointer_bits
    )


def index_entropy_bits(count: int, nonzeros: int) -> float:
    """Bits of an index stream at its bound: positions at the entropy of the zeros, and a sign a nonzero.

    An estimate from two numbers, for training, which has no schedule yet. What the hardware really stores, "index_bits"
    in NAME.json, is more: distances in words of one width, escapes, and fillers.

    Parameters
    ----------
    count, nonzeros : numbers of weights, ``nonzeros`` of them not zero.
    """
    if not 0 <= nonzeros <= count:
        raise InvalidValueError(f"nonzeros must be 0 to {count}, not {nonzeros}")
    shares = (nonzeros / count, 1 - nonzeros / count) if count else ()
    return count * sum(-share * math.log2(share) for share in shares if share > 0) + nonzeros


def lane_cycles(nonzeros: int, positions: int = 1) -> int:
    """Cycles of all lanes together for one input: an addition a nonzero and place.

    Parameters
    ----------
    nonzeros : of the layer's weights.
    positions : places of the output's map, at which every weight is used; 1 for a vector.
    """
    return nonzeros * positions


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Figures of one :class:`~sterna.net.Linear` or :class:`~sterna.net.Conv2d`.

    Members
    -------
    name : :class:`str`
        The node.
    weights, nonzeros : :class:`int`
        Numbers of weights.
    zeros : :class:`float`
        Share of zero weights, 0 to 1.
    entropy : :class:`float`
        Bits a weight.
    weight_bits : :class:`float`
        ``weights * entropy``.
    """

    name: str
    weights: int
    nonzeros: int
    zeros: float
    entropy: float
    weight_bits: float


def layer_costs(network: Network) -> tuple[LayerCost, ...]:
    """Figures of every node with weights, in the nodes' order."""
    return tuple(
        LayerCost(
            name=node.name,
            weights=node.weights.size,
            nonzeros=nonzeros(node.weights),
            zeros=zeros(node.weights),
            entropy=entropy(node.weights),
            weight_bits=weight_bits(node.weights),
        )
        for node in network.nodes
        if isinstance(node, WeightNode)
    )
