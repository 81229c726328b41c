"""Words, and the ways that they lead through rows. Whole walks: test_lockstep.py."""

from __future__ import annotations

import numpy as np
import pytest

from sterna.hw.index.columns import Window, place_columns
from sterna.hw.index.walk import Targets, Ways, WordFormat


def word(places: int, negative: int = 0) -> int:
    return places - (not negative) << 1 | negative


def test_word_layout() -> None:
    fmt = WordFormat(lanes=5, run_width=6, escape_width=4, groups=2)
    assert (fmt.lane_width, fmt.width, fmt.memories) == (7, 35, 2)
    assert (fmt.mark_width, fmt.low_width, fmt.mark) == (3, 3, 7)
    assert (fmt.direct, fmt.limit) == (7 << 3, (7 + 15) << 3)  # 15 escapes stand for 7 and more, one is the filler
    assert (fmt.filler, fmt.filler_move, fmt.filler_word) == (6, 7 << 3, 0b1111110)
    assert [fmt.group(lane) for lane in range(5)] == [0, 0, 0, 1, 1]
    assert fmt.wait == word(0, 1)


@pytest.mark.parametrize("run_width", range(1, 8))
@pytest.mark.parametrize("escape_width", range(2, 6))
def test_escapes_name_their_lowest_bits(run_width: int, escape_width: int) -> None:
    fmt = WordFormat(lanes=1, run_width=run_width, escape_width=escape_width)
    values = range(fmt.mark - 1, fmt.mark - 1 + (1 << escape_width))
    assert sorted(fmt.escape(value) for value in values) == list(range(1 << escape_width))
    assert fmt.escape(values[0]) == fmt.filler
    assert values[-1].bit_length() == fmt.high_width
    assert values[-1] + 1 << fmt.low_width == fmt.limit
    assert fmt.direct == fmt.mark << fmt.low_width


def test_without_escapes_every_distance_but_the_last_stands_for_itself() -> None:
    fmt = WordFormat(lanes=3, run_width=4)
    assert (fmt.width, fmt.memories, fmt.mark_width, fmt.high_width) == (15, 0, 0, 0)
    assert fmt.direct == fmt.limit == 16
    assert (fmt.filler_word, fmt.filler_move) == (0b11110, 15)
    assert [fmt.bound(negative) for negative in (0, 1)] == [15, 16]


def window_of(width: int, offset: int = 0) -> Window:
    return Window(
        address_width=width, offset=offset, elements=1, stride=1, live=tuple([True] * ((1 << width) - offset))
    )


def ways(
    rows: list[list[tuple[int, int]]], *, run_width: int = 3, escape_width: int = 0, width: int = 6, offset: int = 0
) -> Ways:
    """Ways through rows of (position, negative)."""
    visits = [visit for row in rows for visit in row]
    targets = Targets(
        bounds=np.cumsum([0, *map(len, rows)]),
        places=np.array([place for place, _ in visits]),
        negative=np.array([negative for _, negative in visits]),
    )
    return Ways(WordFormat(lanes=1, run_width=run_width, escape_width=escape_width), window_of(width, offset), targets)


def test_targets_are_sorted_by_position_and_empty_rows_visit_the_vacant_one() -> None:
    weights = np.zeros((3, 7), np.int8)
    weights[0, [1, 2, 5]] = 1, -1, 1
    weights[2, 6] = -1
    window = Window(address_width=3, offset=0, elements=1, stride=3, live=tuple([True] * 7))
    targets = Targets.of(weights, window)
    assert targets.bounds.tolist() == [0, 3, 4, 5]
    assert targets.places.tolist() == [3, 6, 7, window.vacant, 2]  # columns 1, 2 and 5 times 3, modulo 8
    assert targets.negative.tolist() == [0, 1, 0, 0, 1]
    assert targets.inner.tolist() == [1, 2]
    assert targets.inner_gaps.tolist() == [3, 1]
    assert targets.inner_rows.tolist() == [0, 0]


def test_moves_behind_a_rows_first_visit() -> None:
    found = ways([[(0, 0), (7, 0), (15, 0), (22, 1), (30, 1)], [(9, 0)], [(1, 1), (2, 0)]])
    filler = found.format.filler_word
    assert found.words == [word(7), filler, word(1), word(7, 1), filler, word(1, 1), word(1)]
    assert found.begin == [0, 6, 6]
    assert found.stops == [[(5, -1, 1)], [], [(6, -1, 1)]]  # nothing escapes: leave is asked for the last
    assert found.fillers == [2, 0, 0]
    assert found.escaping == [0, 0, 0]
    assert (found.first, found.last, found.weights) == ([0, 9, 1], [30, 9, 2], [5, 1, 2])
    assert (found.moves, found.escapes) == (10, 0)


def test_moves_that_escape_need_leave() -> None:
    # escapes of two bits stand for 7, 8 and 9, that is ten places for +1 and nine for -1; a filler moves by 7
    found = ways([[(0, 0), (10, 0), (11, 0), (21, 1), (22, 0)]], escape_width=2)
    filler, marked = found.format.filler_word, 7 << 1
    assert found.words == [marked, word(1), filler, word(3, 1), word(1)]
    assert found.stops == [[(0, 1, 4), (2, found.format.filler, 2), (4, -1, 1)]]
    assert found.fillers == [1]
    assert found.escaping == [0b101]
    assert (found.moves, found.escapes) == (6, 2)


def test_approach_goes_once_around() -> None:
    found = ways([[(3, 0)], [(20, 1)]], width=4, offset=0)
    assert found.approach(3, 0) == (2, 15 - 14)  # 16 places: two fillers of 7, and a distance of 1 for +1
    assert found.first_moves(2, 1, 0) == [(found.format.filler_word, -1)] * 2 + [(word(2), -1)]
    assert [found.crossing(place, 2) for place in (3, 8, 9, 15)] == [1, 1, 0, 0]
    assert found.crossing(0, 2) == 2  # the fillers stay within


def test_a_first_row_ahead_is_entered_without_going_around() -> None:
    found = ways([[(20, 0)], [(5, 1)]])
    assert found.enter(15, 0) == (0, 4)
    assert found.enter(0, 0) == (2, 19 - 14)
    assert found.enter(20, 0) == found.approach(20, 0) == (9, 63 - 63)


def test_no_carry_leaves_more_than_the_look_up_takes() -> None:
    found = ways([[(17, 0)], [(15, 0)]], escape_width=5, width=5)
    # from 30, the way to 17 is 19 places, which an escape could say: but 17 are beyond the end, and 4 bits hold 15
    assert found.approach(30, 0) == (1, 18 - 7)
    assert found.approach(30, 1) == (0, 16)
    assert found.first_escaping(1, 11) == 0b11
    assert found.first_escaping(0, 6) == 0


def test_ways_do_not_depend_on_groups() -> None:
    weights = (np.random.default_rng(0).random((6, 90)) < 0.1).astype(np.int8)
    window = place_columns(weights, elements=1, run_width=3)
    targets = Targets.of(weights, window)
    one, four = (
        Ways(WordFormat(lanes=4, run_width=3, escape_width=2, groups=groups), window, targets) for groups in (1, 4)
    )
    assert (one.words, one.stops, one.escaping) == (four.words, four.stops, four.escaping)
