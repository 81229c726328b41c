"""A convolution before lanes are chosen: its weights without groups, what is folded, what it needs at least."""

from __future__ import annotations

import numpy as np
import pytest
from bench import S2, U2, U4, random_weights

from sterna.hw.units.conv.layer import ConvLayer, conv_layer
from sterna.hw.units.convolution import ConvLowering, ungrouped
from sterna.net import Conv2d, ShiftRound


def lowering_of(weights: np.ndarray, *, padding: tuple[int, int] = (0, 0), groups: int = 1) -> ConvLowering:
    node = Conv2d(
        name="conv",
        weights=weights,
        padding=padding,
        groups=groups,
        bias=np.arange(len(weights)),
        requantize=ShiftRound(output=U2, bias=0, shift=0),
    )
    return ConvLowering(node, U4, (weights.shape[1] * groups, 4, 5), conv_layer)


def layer_of(lowering: ConvLowering) -> ConvLayer:
    channels = np.arange(lowering.channels)
    inputs = np.arange(len(lowering.reads(channels)))
    return lowering.layer(sources=("input",), inputs=inputs, kept=channels, constants={}, unused=())


@pytest.mark.parametrize(("rows", "inside", "groups"), [(6, 2, 3), (4, 1, 4), (6, 1, 2), (3, 4, 1)])
def test_groups_read_their_own_channels(rows: int, inside: int, groups: int) -> None:
    weights = random_weights(np.random.default_rng(rows), rows, inside * 4, 0.2).reshape(rows, inside, 2, 2)
    whole = ungrouped(weights, groups)
    assert whole.shape == (rows, inside * groups, 2, 2)
    for row in range(rows):
        first = row // (rows // groups) * inside
        np.testing.assert_array_equal(whole[row, first : first + inside], weights[row])
        assert np.count_nonzero(whole[row]) == np.count_nonzero(weights[row])


@pytest.mark.parametrize(("padding", "absorbed"), [((0, 0), {0, 1, 2}), ((1, 0), {1}), ((0, 2), {1})])
def test_what_it_can_do_without(padding: tuple[int, int], absorbed: set[int]) -> None:
    lowering = lowering_of(np.ones((2, 3, 2, 2), np.int8), padding=padding)
    assert lowering.absorbs({0: 3, 1: 0, 2: 1}) == absorbed


def test_folding_and_back() -> None:
    weights = random_weights(np.random.default_rng(4), 3, 12, 0.3).reshape(3, 3, 2, 2)
    lowering = lowering_of(weights)
    before = layer_of(lowering)
    lowering.fold({1: 5, 2: 0})
    folded = layer_of(lowering)
    assert folded.offset.tolist() == [k + 5 * int(weights[k, 1].sum()) for k in range(3)]
    assert lowering.reads(np.arange(3)).tolist() == [True, False, False]
    lowering.unfold({1: 5, 2: 0})
    again = layer_of(lowering)
    assert again.offset.tolist() == before.offset.tolist() == [0, 1, 2]
    assert lowering.reads(np.arange(3)).all()


def test_constants_are_channels_that_no_input_changes() -> None:
    weights = np.zeros((4, 1, 1, 1), np.int8)
    weights[1:3] = [[[[1]]], [[[-1]]]]
    node = Conv2d(name="conv", weights=weights, bias=np.array([2, 3, 0, 9]), requantize=ShiftRound(
        output=U2, bias=0, shift=0,
    ))  # fmt: skip
    assert ConvLowering(node, U4, (1, 2, 2), conv_layer).constants() == {0: 2, 1: 3, 2: 0, 3: 3}
    assert ConvLowering(node, S2, (1, 2, 2), conv_layer).constants() == {0: 2, 3: 3}


def test_lanes_come_in_rows_of_pixels() -> None:
    weights = np.ones((6, 2, 2, 2), np.int8)
    weights[5] = 0
    layer = layer_of(lowering_of(weights))
    assert (layer.lane_grain, layer.most_lanes) == (4, 24)
    assert layer.least_interval(()) == 6 * 3  # a step for a channel of a row
    # five channels of eight weights, and a step of the one that has none, for each of three rows
    assert [layer.least_lanes(cycles) for cycles in (3 * 41, 3 * 41 - 1, 62, 1, 0)] == [4, 8, 8, 24, 24]
