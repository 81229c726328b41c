"""Entropy, min-entropy, p0, k̄ and k̃ against counting by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matrices import EXAMPLE, PADDED_EXAMPLE, frequency_order, matrices

from sterna.net import cost


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(matrix=matrices())
def test_statistics(matrix):
    found = cost.matrix_statistics(matrix)
    order = frequency_order(matrix)
    counts = Counter(matrix.ravel().tolist())
    groups = padding = 0
    for row in matrix.tolist():
        present = [order.index(value) for value in set(row) if value != order[0]]
        groups += len(present)
        padding += max(present, default=0) - len(present)
    assert (found.rows, found.columns) == matrix.shape
    assert (found.values, found.groups, found.empty_groups) == (len(order), groups, padding)
    assert found.groups_per_row == (groups / len(matrix) if len(matrix) else 0)
    assert found.empty_groups_per_row == (padding / len(matrix) if len(matrix) else 0)
    assert found.kept == matrix.size - max(counts.values(), default=0)
    shares = [count / matrix.size for count in counts.values()]
    assert found.entropy == pytest.approx(sum(-share * math.log2(share) for share in shares))
    assert found.most_frequent_share == max(shares, default=0)
    assert found.min_entropy == pytest.approx(-math.log2(max(shares, default=1)))
    assert 0 <= found.min_entropy <= found.entropy + 1e-9


def test_worked_examples():
    example = cost.matrix_statistics(EXAMPLE)
    assert (example.values, example.kept, example.groups, example.empty_groups) == (4, 28, 10, 0)
    assert (example.groups_per_row, example.most_frequent_share) == (2.0, 32 / 60)
    padded = cost.matrix_statistics(PADDED_EXAMPLE)
    assert (padded.groups, padded.empty_groups, padded.empty_groups_per_row) == (4, 1, 0.25)


def test_a_certain_value_has_no_entropy():
    assert str(cost.min_entropy(np.zeros((3, 3)))) == "0.0"
    assert (cost.min_entropy(np.zeros((0, 3))), cost.most_frequent_share(np.zeros((0, 3)))) == (0, 0)


def test_a_vector_is_no_matrix():
    with pytest.raises(ValueError, match=r"^matrix must have two dimensions, not 1$"):
        cost.matrix_statistics(np.zeros(3))


def test_filters_are_rows():
    weights = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert cost.layer_matrix(weights).shape == (2, 60)
    assert cost.layer_matrix(weights)[1].tolist() == list(range(60, 120))
