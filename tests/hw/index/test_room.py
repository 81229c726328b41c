"""Schedules with room: what becomes logic is the same for all matrices of a shape, and every walk comes home."""

from __future__ import annotations

import numpy as np
import pytest
from bench import random_weights
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.hw.config import Room
from sterna.hw.index.room import compile_room, most_in_flight
from sterna.hw.index.schedule import Schedule
from sterna.net.errors import InvalidValueError

SHAPES = {
    "several lanes": (24, 40, 4, 2),
    "one lane": (7, 30, 1, 1),
    "as many lanes as rows": (6, 33, 6, 1),
    "a beat of all": (10, 16, 3, 16),
    "padded beats": (9, 21, 2, 8),
    "one column": (5, 1, 2, 1),
    "one row, one column": (1, 1, 1, 1),
}


def walk(schedule: Schedule, lane: int) -> list[tuple[int, int, bool]]:
    """(position, sign, carry) behind each of a lane's steps: 0 adds nothing."""
    window, fmt = schedule.window, schedule.format
    position, seen = schedule.start[lane], []
    for word in schedule.words[:, lane].tolist():
        distance, negative = word >> 1, word & 1
        filler = word == fmt.filler_word
        moved = position + distance + (not negative and not filler)
        carry = moved >= window.size
        position = moved - window.size + window.offset if carry else moved
        sign = 0 if filler or word == fmt.wait else 1 - 2 * negative
        seen.append((position, sign, carry))
    return seen


def products(schedule: Schedule, columns: int) -> np.ndarray:
    """The matrix that the words say, rows in the order of the weights."""
    found = np.zeros((len(schedule.ends), columns), int)
    column = {int(place): k for k, place in enumerate(schedule.window.positions()[:columns])}
    home = schedule.window.size - 1
    for lane, rows in enumerate(schedule.rows):
        row = 0
        for step, (position, sign, carry) in enumerate(walk(schedule, lane)):
            row += carry and step > 0
            if position in column and sign:
                found[rows[row], column[position]] += sign
            else:
                assert not sign or position >= home // schedule.window.elements * schedule.window.elements
        assert row == len(rows) - 1
    return found


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("natural", [False, True])
def test_words_say_the_matrix_and_every_lane_comes_home(
    shape: tuple[int, int, int, int], zeros: float, natural: bool
) -> None:
    rows, columns, lanes, elements = shape
    weights = random_weights(np.random.default_rng(rows), rows=rows, columns=columns, zeros=zeros)
    schedule = compile_room(weights, lanes=lanes, elements=elements, room=1.3, natural=natural)
    np.testing.assert_array_equal(products(schedule, columns), weights)
    home = schedule.window.size - 1
    for lane in range(lanes):
        seen = walk(schedule, lane)
        assert schedule.start[lane] == seen[-1][0] == home
        assert seen[0][2], "the first step leads into the frame"
    assert schedule.entry == 1
    assert not natural or schedule.order == tuple(range(rows))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_weights_change_what_becomes_logic(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 40))
    lanes, elements = data.draw(st.integers(1, rows)), data.draw(st.sampled_from([1, 2, 4]))
    drawn = np.random.default_rng(data.draw(st.integers(0, 999)))
    first, second = (
        random_weights(drawn, rows=rows, columns=columns, zeros=data.draw(st.floats(0, 1))) for _ in range(2)
    )
    made = compile_room(first, lanes=lanes, elements=elements, room=64)
    room = Room(made.format.run_width, made.steps + 4096)
    other = compile_room(second, lanes=lanes, elements=elements, room=room)
    assert (other.format, other.window, other.start, other.entry) == (
        made.format, made.window, made.start, made.entry,
    )  # fmt: skip
    assert other.steps == room.steps
    for schedule in (made, other):
        assert schedule.in_flight(17) <= most_in_flight(schedule, 17)


def test_most_in_flight_is_reached() -> None:
    """Rows of one weight each end in every lane at once: no smaller bound would do."""
    weights = np.zeros((64, 64), np.int8)
    weights[np.arange(64), np.arange(64)] = 1
    schedule = compile_room(weights, lanes=8, elements=1, room=1)
    assert most_in_flight(schedule, 17) == schedule.in_flight(17)


def test_too_little_room() -> None:
    weights = np.ones((4, 16), np.int8)
    with pytest.raises(InvalidValueError, match=r"take 33 steps, and there is room for 20"):
        compile_room(weights, lanes=2, elements=1, room=Room(run_width=3, steps=20))
