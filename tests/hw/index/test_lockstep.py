"""All lanes in lockstep: corners by hand, and whole walks against one that goes step by step."""

from __future__ import annotations

import numpy as np
import pytest
from bench import random_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_walk import PlainWalk, plain_targets

from sterna.hw.index.columns import Window, place_columns
from sterna.hw.index.lockstep import UNKNOWN, Collector, Pace, Walk
from sterna.hw.index.schedule import deal_rows
from sterna.hw.index.walk import Targets, Ways, WordFormat


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
    window = Window(address_width=width, offset=0, elements=1, stride=1, live=tuple([True] * (1 << width)))
    turns = [(turn, k) for turn in range(len(rows[0])) for k in range(len(rows)) if turn < len(rows[k])]
    visits = [rows[k][turn] for turn, k in turns]
    targets = Targets(
        bounds=np.cumsum([0, *map(len, visits)]),
        places=np.array([place for row in visits for place, _ in row]),
        negative=np.array([negative for row in visits for _, negative in row]),
    )
    lanes = [[turns.index((turn, k)) for turn in range(len(lane))] for k, lane in enumerate(rows)]
    result = Walk(fmt, Ways(fmt, window, targets), lanes, held=[k + 1 for k in range(len(rows))], choices=1)
    result.run()
    return result


def steps(walked: Walk) -> list[list[int]]:
    return [list(step) for step in zip(*walked.columns, strict=True)]


def word(places: int, negative: int = 0) -> int:
    return places - (not negative) << 1 | negative


WAIT = word(0, 1)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.data())
def test_the_walk_is_what_one_step_by_step_gives(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 30)), data.draw(st.sampled_from([1, 9, 60, 300]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    weights = random_weights(rng, rows, columns, data.draw(st.sampled_from([0.0, 0.6, 0.9, 0.97, 1.0])))
    weights[:, rng.random(columns) < data.draw(st.sampled_from([0.0, 0.5]))] = 0  # uneven columns
    weights[rng.random(rows) < data.draw(st.sampled_from([0.0, 0.3]))] = 0  # empty rows
    lanes = data.draw(st.integers(1, min(rows, 9)))
    escape_width = data.draw(st.sampled_from([0, 2, 3, 5]))
    fmt = WordFormat(
        lanes=lanes,
        run_width=data.draw(st.integers(1, 6)),
        escape_width=escape_width,
        groups=1 << data.draw(st.integers(0, lanes.bit_length() - 1)) if escape_width else 1,
    )
    window = place_columns(weights, elements=data.draw(st.sampled_from([1, 4])), run_width=fmt.run_width)
    dealt = deal_rows(np.count_nonzero(weights, axis=1).tolist(), lanes)
    held = sorted(data.draw(st.lists(st.integers(1, 40), min_size=lanes, max_size=lanes)))
    choices, hold = data.draw(st.sampled_from([1, 2, 8])), data.draw(st.sampled_from([1, 1, 2, 5]))
    walked = Walk(fmt, Ways(fmt, window, Targets.of(weights, window)), dealt, held=held, choices=choices, hold=hold)
    walked.run()
    plain = PlainWalk(fmt, window, dealt, plain_targets(weights, window), held=held, choices=choices, hold=hold)
    plain.run()
    assert walked.order == [lane.order for lane in plain.lanes]
    assert steps(walked) == plain.words
    assert walked.escapes == plain.escapes
    assert (walked.entry, walked.steps) == (plain.entry, len(plain.words))
    assert walked.collector.ends == [plain.ends[key] for key in plain.sequence]
    assert walked.collector.taken == [plain.taken[key] for key in plain.sequence]


@pytest.mark.parametrize("seed", range(16))
def test_lanes_that_wait_for_each_other(seed: int) -> None:
    """Many lanes share one stream of escapes, and short words need many: plans are put off all the time."""
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, 50, 240, float(rng.choice([0.85, 0.93])))
    fmt = WordFormat(lanes=int(rng.integers(4, 9)), run_width=3, escape_width=3)
    window = place_columns(weights, elements=1, run_width=fmt.run_width)
    dealt = deal_rows(np.count_nonzero(weights, axis=1).tolist(), fmt.lanes)
    held = [lane + 1 for lane in range(fmt.lanes)]
    walked = Walk(fmt, Ways(fmt, window, Targets.of(weights, window)), dealt, held=held, choices=8)
    walked.run()
    plain = PlainWalk(fmt, window, dealt, plain_targets(weights, window), held=held, choices=8)
    plain.run()
    assert walked.order == [lane.order for lane in plain.lanes]
    assert steps(walked) == plain.words
    assert walked.escapes == plain.escapes


def test_without_escapes_long_gaps_take_fillers_of_any_lane() -> None:
    # with three bits, seven places are the furthest for either sign; the filler moves by as many
    lane = [[(0, 0), (7, 0), (15, 0), (22, 1), (30, 1), (31, 0)]]
    walked = walk([lane, lane], escape_width=0)
    filler = WordFormat(lanes=2, run_width=3).filler_word
    single = [word(1), word(7), filler, word(1), word(7, 1), filler, word(1, 1), word(1)]
    assert steps(walked)[: len(single)] == [[step, step] for step in single]
    assert walked.escapes == [[]]


def test_a_row_that_repeats_goes_once_around() -> None:
    once = walk([[[(0, 0), (1, 1), (3, 0)]]], width=3)
    assert steps(once) == [[word(5)], [word(1, 1)], [word(2)]]
    assert once.escapes == [[]]


def test_one_weight_goes_once_around() -> None:
    assert steps(walk([[[(3, 0)]]], run_width=4, width=3)) == [[word(8)]]


def test_long_distances_escape() -> None:
    # seven places are the last without an escape for +1, six for -1
    walked = walk([[[(0, 0), (7, 0), (15, 0), (21, 1), (28, 1), (31, 0)]]])
    marked = 7 << 1
    assert walked.columns == [[word(1), word(7), marked, word(6, 1), marked | 1, word(3)]]
    assert walked.escapes == [[3, 3]]  # each stands for a distance of 7, whose lowest bits are 3


def test_a_gap_beyond_all_escapes_takes_fillers() -> None:
    # escapes of two bits stand for 7, 8 and 9: ten places for +1, nine for -1
    reached = walk([[[(0, 0), (10, 0), (19, 1), (31, 0)]]])
    assert reached.escapes == [[1, 1, 2]]  # 9; 9; a filler of 7, and 5 places are left
    assert reached.columns[0][-2:] == [0b1110, word(5)]


def test_one_lane_of_a_group_escapes_in_a_step() -> None:
    lanes = [[[(0, 0), (10, 0), (31, 0)]], [[(0, 0), (10, 0), (11, 0), (31, 0)]]]
    shared = walk(lanes, escape_width=5)
    assert [step == WAIT for step in shared.columns[0][:3]] == [False, True, False]
    assert shared.columns[1][1] == shared.columns[0][2] == 7 << 1 | 0  # the lane that has more left goes first
    apart = walk(lanes, escape_width=5, groups=2)
    assert steps(apart)[1] == [7 << 1] * 2
    assert [len(group) for group in apart.escapes] == [2, 2]


def test_no_row_ends_before_all_lanes_have_entered() -> None:
    entered = walk([[[(31, 0)], [(30, 1)]], [[(29, 0), (30, 0)]]], groups=2)
    assert entered.entry == 4  # lane 1 has 31 to go: three fillers of 7, and ten places
    assert entered.columns[0][:5] == [word(1), WAIT, WAIT, WAIT, 0b1110]
    end = entered.collector.ends[0]
    assert end is not None
    assert end >= entered.entry


def test_the_collector_takes_one_sum_a_step() -> None:
    collector = Collector(4, 2, [1, 2])
    assert collector.end(0, 1, 5) == []
    assert collector.taken == []  # lane 0 comes first
    assert collector.free(1, 1) == UNKNOWN
    collector.wait(1, 1)
    assert collector.end(0, 0, 7) == [(1, 9)]  # who waits is told once
    assert collector.taken == [8, 9]
    assert [collector.free(1, lane) for lane in (0, 1)] == [8, 9]
    assert collector.end(1, 0, 20) == collector.end(1, 1, 20) == []
    assert collector.taken == [8, 9, 21, 22]
    assert collector.still_held(20) == [1, 2]


def test_a_last_turn_that_not_all_lanes_have() -> None:
    collector = Collector(5, 3, [1, 2, 3])
    for turn, lane in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
        collector.end(turn, lane, 10)
    assert collector.taken == [11, 12, 13, 14, 15]
    assert collector.still_held(10) == [4, 5, 3]  # of lane 2, the first turn's


def test_the_collector_knows_what_the_frame_before_holds() -> None:
    collector = Collector(2, 2, [3, 6])
    assert [collector.free(0, lane) for lane in (0, 1)] == [3, 6]
    collector.end(0, 0, 2)
    assert collector.taken == [7]  # after the last sum of the frame before


def test_a_sum_that_takes_several_steps_to_leave() -> None:
    collector = Collector(5, 2, [3, 6], hold=3)
    collector.end(0, 0, 2)
    assert collector.taken == [9]  # after the last sum of the frame before
    collector.end(0, 1, 20)
    collector.end(1, 0, 21)
    collector.end(1, 1, 21)
    assert collector.taken == [9, 23, 26, 29]
    assert [collector.free(1, lane) for lane in (0, 1)] == [9, 23]
    collector.wait(2, 0)
    assert collector.end(2, 0, 40) == []
    assert collector.taken[-1] == 43
    assert collector.still_held(40) == [3, -11]


def test_pace_follows_work_and_the_collector() -> None:
    def paced(work: list[list[int]], held: list[int], hold: int = 1) -> tuple[int, list[int]]:
        pace = Pace(work, held=held, hold=hold)
        pace.run()
        return pace.steps, pace.collector.taken

    assert paced([[4, 5], [6, 1]], [1, 2]) == (9, [5, 7, 10, 11])
    assert paced([[1, 1], [1, 1], [1, 1]], [1, 2, 3]) == (6, [4, 5, 6, 7, 8, 9])  # a sum a step: lane 2's is the last
    assert paced([[2, 2], [2]], [1, 2]) == (4, [3, 5, 6])
    assert paced([[4, 5], [6, 1]], [2, 4], hold=2) == (9, [6, 8, 11, 13])
    assert paced([[1, 1], [1, 1]], [2, 4], hold=2) == (8, [6, 8, 10, 12])
