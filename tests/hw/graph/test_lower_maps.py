"""Lowering of networks with feature maps: whatever is left out changes no code, for any input."""

from __future__ import annotations

import numpy as np
import pytest
from bench import S1, S2, U1, U2, U4, random_codes, random_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import code_by_definition, draw_requantize

from sterna.hw.graph.lower import lower
from sterna.hw.units.conv.layer import ConvLayer
from sterna.hw.units.dense.layer import DenseLayer
from sterna.hw.units.pool.layer import PoolLayer
from sterna.hw.units.protocol import Layer
from sterna.net import (
    ActivationType,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Node,
    Requantization,
    ShiftRound,
    SumPool2d,
    Thresholds,
)
from sterna.sim.golden import GoldenModel

Maps = dict[int, np.ndarray]


def requantized(requantize: Requantization | None, row: int, sums: np.ndarray) -> np.ndarray:
    """Rule by rule, each sum by itself."""
    codes = [code_by_definition(requantize, row, int(total)) for total in sums.reshape(-1)]
    return np.array(codes, np.int64).reshape(sums.shape)


def convolved(layer: ConvLayer, values: Maps) -> Maps:
    """A plain convolution of the channels that the layer reads."""
    geometry = layer.geometry
    height, width = geometry.height, geometry.width
    padded = np.zeros((len(layer.inputs), height + 2 * geometry.padding[0], width + 2 * geometry.padding[1]), np.int64)
    for k, channel in enumerate(layer.inputs):
        inside = padded[k, geometry.padding[0] :, geometry.padding[1] :]
        inside[:height, :width] = values[int(channel)]
    results = {}
    low, high = layer.bounds
    for row, channel in enumerate(layer.channels):
        sums = np.zeros((geometry.rows, geometry.columns), np.int64)
        for y in range(geometry.rows):
            for x in range(geometry.columns):
                top, left = y * geometry.stride[0], x * geometry.stride[1]
                window = padded[:, top : top + geometry.kernel[0], left : left + geometry.kernel[1]]
                sums[y, x] = (layer.weights[row].astype(np.int64) * window).sum()
        assert low[row] <= sums.min()
        assert sums.max() <= high[row]
        results[int(channel)] = requantized(layer.requantize, row, sums + layer.offset[row])
    return results


def pooled(layer: PoolLayer, values: Maps) -> Maps:
    """Windows one by one, each cut at the map's edges."""
    results = {}
    for row, channel in enumerate(layer.channels):
        sizes = values[int(channel)].shape
        spans = [
            [slice(max(k, 0), k + kernel) for k in range(-padding, size + padding - kernel + 1, stride)]
            for size, kernel, stride, padding in zip(sizes, layer.kernel, layer.stride, layer.padding, strict=True)
        ]
        windows = [[values[int(channel)][y, x] for x in spans[1]] for y in spans[0]]
        reduced = np.array([[window.sum() if layer.sums else window.max() for window in line] for line in windows])
        results[int(channel)] = requantized(layer.requantize, row, reduced) if layer.sums else reduced
    return results


def dense(layer: DenseLayer, values: Maps) -> Maps:
    """Sums of the elements that are there; others have no weight."""
    size = next(iter(values.values())).size
    flat = {channel * size + k: int(code) for channel, m in values.items() for k, code in enumerate(m.reshape(-1))}
    column = np.array([flat[int(index)] for index in layer.inputs])
    sums = layer.weights.astype(np.int64) @ column + layer.offset
    return {int(c): requantized(layer.requantize, r, sums[r : r + 1]) for r, c in enumerate(layer.channels)}


def evaluate(layer: Layer, values: Maps) -> Maps:
    """Codes of the channels that are kept, by network channel."""
    if isinstance(layer, ConvLayer):
        return convolved(layer, values)
    if isinstance(layer, PoolLayer):
        return pooled(layer, values)
    assert isinstance(layer, DenseLayer)
    return dense(layer, values)


def check(network: Network, inputs: np.ndarray) -> list[Layer]:
    """The lowered layers give every kept channel's codes; those of the constants never change."""
    layers = lower(network)
    golden = GoldenModel(network).trace(inputs)
    for n in range(len(inputs)):
        values: Maps = dict(enumerate(inputs[n]))
        for layer in layers:
            values = evaluate(layer, values)
            traced = golden[layer.name][n]
            for channel, codes in values.items():
                np.testing.assert_array_equal(codes.reshape(traced[channel].shape), traced[channel])
            for channel, code in getattr(layer, "constants", {}).items():
                assert (traced[channel] == code).all()
                assert channel not in values
        assert sorted(values) == list(range(network.output_shape[0]))
    return layers


def draw_conv(data: st.DataObject, rng: np.random.Generator, name: str, channels: int, size: tuple[int, int]) -> Conv2d:
    kernel = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)))
    padding = tuple(data.draw(st.integers((k > s) * (k - s + 1) // 2, 2)) for k, s in zip(kernel, size, strict=True))
    groups = channels if data.draw(st.booleans()) else 1
    rows = groups * data.draw(st.integers(1, 3))
    shape = (rows, channels // groups, *kernel)
    weights = random_weights(rng, rows, int(np.prod(shape[1:])), data.draw(st.sampled_from([0.2, 0.6, 0.9, 1.0])))
    return Conv2d(
        name=name,
        weights=weights.reshape(shape),
        stride=(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))),
        padding=padding,
        groups=groups,
        bias=rng.integers(-3, 4, rows) if data.draw(st.booleans()) else None,
        requantize=draw_requantize(data, rng, rows),
    )


def draw_pool(data: st.DataObject, rng: np.random.Generator, name: str, channels: int, size: tuple[int, int]) -> Node:
    kernel = tuple(data.draw(st.integers(1, min(3, s + 1))) for s in size)
    window = {
        "kernel": kernel,
        "stride": tuple(data.draw(st.integers(1, k + 1)) for k in kernel),
        "padding": tuple(data.draw(st.integers(int(k > s), k // 2)) for k, s in zip(kernel, size, strict=True)),
    }
    if data.draw(st.booleans()):
        return MaxPool2d(name=name, **window)
    return SumPool2d(name=name, **window, requantize=draw_requantize(data, rng, channels))


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.data())
def test_nothing_changes(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    code: ActivationType = data.draw(st.sampled_from([U1, S1, U2, S2]))
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    nodes: list[Node] = []
    here = shape
    for k in range(data.draw(st.integers(1, 3))):
        draw = draw_pool if data.draw(st.integers(0, 2)) == 0 else draw_conv
        nodes.append(draw(data, rng, f"map{k}", here[0], (here[1], here[2])))
        partial = Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=nodes)
        here = partial.shapes[f"map{k}"]  # type: ignore[assignment]
    if data.draw(st.booleans()):
        nodes += [
            Flatten(name="flat"),
            Linear(name="fc", weights=random_weights(rng, 3, int(np.prod(here)), 0.5), bias=rng.integers(-3, 4, 3)),
        ]
    network = Network(input_shape=shape, input_type=code, input_scale=1.0, nodes=nodes)
    frames = random_codes(rng, code, 6, *shape)
    frames[0], frames[1] = code.min, code.max
    check(network, frames)


def constants_of(*codes: int) -> Thresholds:
    """Requantizes sums from -2 to 6: to so many constants, -1 standing for a channel that changes."""
    levels = [[-9] * code + [99] * (3 - code) if code >= 0 else [0, 1, 2] for code in codes]
    return Thresholds(output=U2, levels=np.array(levels))


def two_convolutions(padding: int, second: np.ndarray, *codes: int) -> Network:
    nodes = [
        Conv2d(name="a", weights=np.ones((len(codes), 1, 1, 1), np.int8), requantize=constants_of(*codes)),
        Conv2d(name="b", weights=second, padding=padding, bias=np.full(len(second), 5)),
    ]
    return Network(input_shape=(1, 3, 3), input_type=U2, input_scale=1.0, nodes=nodes)


SECOND = np.array([[[[1, 1]], [[1, 0]], [[-1, -1]]], [[[0, 1]], [[1, -1]], [[0, 1]]]], np.int8)


def test_without_padding_constants_move_into_the_next_offset() -> None:
    network = two_convolutions(0, SECOND, -1, 2, 3)
    first, second = check(network, random_codes(np.random.default_rng(0), U2, 5, 1, 3, 3))
    assert isinstance(first, ConvLayer)
    assert isinstance(second, ConvLayer)
    assert dict(first.constants) == {1: 2, 2: 3}
    assert first.channels.tolist() == second.inputs.tolist() == [0]
    assert second.offset.tolist() == [5 + 2 * 1 + 3 * -2, 5 + 2 * 0 + 3 * 1]


def test_behind_padding_only_zeros_are_left_out() -> None:
    network = two_convolutions(1, SECOND, -1, 2, 0)
    first, second = check(network, random_codes(np.random.default_rng(0), U2, 5, 1, 3, 3))
    assert isinstance(first, ConvLayer)
    assert isinstance(second, ConvLayer)
    assert dict(first.constants) == {2: 0}
    assert first.channels.tolist() == second.inputs.tolist() == [0, 1]
    assert second.offset.tolist() == [5, 5]


@pytest.mark.parametrize("padding", [(1, 0), (0, 1)])
def test_padding_on_one_axis_is_padding(padding: tuple[int, int]) -> None:
    nodes = [
        Conv2d(name="a", weights=np.ones((2, 1, 1, 1), np.int8), requantize=constants_of(-1, 3)),
        Conv2d(name="b", weights=np.ones((1, 2, 2, 2), np.int8), padding=padding),
    ]
    network = Network(input_shape=(1, 3, 3), input_type=U2, input_scale=1.0, nodes=nodes)
    first, _ = check(network, random_codes(np.random.default_rng(0), U2, 3, 1, 3, 3))
    assert isinstance(first, ConvLayer)
    assert dict(first.constants) == {}


@pytest.mark.parametrize(("padding", "constants"), [(0, {1: 3}), (1, {})])
def test_a_layer_keeps_a_channel_though_nothing_changes(padding: int, constants: dict[int, int]) -> None:
    network = two_convolutions(padding, SECOND[:, :2], 3, 3)
    first, _ = check(network, random_codes(np.random.default_rng(0), U2, 3, 1, 3, 3))
    assert isinstance(first, ConvLayer)
    assert 0 in first.channels
    assert dict(first.constants) == constants


def test_unread_channels_are_left_out_through_groups_pools_and_a_flatten() -> None:
    """The dense layer reads one pixel of channel 1; before the pool, that is channel 1 of the depthwise layer."""
    reads = np.zeros((1, 4 * 4), np.int8)
    reads[0, 1 * 4 + 2] = 1
    shift = ShiftRound(output=U4, bias=0, shift=1)
    nodes = [
        Conv2d(name="depthwise", weights=np.ones((4, 1, 2, 2), np.int8), groups=2, requantize=shift),
        MaxPool2d(name="pool", kernel=2),
        Flatten(name="flat"),
        Linear(name="fc", weights=reads),
    ]
    network = Network(input_shape=(2, 5, 5), input_type=U4, input_scale=1.0, nodes=nodes)
    conv, pool, fc = check(network, random_codes(np.random.default_rng(0), U4, 4, 2, 5, 5))
    assert isinstance(conv, ConvLayer)
    assert isinstance(pool, PoolLayer)
    assert isinstance(fc, DenseLayer)
    assert conv.channels.tolist() == pool.channels.tolist() == [1]
    assert conv.unused == (0, 2, 3)
    assert conv.weights[0].any(axis=(1, 2)).tolist() == [True, False]  # channel 1 is of the first group
    assert fc.inputs.tolist() == [4, 5, 6, 7]


def test_a_pool_folds_no_constant() -> None:
    nodes = [
        Conv2d(name="a", weights=np.ones((2, 1, 1, 1), np.int8), requantize=constants_of(-1, 3)),
        MaxPool2d(name="pool", kernel=2),
        Conv2d(name="b", weights=np.ones((1, 2, 1, 1), np.int8)),
    ]
    network = Network(input_shape=(1, 4, 4), input_type=U2, input_scale=1.0, nodes=nodes)
    first, pool, _ = check(network, random_codes(np.random.default_rng(0), U2, 3, 1, 4, 4))
    assert isinstance(first, ConvLayer)
    assert isinstance(pool, PoolLayer)
    assert first.channels.tolist() == pool.channels.tolist() == [0, 1]
