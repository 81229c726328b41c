"""Latency and interval from the cycles of transfers, and what is said where they are not as computed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from sterna.sim.manifest import Manifest
from sterna.sim.timing import MeasuredTiming, frames_needed

TINY = Manifest.load(Path(__file__).parents[1] / "rtl" / "data")

# Two frames settle; then gaps of 5, 6 and 9 cycles take turns.
SETTLING, GAPS = (30, 11, 8), (5, 6, 9)
UNEVEN = replace(TINY, latency_cycles=30, settled_frames=2, period_frames=3, period_cycles=20, largest_gap_cycles=9)


def ends(count: int, gaps: tuple[int, ...] = GAPS) -> list[int]:
    """Last output transfers; frame 0's first input transfer is in cycle 4."""
    steps = itertools.chain(SETTLING, itertools.cycle(gaps))
    return [4 + end for end in itertools.accumulate(itertools.islice(steps, count))]


def measured(manifest: Manifest, count: int, gaps: tuple[int, ...] = GAPS) -> MeasuredTiming:
    return MeasuredTiming.of(manifest, starts=[4], ends=ends(count, gaps))


def test_frames_needed() -> None:
    """2 settled ones, 22 periods of 3 are the first that make 64, and the frame at their end."""
    assert frames_needed(UNEVEN) == 2 + 66 + 1
    assert frames_needed(replace(UNEVEN, period_frames=64)) == 2 + 64 + 1
    assert frames_needed(replace(UNEVEN, period_frames=65)) == 2 + 65 + 1
    assert frames_needed(TINY) == 65


@pytest.mark.parametrize("count", [69, 70, 71, 72, 200])
def test_mean_over_whole_periods(count: int) -> None:
    """Exact, wherever in a period the last frame ends; no single gap is the interval."""
    timing = measured(UNEVEN, count)
    assert timing == MeasuredTiming(latency_cycles=30, interval=Fraction(20, 3), largest_gap_cycles=9)
    assert timing.interval_cycles == 20 / 3
    assert timing.differences(UNEVEN) == []


@pytest.mark.parametrize("count", [1, 2, 3, 10, 68])
def test_too_few_frames(count: int) -> None:
    timing = measured(UNEVEN, count)
    assert timing == MeasuredTiming(latency_cycles=30)
    assert timing.differences(UNEVEN) == []
    assert MeasuredTiming.of(UNEVEN, starts=[], ends=[]) == MeasuredTiming()


@pytest.mark.parametrize(
    ("wrong", "messages"),
    [
        ({"latency_cycles": 31}, ["the latency is 30 cycles, but 31 were computed"]),
        (
            {"period_cycles": 21},
            [
                "the interval is 20/3 cycles, but 7 were computed",
                "frame 5 ends 20 cycles after frame 2, but 21 were computed",
            ],
        ),
        # settled one frame too early
        (
            {"period_cycles": 40, "period_frames": 6, "settled_frames": 1},
            ["the interval is 213/32 cycles, but 20/3 were computed", "frame 7 ends 39 cycles after frame 1, but 40 "],
        ),
        ({"largest_gap_cycles": 8}, ["the largest gap between frames is 9 cycles, but 8 were computed"]),
        ({"largest_gap_cycles": 10}, ["the largest gap between frames is 9 cycles, but 10 were computed"]),
        (
            {"settled_frames": 0},
            ["the interval is ", "the largest gap between frames is 11 cycles", "frame 3 ends 24 cycles after frame 0"],
        ),
    ],
)
def test_differences(wrong: dict[str, int], messages: list[str]) -> None:
    manifest = replace(UNEVEN, **wrong)
    found = measured(manifest, 101).differences(manifest)
    assert len(found) == len(messages)
    for sentence, message in zip(found, messages, strict=True):
        assert sentence.startswith(message)


def test_one_frame_out_of_step_is_seen_though_the_mean_is_right() -> None:
    late = ends(100)
    late[40] += 1
    timing = MeasuredTiming.of(UNEVEN, starts=[4], ends=late)
    assert timing.interval == UNEVEN.interval
    assert timing.differences(UNEVEN)[-1] == "frame 40 ends 21 cycles after frame 37, but 20 were computed"


def test_a_longer_period_is_seen() -> None:
    """Two periods of the real thing have the computed mean; one has not."""
    timing = measured(UNEVEN, 100, (5, 6, 9, 5, 7, 8))
    assert timing.interval == UNEVEN.interval
    assert timing.differences(UNEVEN) == ["frame 7 ends 21 cycles after frame 4, but 20 were computed"]


def test_few_frames_out_of_step_are_seen_too() -> None:
    assert measured(UNEVEN, 12, (5, 6, 10)).differences(UNEVEN) == [
        "frame 5 ends 21 cycles after frame 2, but 20 were computed"
    ]
