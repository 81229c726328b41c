"""Layout of a layer's columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bench import random_weights
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.hw.index.columns import (
    CORRECTED_BITS,
    MAX_STRIDES,
    WORTH,
    Window,
    carry_width,
    place_columns,
    place_for_widths,
    walk_gaps,
)


def place(weights: np.ndarray, *, elements: int = 1, run_width: int = 3) -> Window:
    return place_columns(weights, elements=elements, run_width=run_width)


def loaded(window: Window) -> list[int]:
    """Where a loader that only adds, beat after beat, would put each column; -1 where it leaves a beat out."""
    word, positions = window.offset // window.elements, []
    words = window.size // window.elements
    for live in window.live:
        positions += [word * window.elements + k if live else -1 for k in range(window.elements)]
        if live:
            word += window.stride
            if word >= words:
                word += window.offset // window.elements - words
    return positions


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_every_column_with_a_weight_has_a_place_of_its_own(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 90))
    elements = data.draw(st.sampled_from([1, 2, 4, 8]))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    weights = random_weights(rng, rows, columns, data.draw(st.sampled_from([0.0, 0.5, 0.9, 0.97, 1.0])))
    run_width = data.draw(st.integers(1, 6))
    window = place(weights, elements=elements, run_width=run_width)
    positions = window.positions()
    assert positions.tolist() == loaded(window)
    placed = positions[positions >= 0]
    assert len(set(placed.tolist())) == len(placed)
    assert placed.min() >= window.offset
    assert placed.max() < window.size
    assert all(positions[column] >= 0 for column in np.flatnonzero(weights.any(axis=0)))
    if not weights.any(axis=1).all():
        assert window.vacant >= 0
    if window.vacant >= 0:
        assert window.offset <= window.vacant < window.size
        assert set(range(window.vacant, window.vacant + elements)).isdisjoint(positions.tolist())


@settings(deadline=None, derandomize=True, max_examples=60)
@given(columns=st.integers(1, 300), elements=st.sampled_from([1, 2, 4, 8]), run=st.integers(1, 8))
def test_the_offset_is_corrected_by_few_bits(columns: int, elements: int, run: int) -> None:
    weights = random_weights(np.random.default_rng(columns), 2, columns, 0.5)
    window = place(weights, elements=elements, run_width=run)
    assert window.offset % elements == 0
    assert window.offset % (1 << max(carry_width(run) - CORRECTED_BITS, 0)) == 0
    assert window.address_width >= carry_width(run)  # a carry can be told from a distance


def test_a_full_matrix_lies_plainly_at_the_end() -> None:
    window = place(np.ones((3, 20), np.int8), run_width=2)
    assert window.plain
    assert window.map_bits == 0
    assert (window.address_width, window.offset) == (5, 12)
    assert window.positions().tolist() == list(range(12, 32))


def test_the_offset_keeps_to_its_grain() -> None:
    window = place(np.ones((3, 17), np.int8), run_width=4)
    assert window.offset == 12  # 15 would do, but is no multiple of 4
    assert window.positions().tolist() == list(range(12, 29))
    assert window.vacant == 29


def test_a_row_without_weights_has_a_place_to_visit() -> None:
    weights = np.ones((3, 16), np.int8)
    full = place(weights, run_width=2)
    assert (full.address_width, full.offset, full.vacant) == (4, 0, -1)
    weights[1] = 0
    window = place(weights, run_width=2)
    assert (window.address_width, window.offset, window.vacant) == (5, 15, 31)
    assert window.positions().tolist() == list(range(15, 31))


def test_gaps_of_the_walk_through_all_rows() -> None:
    weights = np.zeros((3, 16), np.int8)
    weights[0, [2, 7]] = 1
    weights[1, 0] = -1
    weights[2, 15] = 1
    window = place(np.ones((3, 16), np.int8), run_width=2)
    assert walk_gaps(weights != 0, window).tolist() == [5, 9, 31]


def test_beats_without_weights_are_left_out() -> None:
    weights = np.zeros((2, 40), np.int8)
    weights[0, [3, 17, 18, 33]] = 1
    window = place(weights, elements=2, run_width=2)
    assert [beat for beat, live in enumerate(window.live) if live] == [1, 8, 9, 16]
    assert window.map_bits == 20
    assert not window.plain
    assert np.flatnonzero(window.positions() >= 0).tolist() == [2, 3, 16, 17, 18, 19, 32, 33]


def test_a_matrix_of_zeros_keeps_one_beat() -> None:
    window = place(np.zeros((2, 9), np.int8), elements=4)
    assert window.live == (True, False, False)


def test_few_idle_beats_are_not_worth_a_map() -> None:
    weights = np.ones((1, round(1 / WORTH) + 1), np.int8)
    weights[0, 50] = 0
    assert all(place(weights).live)
    assert not all(place(weights[:, 1:]).live)


def test_dense_columns_side_by_side_are_strided_apart() -> None:
    rng = np.random.default_rng(0)
    density = np.where(np.arange(256) % 64 < 16, 0.6, 0.02)
    weights = (rng.random((32, 256)) < density).astype(np.int8)
    window = place(weights, run_width=3)
    assert window.stride > 1
    assert window.positions().tolist() == loaded(window)


def test_evenly_spread_weights_keep_their_order() -> None:
    weights = np.zeros((32, 256), np.int8)
    weights[:, ::4] = 1
    assert place(weights[:, ::4]).stride == 1


@pytest.mark.parametrize("words", [2, 3, 7, 64, 105, 1024])
def test_strides_meet_every_word(words: int) -> None:
    from sterna.hw.index.columns import _strides

    strides = _strides(words)
    assert len(strides) <= MAX_STRIDES
    for stride in strides:
        assert len({k * stride % words for k in range(words)}) == words


@pytest.mark.parametrize("beats", range(1, 12))
def test_the_vacant_position_of_strided_columns(beats: int) -> None:
    window = Window(address_width=5, offset=8, elements=2, stride=5, live=(True,) * beats)
    assert window.offset <= window.vacant < window.size
    assert {window.vacant, window.vacant + 1}.isdisjoint(window.positions().tolist())


@pytest.mark.parametrize("elements", [1, 4])
def test_widths_share_a_pass_and_give_what_each_alone_does(elements: int) -> None:
    rng = np.random.default_rng(6)
    density = np.where(np.arange(200) % 50 < 12, 0.5, 0.03)
    weights = (rng.random((24, 200)) < density).astype(np.int8)
    windows = place_for_widths(weights, elements=elements, run_widths=range(1, 9))
    assert len({window.words for window in windows}) > 1
    assert len({window.stride for window in windows}) > 1
    assert windows == [place(weights, elements=elements, run_width=width) for width in range(1, 9)]


@pytest.mark.parametrize("run_width", [1, 2, 3])
def test_the_stride_is_the_cheapest(run_width: int) -> None:
    from sterna.hw.index.columns import ESCAPE_COST, _strides

    rng = np.random.default_rng(run_width)
    weights = (rng.random((20, 96)) < np.where(np.arange(96) % 48 < 16, 0.6, 0.05)).astype(np.int8)
    window = place(weights, run_width=run_width)

    def cost(stride: int) -> float:
        gaps = walk_gaps(weights != 0, replace(window, stride=stride)) >> run_width
        return float(np.count_nonzero(gaps == 1) * ESCAPE_COST + np.maximum(gaps - 1, 0).sum())

    assert cost(window.stride) == pytest.approx(min(cost(stride) for stride in (1, *_strides(window.words))))
    assert window.stride > 1


def test_a_stride_that_saves_little_is_not_taken() -> None:
    from sterna.hw.index.columns import ESCAPE_COST, _strides

    refused = 0
    for seed in range(8):
        weights = (np.random.default_rng(seed).random((40, 96)) < 0.12).astype(np.int8)
        window = place(weights, run_width=3)

        def cost(stride: int, weights: np.ndarray = weights, window: Window = window) -> float:
            gaps = walk_gaps(weights != 0, replace(window, stride=stride)) >> 3
            return float(np.count_nonzero(gaps == 1) * ESCAPE_COST + np.maximum(gaps - 1, 0).sum())

        saved = cost(1) - min(cost(stride) for stride in _strides(window.words))
        worth = saved > WORTH * np.count_nonzero(weights)
        assert (window.stride > 1) == worth
        refused += not worth and saved > 0
    assert refused > 0
