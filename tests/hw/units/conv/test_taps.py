"""Positions of a convolution's weights: which tap and channel each means."""

from __future__ import annotations

import numpy as np
import pytest
from bench import random_weights

from sterna.hw.index.columns import fixed_window
from sterna.hw.units.conv.taps import TapOrder

KERNELS = [(1, 1), (1, 3), (3, 1), (2, 2), (3, 3), (5, 5), (7, 7)]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16, 17])
@pytest.mark.parametrize("empty", [False, True])
def test_positions_say_tap_and_channel(kernel: tuple[int, int], channels: int, empty: bool) -> None:
    rng = np.random.default_rng(channels)
    rows, taps = 4, kernel[0] * kernel[1]
    weights = random_weights(rng, rows, channels * taps, 0.5).reshape(rows, channels, *kernel)
    weights[:, 0, 0, 0] = 1
    if empty:
        weights[2] = 0
    order = TapOrder(kernel=kernel, channels=channels, vacant=empty)
    matrix = order.matrix(weights)
    places, inside = 1 << order.low_width, order.taps if order.by_channel else channels
    assert places // 2 < inside <= places
    assert matrix.shape == (rows, (channels if order.by_channel else order.taps) * places)
    assert matrix.shape[1] == min(channels << (order.taps - 1).bit_length(), order.taps << (channels - 1).bit_length())
    for run_width in (1, 4, 12):
        window = fixed_window(matrix.shape[1], run_width=run_width)
        table = order.decoded(window)
        found = np.zeros_like(weights)
        for row, column in np.argwhere(matrix):
            fields = divmod(int(window.positions()[column]), places)
            tap, channel = reversed(fields) if order.by_channel else fields
            channel -= order.first_channel(window)
            entry = table[tap]
            assert entry is not None
            if entry[2]:
                found[row, channel, entry[0], entry[1]] += matrix[row, column]
            else:
                assert empty
                assert row == 2
        np.testing.assert_array_equal(found, weights)
        if not order.by_channel:
            visited = {int(position) // places for position in window.positions()}
            assert {tap for tap, entry in enumerate(table) if entry is not None} == visited


def test_every_row_has_a_weight() -> None:
    weights = np.zeros((3, 3, 2, 2), np.int8)
    weights[1, 2, 1, 0] = -1
    matrix = TapOrder(kernel=(2, 2), channels=3, vacant=True).matrix(weights)
    assert np.count_nonzero(matrix, axis=1).tolist() == [1, 1, 1]
    assert np.argwhere(matrix).tolist() == [[0, 0], [1, 3 * 4 + 2], [2, 0]]
    assert matrix[1, 3 * 4 + 2] == -1


def test_taps_of_a_channel_side_by_side() -> None:
    order = TapOrder(kernel=(2, 2), channels=3, vacant=False)
    assert order.by_channel
    weights = np.zeros((1, 3, 2, 2), np.int8)
    weights[0, 2, 1, 0] = -1
    assert np.argwhere(order.matrix(weights)).tolist() == [[0, 2 * 4 + 2]]
    assert not TapOrder(kernel=(3, 3), channels=64, vacant=False).by_channel


def test_fields_without_positions_come_first() -> None:
    table = TapOrder(kernel=(1, 3), channels=4, vacant=True).decoded(fixed_window(16, run_width=4))
    assert table == [None] * 4 + [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 2, 1)]
