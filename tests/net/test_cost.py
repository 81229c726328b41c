import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.net import ActivationType, Conv2d, Flatten, LayerCost, Linear, Network, Thresholds, cost


def weights(zeros, plus, minus):
    return np.array([0] * zeros + [1] * plus + [-1] * minus, dtype=np.int8)


@pytest.mark.parametrize(
    ("values", "entropy", "zeros"),
    [
        (weights(10, 0, 0), 0.0, 1.0),
        (weights(0, 7, 0), 0.0, 0.0),
        (weights(0, 5, 5), 1.0, 0.0),
        (weights(50, 25, 25), 1.5, 0.5),
        (weights(5, 5, 5), math.log2(3), 1 / 3),
        (weights(950, 25, 25), 0.33639719471, 0.95),  # 0.336 bit a weight at 95 % zeros
        (weights(0, 0, 0), 0.0, 0.0),
    ],
)
def test_entropy_and_zeros(values, entropy, zeros):
    assert cost.entropy(values) == pytest.approx(entropy)
    assert cost.entropy(values) >= 0
    assert cost.zeros(values) == pytest.approx(zeros)
    assert cost.weight_bits(values) == pytest.approx(entropy * values.size)
    assert cost.nonzeros(values) == np.abs(values).sum()


@given(st.integers(0, 3000), st.integers(0, 1000))
def test_index_entropy_bits_are_the_entropy_of_balanced_signs(zeros, pairs):
    count, nonzeros = zeros + 2 * pairs, 2 * pairs
    assert cost.index_entropy_bits(count, nonzeros) == pytest.approx(cost.weight_bits(weights(zeros, pairs, pairs)))


@given(st.integers(1, 300), st.data())
def test_index_entropy_bits_bound_what_numbers_the_patterns(count, data):
    """log2 of how many matrices have these nonzeros, C(count, n) 2^n, lies below by less than log2(count + 1)."""
    nonzeros = data.draw(st.integers(0, count))
    patterns = math.log2(math.comb(count, nonzeros)) + nonzeros
    assert patterns - 1e-9 <= cost.index_entropy_bits(count, nonzeros) <= patterns + math.log2(count + 1) + 1e-9


def test_signs_count_whatever_they_are():
    assert cost.index_entropy_bits(100, 100) == 100
    assert cost.index_entropy_bits(100, 0) == cost.index_entropy_bits(0, 0) == 0
    assert cost.index_entropy_bits(1000, 50) == pytest.approx(336.39719471)
    assert cost.index_entropy_bits(1000, 50) > cost.weight_bits(weights(950, 50, 0))


@pytest.mark.parametrize(("count", "nonzeros"), [(3, 4), (3, -1), (0, 1)])
def test_more_nonzeros_than_weights(count, nonzeros):
    with pytest.raises(ValueError, match=f"^nonzeros must be 0 to {count}, not {nonzeros}$"):
        cost.index_entropy_bits(count, nonzeros)


def test_lane_cycles():
    assert cost.lane_cycles(7) == 7
    assert cost.lane_cycles(7, positions=36) == 252
    assert cost.lane_cycles(0, positions=36) == 0


def test_layer_costs_are_given_for_every_node_with_weights():
    u1 = ActivationType(1, False)
    network = Network(
        input_shape=(1, 2, 2),
        input_type=u1,
        input_scale=1,
        nodes=[
            Conv2d(name="conv", weights=np.ones((1, 1, 1, 1), int), requantize=Thresholds(output=u1, levels=[[1]])),
            Flatten(name="flat"),
            Linear(name="fc", weights=[[0, 0, 1, -1]]),
        ],
    )
    assert cost.layer_costs(network) == (
        LayerCost(name="conv", weights=1, nonzeros=1, zeros=0.0, entropy=0.0, weight_bits=0.0),
        LayerCost(name="fc", weights=4, nonzeros=2, zeros=0.5, entropy=1.5, weight_bits=6.0),
    )
