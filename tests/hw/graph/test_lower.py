"""Lowering: whatever is left out changes no code, for any input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bench import S1, U1, U2, U4, random_codes, random_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import code_by_definition, draw_requantize

from sterna.hw.graph.lower import UnsupportedError, lower
from sterna.hw.units.dense.layer import DenseLayer
from sterna.net import (
    ActivationType,
    Add,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    ShiftRound,
    SumPool2d,
    Thresholds,
)
from sterna.sim.golden import GoldenModel


def evaluate(layer: DenseLayer, values: dict[int, int]) -> dict[int, int]:
    """Codes of the rows that are kept, by network channel."""
    column = np.array([values[int(i)] for i in layer.inputs])
    sums = layer.weights.astype(np.int64) @ column + layer.offset
    low, high = layer.bounds
    assert (low <= sums - layer.offset).all()
    assert (sums - layer.offset <= high).all()
    return {int(c): code_by_definition(layer.requantize, r, int(sums[r])) for r, c in enumerate(layer.channels)}


def check(network: Network, inputs: np.ndarray) -> list[DenseLayer]:
    """The lowered layers give every kept channel's code, and the constants are what the others always have."""
    layers = lower(network)
    golden = GoldenModel(network).trace(inputs)
    flat = inputs.reshape(len(inputs), -1)
    for n in range(len(inputs)):
        values = dict(enumerate(flat[n].tolist()))
        for layer in layers:
            values = evaluate(layer, values)
            traced = golden[layer.name][n]
            assert values == {c: int(traced[c]) for c in values}
            assert all(int(traced[c]) == code for c, code in layer.constants.items())
            left_out = set(layer.constants) | set(layer.unused)
            assert left_out.isdisjoint(values)
            assert left_out | set(values) == set(range(len(traced)))
    assert set(values) == set(range(network.output_shape[0]))
    return layers


def every_code(code: ActivationType, count: int) -> np.ndarray:
    return np.array(list(itertools.product(range(code.min, code.max + 1), repeat=count)), np.int64)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_nothing_changes(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    code = data.draw(st.sampled_from([U1, S1, U2]))
    sizes = [3, *data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))]
    nodes = []
    for k, (columns, rows) in enumerate(itertools.pairwise(sizes)):
        weights = random_weights(rng, rows, columns, data.draw(st.sampled_from([0.0, 0.4, 0.8, 1.0])))
        last = k == len(sizes) - 2
        nodes.append(
            Linear(
                name=f"fc{k}",
                weights=weights,
                bias=rng.integers(-3, 4, rows) if data.draw(st.booleans()) else None,
                requantize=None if last and data.draw(st.booleans()) else draw_requantize(data, rng, rows),
            )
        )
    check(Network(input_shape=(3,), input_type=code, input_scale=1.0, nodes=nodes), every_code(code, 3))


def two_layers(first: list[list[int]], levels: list[list[int]], second: list[list[int]]) -> Network:
    nodes = [
        Linear(name="a", weights=np.array(first, np.int8), requantize=Thresholds(output=U2, levels=np.array(levels))),
        Linear(name="b", weights=np.array(second, np.int8), bias=np.array([5] * len(second))),
    ]
    return Network(input_shape=(len(first[0]),), input_type=U2, input_scale=1.0, nodes=nodes)


def test_constants_move_into_the_next_offset() -> None:
    always_two = [-4, -3, 4]  # sums lie from -3 to 3
    network = two_layers([[1, -1], [1, -1], [0, 0]], [[-1, 0, 1], always_two, [0, 1, 2]], [[1, -1, 1], [0, 1, 1]])
    first, second = check(network, every_code(U2, 2))
    assert dict(first.constants) == {1: 2, 2: 1}
    assert first.unused == ()
    assert first.channels.tolist() == [0]
    assert second.inputs.tolist() == [0]
    assert second.offset.tolist() == [5 - 2 + 1, 5 + 2 + 1]
    assert second.weights.tolist() == [[1], [0]]


def test_a_level_at_either_extreme_makes_no_constant() -> None:
    network = two_layers([[1, 1], [1, 1]], [[6, 7, 7], [-1, 0, 1]], [[1, 1]])  # sums lie from 0 to 6
    first, _ = check(network, every_code(U2, 2))
    assert dict(first.constants) == {}
    assert first.channels.tolist() == [0, 1]


def test_unread_channels_are_left_out_all_the_way_back() -> None:
    rng = np.random.default_rng(0)
    requantize = Thresholds(output=U2, levels=np.tile([-1, 1, 2], (3, 1)))
    nodes = [
        Linear(name="a", weights=np.array([[1, 1], [1, -1], [-1, 1]], np.int8), requantize=requantize),
        Linear(name="b", weights=np.array([[1, 0, 0], [0, 1, 1], [1, 0, 1]], np.int8), requantize=requantize),
        Linear(name="c", weights=np.array([[1, 0, 0], [-1, 0, 0]], np.int8)),
    ]
    network = Network(input_shape=(2,), input_type=U4, input_scale=1.0, nodes=nodes)
    first, second, third = check(network, random_codes(rng, U4, 50, 2))
    assert second.unused == (1, 2)
    assert first.unused == (1, 2)  # channel 2 was read by channel 2 of b alone
    assert third.inputs.tolist() == [0]


def test_a_layer_keeps_a_channel_though_nothing_changes() -> None:
    constant = two_layers([[1, 1], [1, 0]], [[-9, -8, 20], [-9, 20, 20]], [[1, 1]])
    first, second = check(constant, every_code(U2, 2))
    assert first.channels.tolist() == [0]
    assert dict(first.constants) == {1: 1}
    assert second.offset.tolist() == [6]
    unread = two_layers([[1, 1], [1, 0]], [[1, 2, 3], [1, 2, 3]], [[0, 0], [0, 0]])
    first, _ = check(unread, every_code(U2, 2))
    assert first.channels.tolist() == [0]
    assert first.unused == (1,)


def test_the_last_layer_keeps_its_constants() -> None:
    weights = np.array([[1, 0], [0, 0]], np.int8)
    network = Network(
        input_shape=(2,),
        input_type=U2,
        input_scale=1.0,
        nodes=[Linear(name="a", weights=weights, requantize=ShiftRound(output=U2, bias=[0, 7], shift=1))],
    )
    (layer,) = check(network, every_code(U2, 2))
    assert layer.channels.tolist() == [0, 1]


def chain_of(*nodes: object, shape: tuple[int, ...] = (2,)) -> Network:
    return Network(input_shape=shape, input_type=U4, input_scale=1.0, nodes=nodes)


ONES = np.ones((2, 2), np.int8)
SHIFT = ShiftRound(output=U4, bias=0, shift=1)
FILTER = np.ones((2, 1, 2, 2), np.int8)
MADE = "Linear, Conv2d, MaxPool2d, SumPool2d, Add nodes"
NO_HARDWARE = rf" has no hardware yet: it is made for {MADE} \(a Flatten may come before a Linear\)$"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            chain_of(Conv2d(name="a", weights=FILTER, requantize=SHIFT), Flatten(name="flat"), shape=(1, 3, 3)),
            r"^node 'flat' \(Flatten of a\)" + NO_HARDWARE,
        ),
        (
            chain_of(
                Flatten(name="flat"),
                Linear(name="a", weights=np.ones((4, 4), np.int8), requantize=SHIFT),
                Add(name="sum", shifts=(0, 0), inputs=("flat", "a")),
                shape=(1, 2, 2),
            ),
            r"^node 'sum' \(Add of flat, a\)" + NO_HARDWARE,
        ),
        (chain_of(Flatten(name="flat"), shape=(1, 2, 2)), r"^node 'flat' \(Flatten of input\)" + NO_HARDWARE),
        (
            chain_of(
                SumPool2d(name="pool", kernel=2, requantize=None),
                MaxPool2d(name="max", kernel=1),
                shape=(1, 4, 4),
            ),
            r"^node 'max' \(MaxPool2d of pool\)" + NO_HARDWARE,
        ),
    ],
)
def test_unsupported_networks(network: Network, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        lower(network)


def test_what_is_added_keeps_all_its_channels() -> None:
    """A constant channel and one that no layer with weights reads stay, in all branches."""
    a = Linear(name="a", weights=np.array([[1, 1], [0, 0], [1, -1]], np.int8), requantize=SHIFT)
    b = Linear(name="b", weights=np.ones((3, 3), np.int8), requantize=SHIFT)
    total = Add(name="sum", shifts=(1, 0), inputs=("b", "a"), requantize=SHIFT)
    c = Linear(name="c", weights=np.array([[1, 0, 0], [-1, 0, 0]], np.int8))
    network = chain_of(a, b, total, c)
    layers = lower(network)
    assert [layer.sources for layer in layers] == [("input",), ("a",), ("b", "a"), ("sum",)]
    assert [layer.channels.tolist() for layer in layers] == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1]]
    assert layers[2].bounds == (0, 45)


def test_a_constant_is_folded_into_all_its_readers_or_none() -> None:
    """Channel 1 is always 3: a convolution behind padding needs it, and then the other one gets it too."""
    one = ShiftRound(output=U4, bias=[0, 3], shift=0)
    first = Conv2d(name="first", weights=np.array([[[[1]]], [[[0]]]], np.int8), requantize=one)

    def reader(name: str, padding: int) -> Conv2d:
        weights = np.ones((1, 2, 1 + 2 * padding, 1 + 2 * padding), np.int8)
        return Conv2d(name=name, inputs=("first",), weights=weights, padding=padding)

    for padding, kept in ((0, [0]), (1, [0, 1])):
        total = Add(name="sum", shifts=(0, 0), inputs=("b", "c"))
        layers = lower(chain_of(first, reader("b", 0), reader("c", padding), total, shape=(1, 3, 3)))
        assert layers[0].channels.tolist() == kept
        assert [layer.inputs.tolist() for layer in layers[1:3]] == [kept, kept]
        assert [layer.offset.tolist() for layer in layers[1:3]] == [[0 if padding else 3]] * 2


def test_a_channel_stays_that_one_of_several_readers_needs() -> None:
    """And a pool passes on what comes, though its own reader needs less."""
    first = Conv2d(name="first", weights=np.ones((3, 1, 1, 1), np.int8), requantize=SHIFT)
    pool = MaxPool2d(name="pool", inputs=("first",), kernel=2)

    def reader(name: str, source: str, channel: int, stride: int) -> Conv2d:
        weights = np.zeros((1, 3, 1, 1), np.int8)
        weights[0, channel] = 1
        return Conv2d(name=name, inputs=(source,), weights=weights, stride=stride)

    total = Add(name="sum", shifts=(0, 0), inputs=("b", "c"))
    for one, other in ((0, 2), (2, 0)):
        nodes = [first, pool, reader("b", "first", one, 2), reader("c", "pool", other, 1), total]
        layers = {layer.name: layer for layer in lower(chain_of(*nodes, shape=(1, 4, 4)))}
        assert layers["first"].channels.tolist() == [0, 2]
        assert layers["first"].unused == (1,)
        assert layers["pool"].channels.tolist() == [0, 2]
        assert layers["c"].inputs.tolist() == [0, 2]
