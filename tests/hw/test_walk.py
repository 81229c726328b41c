"""The parts of a walk: words, one lane's way, and when sums are taken. Whole walks: test_schedule.py."""

from __future__ import annotations

import pytest

from sterna.hw.columns import Window
from sterna.hw.walk import Collector, Walk, Walker, WordFormat


def plain_window(width: int, offset: int = 0) -> Window:
    return Window(
        address_width=width, offset=offset, elements=1, stride=1, live=tuple([True] * ((1 << width) - offset))
    )


def walk(
    rows: list[list[list[tuple[int, int]]]], *, run_width: int = 2, extended: bool = False, width: int = 4
) -> Walk:
    """The walk of lanes that each have their own rows of (position, negative)."""
    fmt = WordFormat(lanes=len(rows), run_width=run_width, extended=extended)
    lanes = [Walker(range(len(lane)), lane) for lane in rows]
    result = Walk(fmt, plain_window(width), lanes, [k + 1 for k in range(len(rows))], choices=1)
    result.run()
    return result


def test_word_layout() -> None:
    fmt = WordFormat(lanes=5, run_width=4, extended=True)
    assert (fmt.lane_width, fmt.extension_width, fmt.width) == (5, 3, 28)
    assert (fmt.filler, fmt.wait) == (15, 31)
    assert WordFormat(lanes=5, run_width=4, extended=False).width == 25


@pytest.mark.parametrize(("lanes", "width"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4)])
def test_the_extension_names_every_lane_or_none(lanes: int, width: int) -> None:
    assert WordFormat(lanes=lanes, run_width=2, extended=True).extension_width == width


def test_a_row_that_repeats_goes_once_around() -> None:
    assert walk([[[(0, 0), (1, 1), (3, 0)]]], run_width=3, width=3).words == [[5 << 1], [1 << 1 | 1], [2 << 1]]


def test_a_gap_as_long_as_the_filler_takes_one() -> None:
    filler = 3 << 1
    assert walk([[[(0, 0), (2, 0), (15, 0)]]]).words == [[1 << 1], [2 << 1], *[[filler]] * 4, [1 << 1]]
    assert walk([[[(0, 0), (3, 1), (15, 0)]]]).words == [[1 << 1], [filler], [1], *[[filler]] * 4, [0]]


def test_the_extension_reaches_twice_as_far() -> None:
    extended = walk([[[(0, 0), (6, 0), (15, 0)]]], extended=True)
    assert extended.words == [[1 << 1], [2 << 1], [3 << 1], [2 << 1]]  # 1, 4 + 2, then a filler of 4 + 3, and 2
    assert extended.extension == [0, 1, 1, 0]


def test_the_extension_helps_a_lane_to_its_weight_first() -> None:
    lanes = [[[(0, 0), (15, 0)]], [[(0, 0), (5, 0), (15, 0)]]]
    extended = walk(lanes, extended=True)
    assert extended.extension[1] == 2
    assert extended.words[1] == [3 << 1, 1 << 1]


def test_no_row_ends_before_all_lanes_have_entered() -> None:
    lanes = [[[(15, 0)], [(15, 1)]], [[(14, 0), (15, 0)]]]
    entered = walk(lanes, run_width=2)
    assert entered.entry == 6  # lane 1 has 15 to go: five fillers, and a step of 0
    assert [step[0] for step in entered.words[:6]] == [0, *[7] * 5]  # lane 0 has its weight at once, and waits
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
