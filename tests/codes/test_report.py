"""Costs of matrices and of networks in every code."""

import numpy as np
import pytest
from matrices import EXAMPLE

from sterna.codes import CODES, encode, entropy_bound, matrix_costs, network_costs, total
from sterna.net import ActivationType, Conv2d, Flatten, Linear, Network, Thresholds
from sterna.net.cost import matrix_statistics
from sterna.net.energy import energy

U1 = ActivationType(1, False)
FILTERS = np.array([[[[1, 0], [0, 0]], [[0, 0], [0, -1]]], [[[0, 0], [0, 0]], [[1, 1], [0, 0]]]])


@pytest.fixture
def network():
    return Network(
        input_shape=(2, 4, 5),
        input_type=U1,
        input_scale=1,
        nodes=[
            Conv2d(name="conv", weights=FILTERS, requantize=Thresholds(output=U1, levels=[[1], [1]])),
            Flatten(name="flat"),
            Linear(name="fc", weights=np.eye(2, 24, 3, dtype=int)),
        ],
    )


def test_a_matrix():
    costs = matrix_costs(EXAMPLE, name="example", positions=6)
    assert (costs.name, costs.positions, costs.statistics) == ("example", 6, matrix_statistics(EXAMPLE))
    assert list(costs.codes) == [name for name in CODES if name != "base3"]
    assert costs.entropy_bits == entropy_bound(EXAMPLE, value_bits=32).bits
    for name, found in costs.codes.items():
        coded = encode(EXAMPLE, name)
        assert found.storage == coded.storage(value_bits=32)
        assert found.operations == coded.operations(value_bits=32).times(6)
        assert found.energy == energy(found.operations)


def test_options_reach_the_codes():
    options = {"operand_bits": 8, "result_bits": 16, "value_bits": 4, "tight": True}
    found = matrix_costs(EXAMPLE % 2, codes=["cser", "base3"], multiply_units=True, **options)
    assert list(found.codes) == ["cser", "base3"]
    coded = encode(EXAMPLE % 2, "cser")
    assert found.codes["cser"].operations == coded.operations(multiply_units=True, **options)
    assert found.codes["cser"].storage == coded.storage(value_bits=4, tight=True)
    assert found.entropy_bits == entropy_bound(EXAMPLE % 2, value_bits=4).bits


def test_a_convolution_is_the_matrix_of_its_filters_at_every_place(network):
    conv, fc = network_costs(network)
    assert (conv.name, conv.positions, fc.name, fc.positions) == ("conv", 3 * 4, "fc", 1)
    assert (conv.statistics.rows, conv.statistics.columns) == (2, 8)
    coded = encode(FILTERS.reshape(2, 8).astype(np.int8), "csr")
    assert conv.codes["csr"].storage == coded.storage(value_bits=32)
    assert conv.codes["csr"].operations.additions == 12 * 4
    assert conv.codes["dense"].operations.multiplications == 12 * 16


def test_totals(network):
    layers = network_costs(network)
    for name in CODES:
        found = total(layers, name)
        costs = [layer.codes[name] for layer in layers]
        assert found.storage_bits == sum(cost.storage.bits for cost in costs)
        assert found.energy == pytest.approx(sum(cost.energy.total for cost in costs))
        assert found.reads == sum(cost.operations.reads for cost in costs)
        assert found.writes == 12 * 2 + 2
        assert (found.multiplications == 0) == (name != "dense")
    assert total(layers, "csr").additions == 12 * 4 + 2
    with pytest.raises(KeyError, match="base3"):
        total([matrix_costs(EXAMPLE)], "base3")


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"^positions must be a positive integer, not 0$"):
        matrix_costs(EXAMPLE, positions=0)
    with pytest.raises(ValueError, match=r"^code must be one of dense, .*, cser, not 'lzw'$"):
        matrix_costs(EXAMPLE, codes=["lzw"])
