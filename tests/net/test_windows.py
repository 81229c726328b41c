"""Windows by formulas, against a loop over every window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sterna.net.windows import fewest_and_most_taps, window_spans, window_sums

AXES = [
    (size, kernel, stride, padding)
    for size, kernel, stride, padding in itertools.product(range(1, 7), range(1, 7), range(1, 5), range(8))
    if size + 2 * padding >= kernel
]


def spans(size: int, kernel: int, stride: int, padding: int) -> list[tuple[int, int]]:
    """First and last tap that meet the input, of every window."""
    found = []
    for start in range(-padding, size + padding - kernel + 1, stride):
        taps = [tap for tap in range(kernel) if 0 <= start + tap < size]
        found.append((taps[0], taps[-1] + 1) if taps else (0, 0))
    return found


@pytest.mark.parametrize("size", range(1, 7))
def test_every_span_is_found_once(size: int) -> None:
    for axis in (axis for axis in AXES if axis[0] == size):
        found = [tuple(span) if span[0] < span[1] else (0, 0) for span in window_spans(*axis).tolist()]
        assert set(found) == set(spans(*axis)), axis
        assert len({tuple(span) for span in window_spans(*axis).tolist()}) == len(found) <= 2 * axis[1] + 1


@pytest.mark.parametrize("size", range(1, 7))
def test_fewest_and_most_taps(size: int) -> None:
    for axis in (axis for axis in AXES if axis[0] == size):
        counts = [end - first for first, end in spans(*axis)]
        assert fewest_and_most_taps(*axis) == (min(counts), max(counts)), axis


def test_however_many_windows_there_are() -> None:
    """Of a size that no array could hold."""
    assert window_spans(2**30, 3, 1, 1).tolist() == [[0, 2], [0, 3], [1, 3]]
    assert window_spans(1, 2, 1, 2**29).tolist() == [[0, 0], [0, 1], [1, 2], [2, 2]]
    assert fewest_and_most_taps(2**30, 2**30, 1, 2**29) == (2**29, 2**30)
    assert fewest_and_most_taps(1, 2**30, 2**30, 2**29) == (1, 1)


@pytest.mark.parametrize(("height", "width"), [(3, 2), (2, 3), (1, 4), (4, 1)])
def test_sums_of_windows(height: int, width: int) -> None:
    taps = np.random.default_rng(3).integers(-9, 10, size=(2, height, width))
    rows, columns = window_spans(3, height, 1, 2), window_spans(4, width, 2, 1)
    found = np.concatenate(list(window_sums(taps, rows, columns)), axis=1)
    wanted = [[tap[r:s, c:d].sum() for (r, s), (c, d) in itertools.product(rows, columns)] for tap in taps]
    assert np.sort(found, axis=1).tolist() == np.sort(wanted, axis=1).tolist()
