"""Which beats and rows pooling windows take, against the windows' own pixels."""

from __future__ import annotations

import itertools

import pytest
from amaranth.hdl import unsigned

from sterna.hw.graph.stream import whole
from sterna.hw.units.pool.geometry import Windows


def windows_of(shape: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], elements: int) -> Windows:
    return Windows(stream=whole((2, *shape), unsigned(3), elements=elements), kernel=kernel, stride=stride)


def across() -> list[Windows]:
    """All small ones along a row."""
    found = []
    for width, kernel, extra, elements in itertools.product(range(1, 13), range(1, 7), range(4), (1, 2, 3, 4, 6, 8)):
        windows = windows_of((1, width), (1, kernel), (1, kernel + extra), elements)
        if kernel <= width and windows.fit:
            found.append(windows)
    return found


def test_beats_and_windows_go_into_each_other() -> None:
    fits = {
        (elements, stride): windows_of((1, 12), (1, 1), (1, stride), elements).fit
        for elements in (1, 2, 3, 4, 6)
        for stride in (1, 2, 3, 4, 5, 6)
    }
    assert fits == {(e, s): max(e, s) % min(e, s) == 0 for e, s in fits}


def test_a_beat_completes_the_windows_whose_last_pixel_it_has() -> None:
    for windows in across():
        width, kernel, stride = windows.stream.run, windows.kernel[1], windows.stride[1]
        lefts = range(0, width - kernel + 1, stride)
        assert windows.columns == len(lefts)
        assert windows.input_beats == -(-width // windows.stream.elements)
        completed = [(left + kernel - 1) // windows.stream.elements for left in lefts]
        beats = [beat for beat in range(windows.input_beats) if windows.completes(beat)]
        assert beats == sorted(set(completed)), windows
        assert windows.beats == len(beats)
        # results of an output beat are neighbours
        assert [completed.index(beat) for beat in beats] == list(range(0, windows.columns, windows.elements))


def test_parts_are_the_pixels_of_a_window() -> None:
    for windows in across():
        if windows.span == 1:
            assert windows.elements * windows.stride[1] == windows.stream.elements or windows.elements == 1
            continue
        elements = windows.stream.elements
        inside = [len(set(range(windows.kernel[1])) & set(range(k * elements, (k + 1) * elements))) for k in range(8)]
        assert [windows.part(k) for k in range(8)] == inside
        assert windows.span * elements == windows.stride[1]


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("extra", [0, 1, 3])
def test_rows_that_windows_take(kernel: int, extra: int) -> None:
    for height in range(kernel, 14):
        windows = windows_of((height, 1), (kernel, 1), (kernel + extra, 1), 1)
        tops = range(0, height - kernel + 1, kernel + extra)
        assert windows.rows == len(tops)
        taken = {top + k for top in tops for k in range(kernel)}
        assert {row for row in range(height) if windows.taken(row)} == taken
        assert [row for row in range(height) if windows.gives(row)] == [top + kernel - 1 for top in tops]
