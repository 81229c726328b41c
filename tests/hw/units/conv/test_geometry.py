"""Rows that an output row needs, and the ring that holds them, against sets of rows and a ring of plain entries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sterna.hw.units.conv.geometry import Geometry


def geometries() -> list[Geometry]:
    """All small ones in the vertical, which is what the ring is about, that have an output row."""
    return [
        Geometry(height=height, width=1, kernel=(kernel, 1), stride=(stride, 1), padding=(padding, 0))
        for height, kernel, stride, padding in itertools.product(range(1, 8), range(1, 6), range(1, 5), range(8))
        if kernel <= height + 2 * padding
    ]


ALL = geometries()


def needed_rows(geometry: Geometry, row: int) -> set[int]:
    """Input rows under the kernel, as rule 3 says it."""
    under = {row * geometry.stride[0] + k - geometry.padding[0] for k in range(geometry.kernel[0])}
    return under & set(range(geometry.height))


def test_sizes_are_those_of_a_padded_map() -> None:
    for geometry in ALL:
        tops = range(-geometry.padding[0], geometry.height + geometry.padding[0] - geometry.kernel[0] + 1)
        assert geometry.rows == len(tops[:: geometry.stride[0]])
        assert [geometry.top(row) for row in range(geometry.rows)] == list(tops[:: geometry.stride[0]])
    wide = Geometry(height=1, width=7, kernel=(1, 3), stride=(1, 2), padding=(0, 1))
    assert (wide.columns, wide.taps) == (4, 3)
    assert [[wide.column(lane, tap) for tap in range(3)] for lane in (0, 3)] == [[-1, 0, 1], [5, 6, 7]]


def test_rows_in_the_padding() -> None:
    for geometry in ALL:
        for row in range(geometry.rows):
            under = [geometry.top(row) + k for k in range(geometry.kernel[0])]
            inside = [place for place, valid in zip(under, geometry.valid(row), strict=True) if valid]
            assert inside == sorted(needed_rows(geometry, row))


def test_a_row_is_loaded_before_it_is_needed_and_freed_after() -> None:
    for geometry in ALL:
        freed = 0
        assert geometry.loaded(0) > 0, "a frame has to come"
        for row in range(geometry.rows):
            needed = needed_rows(geometry, row)
            assert not needed or min(needed) >= freed
            assert not needed or max(needed) < geometry.loaded(row)
            assert geometry.stock(row) == geometry.loaded(row) - freed
            freed += geometry.freed(row)
            assert freed <= max(geometry.loaded(k) for k in range(row + 1)), "what is freed has come"
        assert freed == geometry.height, "a frame frees all of its rows"


def test_nothing_is_held_for_longer_than_it_is_needed() -> None:
    for geometry in ALL:
        freed = 0
        for row in range(geometry.rows - 1):
            freed += geometry.freed(row)
            later = set().union(*(needed_rows(geometry, k) for k in range(row + 1, geometry.rows)))
            below_the_next = min(max(geometry.top(row + 1), 0), geometry.height)
            assert freed == below_the_next
            assert not later or freed <= min(later)


def ring_needs(geometry: Geometry, frames: int) -> tuple[list[set[int]], list[int]]:
    """Input rows of several frames that each output row needs, and those that are freed behind each."""
    needs, freed = [], []
    for frame in range(frames):
        begin = frame * geometry.height
        for row in range(geometry.rows):
            needs.append({begin + k for k in needed_rows(geometry, row)})
            freed.append(geometry.freed(row))
    return needs, freed


@pytest.mark.parametrize("eager", [False, True], ids=["rows come late", "rows come as soon as they can"])
def test_the_ring_never_overwrites_a_row_that_is_still_needed(eager: bool) -> None:
    coin = np.random.default_rng(1)
    for geometry in ALL:
        frames, slots = 4, geometry.slots
        ring: list[int | None] = [None] * slots
        come = released = done = 0
        needs, freed = ring_needs(geometry, frames)
        base = geometry.top(0) % slots
        while done < len(needs):
            row = done % geometry.rows
            enough = come - released >= geometry.stock(row)
            if come - released < slots and come < frames * geometry.height and (eager or coin.random() < 0.5):
                ring[come % slots] = come
                come += 1
            elif enough:
                found = {ring[(base + k) % slots] for k in range(geometry.kernel[0]) if geometry.valid(row)[k]}
                assert found == needs[done], f"{geometry}, output row {done}"
                released += freed[done]
                base = (base + (geometry.around if row == geometry.rows - 1 else geometry.stride[0])) % slots
                done += 1
            else:
                assert come - released < slots, f"{geometry} never gets what row {done} needs"
        assert released == frames * geometry.height


def test_the_next_row_is_ready_when_this_one_ends() -> None:
    """Where rows come fast enough, the ring holds all that the next output row needs before this one frees any."""
    for geometry in ALL:
        for row in range(geometry.rows):
            behind = geometry.stock_behind(row)
            assert geometry.stock(row) <= geometry.slots
            assert behind <= geometry.slots
            after = geometry.stock(0 if row == geometry.rows - 1 else row + 1)
            assert behind - geometry.freed(row) == after
        assert geometry.slots == max(
            max(geometry.stock(row), geometry.stock_behind(row)) for row in range(geometry.rows)
        )


@pytest.mark.parametrize(
    ("height", "kernel", "stride", "padding", "slots"),
    [
        (8, 3, 1, 0, 6),  # a frame's last three rows, and the first three of the next
        (8, 3, 1, 1, 4),
        (28, 5, 1, 0, 10),
        (4, 1, 1, 0, 2),
        (1, 1, 1, 0, 2),
        (8, 2, 2, 0, 4),
        (1, 3, 1, 1, 2),
    ],
)
def test_slots_by_hand(height: int, kernel: int, stride: int, padding: int, slots: int) -> None:
    geometry = Geometry(height=height, width=1, kernel=(kernel, 1), stride=(stride, 1), padding=(padding, 0))
    assert geometry.slots == slots
