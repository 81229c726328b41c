"""Compiled schedules, judged by an interpreter that reads only what the packed words are documented to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from bench import random_weights
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.hw.config import ESCAPE_PRICE
from sterna.hw.index.columns import place_columns
from sterna.hw.index.schedule import (
    Schedule,
    collect_order,
    compile_format,
    compile_schedule,
    deal_rows,
    expected_steps,
    formats,
    least_steps,
)
from sterna.hw.index.walk import WordFormat

FRAMES = 3


@dataclass
class LaneState:
    """One lane of the interpreter: position, the open row's visits, and complete rows with their times."""

    position: int
    visits: list[tuple[int, int]] = field(default_factory=list)
    complete: list[tuple[int, list[tuple[int, int]]]] = field(default_factory=list)

    def end(self, time: int) -> None:
        self.complete.append((time, self.visits))
        self.visits = []


class Interpreter:
    """Walks through the packed words and the escapes as hw/index/schedule.py's docstring says."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        fmt = schedule.format
        self.run_width = fmt.run_width
        self.mark_width = min(3, fmt.run_width) if fmt.escape_width else 0
        self.lanes = [LaneState(start) for start in schedule.start]
        self.taken = [0] * fmt.groups

    def distance(self, lane: int, word: int) -> tuple[int, bool]:
        """By how much a word moves a lane, and whether a weight is found there."""
        fmt = self.schedule.format
        plus, field = divmod(word, 1 << self.run_width)
        if word == 0:
            return 0, False
        if not fmt.escape_width and word == (2 << self.run_width) - 1:
            return field, False
        low_width = self.run_width - self.mark_width
        mark, low = divmod(field, 1 << low_width)
        hits = True
        if fmt.escape_width and mark == (1 << self.mark_width) - 1:
            group = lane * fmt.groups // fmt.lanes
            escape = self.schedule.escapes[group][self.taken[group]]
            assert 0 <= escape < 1 << fmt.escape_width
            self.taken[group] += 1
            hits = escape != (mark - 1) % (1 << fmt.escape_width)
            mark -= 1
            while mark % (1 << fmt.escape_width) != escape:
                mark += 1
        return (mark << low_width) + low + plus, hits

    def run(self, frames: int) -> list[LaneState]:
        schedule = self.schedule
        size, offset = 1 << schedule.window.address_width, schedule.window.offset
        packed = schedule.packed()
        for frame in range(frames):
            self.taken = [0] * schedule.format.groups
            for step, word in enumerate(packed):
                time = frame * len(packed) + step
                before = list(self.taken)
                for k, lane in enumerate(self.lanes):
                    own = word >> k * (self.run_width + 1) & (2 << self.run_width) - 1
                    distance, hits = self.distance(k, own)
                    lane.position += distance
                    if lane.position >= size:
                        lane.position += offset - size
                        assert lane.position - offset < 2 << self.run_width, "a carry leaves too much"
                        if step >= schedule.entry:
                            lane.end(time)
                        else:
                            assert not lane.visits, "a carry before the frame is entered must not follow a weight"
                    assert offset <= lane.position < size
                    if hits:
                        lane.visits.append((lane.position, 1 if own >> self.run_width else -1))
                assert word >> len(self.lanes) * (self.run_width + 1) == 0
                assert all(now - then <= 1 for now, then in zip(self.taken, before, strict=True)), "two lanes escape"
            assert self.taken == [len(group) for group in schedule.escapes], "a frame begins with another escape"
            for lane in self.lanes:
                lane.end((frame + 1) * len(packed))
        return self.lanes


def in_order(lanes: list[LaneState], rows: int, frame: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """A frame's complete rows, round by round, lane by lane."""
    counts = [len(lane.complete) // FRAMES for lane in lanes]
    assert sum(counts) == rows
    assert all(len(lane.complete) == FRAMES * count for lane, count in zip(lanes, counts, strict=True))
    return [
        lane.complete[frame * count + turn]
        for turn in range(max(counts))
        for lane, count in zip(lanes, counts, strict=True)
        if turn < count
    ]


def check(weights: np.ndarray, schedule: Schedule) -> None:
    """Every row's weights are visited once with their signs, in order of results, and no sum is lost."""
    rows, columns = weights.shape
    positions = schedule.window.positions()[:columns]
    lanes = Interpreter(schedule).run(FRAMES)
    assert sorted(schedule.order) == list(range(rows))
    for frame in range(FRAMES):
        for k, (time, visits) in enumerate(in_order(lanes, rows, frame)):
            row = weights[schedule.order[k]]
            used = np.flatnonzero(row)
            expected = [(int(positions[c]), int(row[c])) for c in used]
            if expected:
                assert sorted(visits) == sorted(expected)
            else:  # a position that no column has
                ((vacant, _),) = visits
                assert vacant not in positions
            assert time == frame * schedule.steps + schedule.ends[k]
    check_collector(lanes, schedule, rows)
    assert schedule.nonzeros == np.count_nonzero(weights)


def check_collector(lanes: list[LaneState], schedule: Schedule, rows: int) -> None:
    """Sums are taken in order, each in ``hold`` steps that follow its end; a lane's next row ends no earlier."""
    count = len(lanes)
    ends = [time for frame in range(FRAMES) for time, _ in in_order(lanes, rows, frame)]
    lane_of = [k for turn in range(-(-rows // count)) for k in range(count) if turn * count + k < rows] * FRAMES
    time = -1
    held: dict[int, int] = {}
    for k, (end, lane) in enumerate(zip(ends, lane_of, strict=True)):
        assert held.get(lane, -1) <= end, "a sum is overwritten before it is taken"
        time = max(time, end) + schedule.hold
        held[lane] = time
        if k >= 2 * rows:
            assert time == 2 * schedule.steps + schedule.taken[k - 2 * rows]


@settings(deadline=None, derandomize=True, max_examples=120)
@given(st.data())
def test_every_row_is_walked(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 70))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    weights = random_weights(rng, rows, columns, data.draw(st.sampled_from([0.0, 0.3, 0.7, 0.9, 0.97, 1.0])))
    schedule = compile_schedule(
        weights,
        lanes=data.draw(st.integers(1, min(rows, 9))),
        elements=data.draw(st.sampled_from([1, 2, 4])),
        natural=data.draw(st.booleans()),
        choices=data.draw(st.integers(1, 5)),
        slack=data.draw(st.sampled_from([0.0, 0.01, 0.3])),
        escape_price=data.draw(st.sampled_from([0, 256, 1024])),
    )
    check(weights, schedule)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(st.data())
def test_sums_that_take_several_cycles_to_leave(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 16)), data.draw(st.integers(1, 50))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    weights = random_weights(rng, rows, columns, data.draw(st.sampled_from([0.0, 0.5, 0.9, 0.97])))
    fixed = data.draw(st.booleans())
    if fixed:  # then every row has a weight
        weights[np.arange(rows), rng.integers(0, columns, rows)] = 1
    hold = data.draw(st.sampled_from([1, 2, 3, 8, 20]))
    lanes = data.draw(st.integers(1, min(rows, 7)))
    natural = data.draw(st.booleans())
    schedule = compile_schedule(weights, lanes=lanes, natural=natural, fixed=fixed, hold=hold)
    assert schedule.hold == hold
    assert schedule.steps >= rows * hold, "a frame's sums leave within it"
    check(weights, schedule)
    if fixed:
        window = schedule.window
        assert window.positions().tolist() == list(range(window.size - columns, window.size))


def test_one_cycle_is_what_sums_take_where_nothing_is_said() -> None:
    weights = random_weights(np.random.default_rng(6), 12, 40, 0.8)
    said, unsaid = compile_schedule(weights, lanes=4, hold=1), compile_schedule(weights, lanes=4)
    assert said.packed() == unsaid.packed()
    np.testing.assert_array_equal(said.taken, unsaid.taken)


def test_sums_that_leave_slowly_set_the_pace() -> None:
    weights = np.ones((6, 4), np.int8)
    assert [compile_schedule(weights, lanes=3, fixed=True, hold=hold).steps for hold in (1, 2, 5)] == [8, 12, 30]
    slow = compile_schedule(weights, lanes=3, fixed=True, hold=5)
    assert np.diff(slow.taken).tolist() == [5] * 5


def plain_in_flight(schedule: Schedule, delay: int, frames: int = 8) -> int:
    """Results caused by steps up to the one at which their presence has stopped the issue, counted step by step."""
    hold, steps = schedule.hold, schedule.steps
    caused, seen = [], []
    for frame in range(frames):
        for end, taken in zip(schedule.ends.tolist(), schedule.taken.tolist(), strict=True):
            caused += [frame * steps + min(end, steps - 1)] * hold
            seen += [frame * steps + taken - hold + 1 + k + delay for k in range(hold)]
    window = range((frames - 2) * steps, (frames - 1) * steps)
    return max(sum(c <= now for c in caused) - sum(s <= now for s in seen) for now in window)


@pytest.mark.parametrize("hold", [1, 2, 4])
@pytest.mark.parametrize("delay", [3, 15])
def test_results_in_flight(hold: int, delay: int) -> None:
    for seed in range(4):
        weights = random_weights(np.random.default_rng(seed), 3 + 3 * seed, 12, 0.6)
        schedule = compile_schedule(weights, lanes=1 + seed, hold=hold)
        assert schedule.in_flight(delay) == plain_in_flight(schedule, delay)


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize(("rows", "columns", "lanes"), [(1, 1, 1), (1, 130, 1), (7, 130, 7), (9, 5, 2), (30, 1, 4)])
def test_corners(rows: int, columns: int, lanes: int, zeros: float) -> None:
    weights = random_weights(np.random.default_rng(3), rows, columns, zeros)
    check(weights, compile_schedule(weights, lanes=lanes))


def test_empty_full_and_far_apart_rows() -> None:
    weights = np.zeros((6, 400), np.int8)
    weights[1] = -1
    weights[2, [0, 399]] = 1
    weights[3, 399] = -1
    weights[4, 0] = 1
    for lanes in (1, 2, 5, 6):
        for natural in (False, True):
            schedule = compile_schedule(weights, lanes=lanes, natural=natural)
            check(weights, schedule)


@pytest.mark.parametrize("zeros", [0.6, 0.93, 0.99])
@pytest.mark.parametrize("natural", [False, True])
def test_every_format_is_right_by_itself(zeros: float, natural: bool) -> None:
    weights = random_weights(np.random.default_rng(8), 20, 200, zeros)
    for run_width in range(1, 8):
        window = place_columns(weights, elements=1, run_width=run_width)
        for escape_width, groups in [(0, 1), (2, 1), (2, 5), (3, 2), (4, 1), (5, 4)]:
            fmt = WordFormat(lanes=5, run_width=run_width, escape_width=escape_width, groups=groups)
            check(weights, compile_format(weights, fmt, window, natural=natural))


def test_rows_leave_in_their_own_order() -> None:
    weights = random_weights(np.random.default_rng(1), 11, 40, 0.8)
    assert compile_schedule(weights, lanes=3, natural=True).order == tuple(range(11))
    assert compile_schedule(weights, lanes=1, natural=True).order == tuple(range(11))


def test_collect_order() -> None:
    assert collect_order([[4, 1], [0, 3], [2]]) == [4, 0, 2, 1, 3]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(work=st.lists(st.integers(0, 50), min_size=1, max_size=60), lanes=st.integers(1, 12))
def test_dealt_work_is_balanced(work: list[int], lanes: int) -> None:
    lanes = min(lanes, len(work))
    dealt = deal_rows(work, lanes)
    assert sorted(row for lane in dealt for row in lane) == list(range(len(work)))
    counts = [len(lane) for lane in dealt]
    assert max(counts) - min(counts) <= 1
    assert counts == sorted(counts, reverse=True)
    load = [sum(work[row] for row in lane) for lane in dealt]
    partial = sorted(work)[: len(work) % lanes]  # the shortest rows, which no longer suffice for a round
    assert max(load) - min(load) <= max(work) + max(partial, default=0)


def test_lanes_are_busy() -> None:
    weights = random_weights(np.random.default_rng(0), 64, 400, 0.95)
    schedule = compile_schedule(weights, lanes=8)
    assert schedule.utilization == schedule.nonzeros / (8 * schedule.steps)
    assert schedule.utilization > 0.96
    dense = compile_schedule(np.ones((16, 30), np.int8), lanes=4)
    assert dense.steps <= 4 * 30 + 4


def test_stored_bits_stay_near_the_entropy() -> None:
    from sterna.net import entropy

    weights = random_weights(np.random.default_rng(0), 128, 784, 0.95)
    schedule = compile_schedule(weights, lanes=8)
    fmt = schedule.format
    escapes = sum(len(group) for group in schedule.escapes)
    assert schedule.bits == schedule.steps * fmt.width + escapes * fmt.escape_width + schedule.window.map_bits
    assert schedule.bits / (entropy(weights) * weights.size) < 1.1


def test_escapes_have_to_be_worth_their_price() -> None:
    weights = random_weights(np.random.default_rng(5), 64, 400, 0.97)
    cheap, dear = (compile_schedule(weights, lanes=8, escape_price=price) for price in (0, 1024))
    assert cheap.format.memories > dear.format.memories
    assert dear.bits - cheap.bits < 1024 * (cheap.format.memories - dear.format.memories)
    check(weights, cheap)
    check(weights, dear)


def test_slack_trades_steps_for_bits() -> None:
    weights = random_weights(np.random.default_rng(0), 64, 500, 0.9)
    fastest, smallest = (compile_schedule(weights, lanes=8, slack=slack, escape_price=0) for slack in (0.0, 1.0))
    assert fastest.steps < smallest.steps <= 2 * fastest.steps
    assert smallest.bits < fastest.bits


def test_the_same_matrix_gives_the_same_words() -> None:
    weights = random_weights(np.random.default_rng(4), 20, 60, 0.8)
    first, second = compile_schedule(weights, lanes=4), compile_schedule(weights.copy(), lanes=4)
    assert first.packed() == second.packed()
    assert first.order == second.order


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.data())
def test_formats_that_are_not_compiled_would_not_be_chosen(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    weights = random_weights(rng, rows, 60, data.draw(st.sampled_from([0.3, 0.8, 0.95])))
    lanes = data.draw(st.integers(1, min(rows, 12)))
    slack = data.draw(st.sampled_from([0.0, 0.005, 0.3]))
    cases = formats(lanes, weights, elements=1, slack=slack)
    tried = [compile_format(weights, fmt, window) for fmt, window in cases]
    fewest = min(schedule.steps for schedule in tried)
    near = [schedule for schedule in tried if schedule.steps <= fewest + max(fewest * slack, 1)]
    costs = [(schedule.bits + ESCAPE_PRICE * schedule.format.memories, schedule.steps) for schedule in near]
    chosen = compile_schedule(weights, lanes=lanes, slack=slack)
    assert chosen.format == near[costs.index(min(costs))].format


def test_index_words_wider_than_a_machine_word() -> None:
    weights = random_weights(np.random.default_rng(2), 40, 300, 0.95)
    schedule = compile_schedule(weights, lanes=33)
    assert schedule.format.width > 64
    check(weights, schedule)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.data())
def test_no_schedule_takes_fewer_than_the_least_steps(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 40))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    weights = random_weights(rng, rows, columns, data.draw(st.sampled_from([0.0, 0.3, 0.7, 0.9, 1.0])))
    weights[rng.random(rows) < data.draw(st.sampled_from([0.0, 0.5]))] = 0
    lanes, natural = data.draw(st.integers(1, rows)), data.draw(st.booleans())
    schedule = compile_schedule(weights, lanes=lanes, natural=natural, slack=0.0)
    assert least_steps(weights, lanes=lanes, natural=natural) <= schedule.steps


def test_least_and_expected_steps_by_hand() -> None:
    full = np.ones((12, 50), np.int8)
    assert least_steps(full, lanes=4) == expected_steps(full, lanes=4) == 150
    assert least_steps(full, lanes=5) == 120  # 600 weights of five lanes
    assert expected_steps(full, lanes=5) == least_steps(full, lanes=5, natural=True) == 150  # two lanes have three rows
    narrow = np.ones((40, 1), np.int8)
    assert least_steps(narrow, lanes=8) == expected_steps(narrow, lanes=8) == 40  # a sum a step
    uneven = np.zeros((6, 50), np.int8)
    uneven[0] = 1
    assert least_steps(uneven, lanes=3) == 51  # and one of the empty rows
    assert least_steps(uneven, lanes=3, natural=True) == 51


@pytest.mark.parametrize("natural", [False, True])
@pytest.mark.parametrize("lanes", [1, 4, 16, 40])
def test_expected_steps_are_near(lanes: int, natural: bool) -> None:
    rng = np.random.default_rng(7)
    zeros = 1 - 0.1 * rng.uniform(0.3, 1.7, (120, 1))
    weights = np.where(rng.random((120, 400)) >= zeros, rng.choice(np.array([-1, 1], np.int8), (120, 400)), np.int8(0))
    steps = compile_schedule(weights, lanes=lanes, natural=natural).steps
    assert abs(expected_steps(weights, lanes=lanes, natural=natural) / steps - 1) < 0.03


@pytest.mark.parametrize("lanes", [0, -1, 4])
@pytest.mark.parametrize("of", [compile_schedule, least_steps, expected_steps])
def test_lanes_out_of_range(of: Callable[..., object], lanes: int) -> None:
    with pytest.raises(ValueError, match=rf"^lanes must be 1 to 3, the layer's rows, not {lanes}$"):
        of(np.ones((3, 2), np.int8), lanes=lanes)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_no_format_takes_fewer_steps_than_its_bound(groups: int) -> None:
    """Short words escape often: where groups escape at once, the bound follows the escapes of one."""
    from sterna.hw.index.schedule import _Compiler

    weights = random_weights(np.random.default_rng(groups), 16, 120, 0.95)
    fmt = WordFormat(lanes=4, run_width=2, escape_width=5, groups=groups)
    compiler = _Compiler(weights, natural=False, choices=8)
    window = place_columns(weights, elements=1, run_width=fmt.run_width)
    assert compiler.least_steps(fmt, window) <= compiler.compile(fmt, window).steps
