"""The parts of a walk: words, one lane's way, and when sums are taken. Whole walks: test_schedule.py."""

from __future__ import annotations

import pytest

from sterna.hw.units.dense.columns import Window
from sterna.hw.units.dense.walk import Collector, Walk, Walker, WordFormat


def plain_window(width: int, offset: int = 0) -> Window:
    return Window(
        address_width=width, offset=offset, elements=1, stride=1, live=tuple([True] * ((1 << width) - offset))
    )


def walk(
    rows: list[list[list[tuple[int, int]]]],
    *,
    run_width: int = 3,
    escape_width: int = 2,
    groups: int = 1,
    width: int = 5,
) -> Walk:
    """The walk of lanes that each have their own rows of (position, negative)."""
    fmt = WordFormat(lanes=len(rows), run_width=run_width, escape_width=escape_width, groups=groups)
    lanes = [Walker(range(len(lane)), lane) for lane in rows]
    result = Walk(fmt, plain_window(width), lanes, [k + 1 for k in range(len(rows))], choices=1)
    result.run()
    return result


def word(places: int, negative: int = 0) -> int:
    return places - (not negative) << 1 | negative


WAIT = word(0, 1)


def test_word_layout() -> None:
    fmt = WordFormat(lanes=5, run_width=6, escape_width=4, groups=2)
    assert (fmt.lane_width, fmt.width, fmt.memories) == (7, 35, 2)
    assert (fmt.mark_width, fmt.low_width, fmt.mark) == (3, 3, 7)
    assert (fmt.direct, fmt.limit) == (7 << 3, (7 + 15) << 3)  # 15 escapes stand for 7 and more, one is the filler
    assert (fmt.filler, fmt.filler_move, fmt.filler_word) == (6, 7 << 3, 0b1111110)
    assert [fmt.group(lane) for lane in range(5)] == [0, 0, 0, 1, 1]
    assert fmt.wait == WAIT


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
    assert [fmt.says(14, 0), fmt.says(15, 0), fmt.says(15, 1), fmt.says(16, 1)] == [True, False, True, False]


def test_without_escapes_long_gaps_take_fillers_of_any_lane() -> None:
    # with three bits, seven places are the furthest for either sign; the filler moves by as many
    lane = [[(0, 0), (7, 0), (15, 0), (22, 1), (30, 1), (31, 0)]]
    walked = walk([lane, lane], escape_width=0)
    filler = walked.format.filler_word
    single = [word(1), word(7), filler, word(1), word(7, 1), filler, word(1, 1), word(1)]
    assert walked.words[: len(single)] == [[step, step] for step in single]
    assert walked.escapes == [[]]


def test_a_row_that_repeats_goes_once_around() -> None:
    once = walk([[[(0, 0), (1, 1), (3, 0)]]], width=3)
    assert once.words == [[word(5)], [word(1, 1)], [word(2)]]
    assert once.escapes == [[]]


def test_one_weight_goes_once_around() -> None:
    assert walk([[[(3, 0)]]], run_width=4, width=3).words == [[word(8)]]


def test_long_distances_escape() -> None:
    # seven places are the last without an escape for +1, six for -1
    lane = [[(0, 0), (7, 0), (15, 0), (21, 1), (28, 1), (31, 0)]]
    walked = walk([lane])
    marked = 7 << 1
    assert walked.words == [[word(1)], [word(7)], [marked], [word(6, 1)], [marked | 1], [word(3)]]
    assert walked.escapes == [[3, 3]]  # each stands for a distance of 7, whose lowest bits are 3


def test_a_gap_beyond_all_escapes_takes_fillers() -> None:
    # escapes of two bits stand for 7, 8 and 9: ten places for +1, nine for -1
    reached = walk([[[(0, 0), (10, 0), (19, 1), (31, 0)]]])
    assert reached.escapes == [[1, 1, 2]]  # 9; 9; a filler of 7, and 5 places are left
    assert reached.words[-2:] == [[reached.format.filler_word], [word(5)]]


def test_no_carry_leaves_more_than_the_look_up_takes() -> None:
    walked = walk([[[(17, 0), (30, 0)]]], run_width=3, escape_width=5, width=5)
    # from 30, the way to 17 is 19 places, which an escape could say: but 17 are beyond the end, and 4 bits hold 15
    assert walked.escapes == [[walked.format.filler, 11, 12]]


def test_one_lane_of_a_group_escapes_in_a_step() -> None:
    lanes = [[[(0, 0), (10, 0), (31, 0)]], [[(0, 0), (10, 0), (11, 0), (31, 0)]]]
    shared = walk(lanes, escape_width=5)
    assert [step[0] == WAIT for step in shared.words[:3]] == [False, True, False]
    assert shared.words[1][1] == shared.words[2][0] == 7 << 1 | 0  # the lane that has more left goes first
    apart = walk(lanes, escape_width=5, groups=2)
    assert apart.words[1] == [7 << 1] * 2
    assert [len(group) for group in apart.escapes] == [2, 2]


def test_no_row_ends_before_all_lanes_have_entered() -> None:
    lanes = [[[(31, 0)], [(30, 1)]], [[(29, 0), (30, 0)]]]
    entered = walk(lanes, groups=2)
    assert entered.entry == 4  # lane 1 has 31 to go: three fillers of 7, and ten places
    assert [step[0] for step in entered.words[:5]] == [word(1), WAIT, WAIT, WAIT, entered.format.filler_word]
    assert entered.collector.ends[0] >= entered.entry


def test_the_collector_takes_one_sum_a_step() -> None:
    collector = Collector([2, 2], [1, 2])
    collector.end(0, 1, 5)
    assert collector.taken == []  # lane 0 comes first
    collector.end(0, 0, 7)
    assert collector.taken == [8, 9]
    assert not collector.free(1, 1, 8)
    assert collector.free(1, 1, 9)
    collector.end(1, 0, 20)
    collector.end(1, 1, 20)
    assert collector.taken == [8, 9, 21, 22]
    assert collector.still_held(20) == [1, 2]


def test_the_collector_knows_what_the_frame_before_holds() -> None:
    collector = Collector([1, 1], [3, 6])
    assert [collector.free(0, 1, time) for time in (5, 6)] == [False, True]
    collector.end(0, 0, 2)
    assert collector.taken == [7]  # after the last sum of the frame before


def test_a_row_brought_forward_keeps_the_others_order() -> None:
    lane = Walker([4, 7, 5, 6], {row: [(row, 0)] for row in (4, 5, 6, 7)})
    lane.bring_forward(2)
    assert lane.order == [4, 5, 7, 6]
    assert lane.rows == [[(4, 0)], [(5, 0)], [(7, 0)], [(6, 0)]]
