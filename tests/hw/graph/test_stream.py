"""What a stream brings, and where its padding is."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import unsigned

from sterna.hw.graph.stream import StreamType, whole


def test_a_map_runs_row_then_channel_then_pixel() -> None:
    stream = StreamType(element=unsigned(4), shape=(3, 2, 3), order=(2, 0), elements=2)
    assert (stream.run, stream.beats) == (3, 2 * 2 * 2)
    assert stream.places().tolist() == [12, 13, 14, -1, 0, 1, 2, -1, 15, 16, 17, -1, 3, 4, 5, -1]
    assert stream.index().tolist() == [12, 13, 14, 0, 1, 2, 15, 16, 17, 3, 4, 5]


def test_a_vector_has_padding_at_its_end_alone() -> None:
    stream = StreamType(element=unsigned(4), shape=(9,), order=(7, 1, 0, 8, 2), elements=4)
    assert (stream.run, stream.beats) == (5, 2)
    assert stream.places().tolist() == [7, 1, 0, 8, 2, -1, -1, -1]
    assert stream.index().tolist() == [7, 1, 0, 8, 2]


@pytest.mark.parametrize("shape", [(5,), (1,), (2, 3, 4), (3, 1, 1), (1, 2, 5)])
@pytest.mark.parametrize("elements", [1, 2, 4, 8])
def test_a_whole_value(shape: tuple[int, ...], elements: int) -> None:
    stream = whole(shape, unsigned(1), elements=elements)
    places = stream.places()
    assert len(places) == stream.beats * elements
    assert sorted(stream.index().tolist()) == list(range(int(np.prod(shape))))
    for first in range(0, len(places), elements):
        beat = places[first : first + elements]
        there = int((beat >= 0).sum())
        assert there > 0
        assert (beat[there:] == -1).all()  # a beat's padding comes behind its elements
        assert (np.diff(beat[:there]) == 1).all()  # which are neighbours


def test_a_map_by_pixel_runs_row_then_pixel_then_channel() -> None:
    stream = StreamType(element=unsigned(4), shape=(3, 2, 3), order=(2, 0), elements=2, by_pixel=True)
    assert (stream.run, stream.beats) == (2, 6)
    assert stream.places().tolist() == [12, 0, 13, 1, 14, 2, 15, 3, 16, 4, 17, 5]
    narrow = StreamType(element=unsigned(4), shape=(3, 1, 2), order=(2, 0, 1), elements=2, by_pixel=True)
    assert (narrow.run, narrow.beats) == (3, 4)
    assert narrow.places().tolist() == [4, 0, 2, -1, 5, 1, 3, -1]
