"""Pools that overlap or have padding: exact whatever stalls, each transfer in its cycle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from bench import S1, S4, S8, U2, U8
from pools import STALLS, Case, check, drawn, drawn_over, network_of, plan_of

from sterna.hw.graph.lower import lower

OVER = {
    "every window once more": Case(shape=(2, 6, 7), kernel=(3, 3), stride=(1, 1), code=S4),
    "two windows a row": Case(shape=(2, 9, 9), kernel=(3, 3), code=S4, kind="sum"),
    "padding": Case(shape=(2, 6, 7), kernel=(3, 3), stride=(1, 1), padding=(1, 1), code=S4),
    "padding of a larger stride": Case(shape=(2, 8, 8), kernel=(3, 3), padding=(1, 1), elements=2, code=S4),
    "padding and an odd map": Case(shape=(2, 7, 7), kernel=(3, 3), padding=(1, 1), code=S4, kind="sum"),
    "padding above and below": Case(shape=(2, 5, 6), kernel=(3, 2), stride=(2, 2), padding=(1, 0), code=S4),
    "padding left and right": Case(shape=(2, 6, 5), kernel=(2, 3), stride=(2, 1), padding=(0, 1), kind="line"),
    "padding without overlap": Case(shape=(2, 7, 7), padding=(1, 1), elements=4, code=S4),
    "padding of the smallest code": Case(shape=(1, 3, 3), kernel=(3, 3), stride=(1, 1), padding=(1, 1), code=S1),
    "more windows than pixels": Case(shape=(2, 4, 8), stride=(1, 1), padding=(1, 1), elements=4, code=S4, kind="sum"),
    "a row a beat": Case(shape=(2, 4, 8), kernel=(3, 3), stride=(1, 1), padding=(1, 1), elements=8, code=S4),
    "a beat wider than a row": Case(shape=(2, 4, 5), kernel=(3, 3), stride=(1, 1), padding=(1, 1), elements=8, code=S8),
    "beats that end in padding": Case(shape=(2, 4, 9), kernel=(3, 3), stride=(1, 1), padding=(1, 1), elements=4),
    "one pixel": Case(shape=(3, 1, 1), kernel=(7, 7), stride=(1, 1), padding=(3, 3), code=S4, kind="search"),
    "one row": Case(shape=(2, 1, 8), kernel=(3, 5), stride=(1, 1), padding=(1, 2), elements=2, code=S4),
    "one column": Case(shape=(2, 8, 1), kernel=(5, 3), stride=(1, 1), padding=(2, 1), code=S4, kind="sum"),
    "seven by seven": Case(shape=(2, 9, 10), kernel=(7, 7), stride=(1, 1), padding=(3, 3), elements=2, code=S4),
    "seven by seven, two rows at once": Case(
        shape=(1, 11, 9), kernel=(7, 7), stride=(2, 3), padding=(3, 2), kind="sum"
    ),
    "a window that is complete as another begins": Case(shape=(2, 9, 9), kernel=(5, 5), padding=(2, 2), code=S4),
    "a window that begins as another goes on": Case(shape=(2, 9, 9), kernel=(4, 4), code=S4, kind="sum"),
    "a window above the map, and no room below": Case(shape=(2, 5, 5), kernel=(4, 3), padding=(2, 1), code=S4),
    "padding and gaps": Case(shape=(2, 8, 8), kernel=(2, 2), stride=(3, 3), padding=(1, 1), code=S4),
    "many channels": Case(shape=(17, 4, 4), kernel=(3, 3), padding=(1, 1), kind="shift", code=U2),
}


@pytest.mark.parametrize("case", OVER.values(), ids=OVER)
@pytest.mark.parametrize("stalls", [STALLS[0], STALLS[3]], ids=["free", "both"])
def test_overlap_and_padding(case: Case, stalls: tuple[float, float]) -> None:
    check(case, seed=1, stalls=stalls)


@pytest.mark.parametrize("draw", [drawn, drawn_over])
@pytest.mark.parametrize("seed", range(40))
def test_random_pools(draw: Callable[[int], Case], seed: int) -> None:
    check(draw(seed), seed=seed, stalls=STALLS[seed % 4])


@pytest.mark.slow
@pytest.mark.parametrize("draw", [drawn, drawn_over])
@pytest.mark.parametrize("seed", range(40, 440))
def test_eight_hundred_random_pools(draw: Callable[[int], Case], seed: int) -> None:
    check(draw(seed), seed=seed, stalls=STALLS[seed % 4], frames=8)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [drawn, drawn_over])
@pytest.mark.parametrize("seed", range(100))
def test_each_transfer_comes_in_its_cycle(draw: Callable[[int], Case], seed: int) -> None:
    check(draw(seed), seed=seed, stalls=STALLS[0], frames=12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        Case(shape=(1, 128, 128), kernel=(3, 3), padding=(1, 1), elements=2, code=S4),
        Case(shape=(2, 128, 128), kernel=(7, 7), stride=(1, 1), padding=(3, 3), elements=128, kind="line"),
        Case(shape=(2, 128, 128), kernel=(128, 128), stride=(1, 1), elements=128, kind="shift", code=U8),
        Case(shape=(1, 127, 113), kernel=(5, 5), stride=(3, 1), padding=(2, 2), elements=16, kind="sum"),
    ],
    ids=["two pixels a beat", "rows", "a whole map", "no size divides another"],
)
def test_large_maps(case: Case) -> None:
    check(case, seed=3, stalls=STALLS[0], frames=2)


@pytest.mark.parametrize(
    ("case", "slots"),
    [
        (Case(shape=(3, 6, 8), kernel=(3, 3), stride=(1, 1), elements=2), 6 * 3 * 4),
        (Case(shape=(3, 6, 8), kernel=(3, 3), stride=(1, 1), padding=(1, 1), elements=2), 7 * 3 * 5),
        (Case(shape=(3, 6, 8), kernel=(3, 3), stride=(1, 1), padding=(1, 1), elements=8), 7 * 3),
        (Case(shape=(3, 6, 8), kernel=(3, 3), padding=(1, 1), elements=2), 6 * 3 * 4),
        (Case(shape=(3, 7, 9), kernel=(3, 3), padding=(1, 1)), 8 * 3 * 10),
    ],
    ids=["overlap", "padding", "a row a beat", "padding that costs nothing", "an odd map"],
)
def test_padding_costs_what_is_said(case: Case, slots: int) -> None:
    """Every frame takes as many cycles as it has slots; the last one ends with padding, if it has some at its end."""
    record = check(case, seed=0, stalls=STALLS[0])
    plan = plan_of(network_of(case, np.random.default_rng(0)), case)
    assert plan.work.steps == slots
    (layer,) = lower(network_of(case, np.random.default_rng(0)))
    assert layer.least_interval([plan.stream]) == slots
    firsts = record.sent[:: plan.stream.beats]
    assert [cycle - firsts[0] for cycle in firsts] == [k * slots for k in range(5)]


def test_sums_have_the_pixels_that_padding_leaves() -> None:
    """Windows of 5 x 5 pixels over maps of 2 x 3 have 6 at most: sums of -48 to 42."""
    case = Case(shape=(3, 2, 3), kernel=(5, 5), stride=(1, 1), padding=(2, 2), kind="sum", code=S4)
    plan = plan_of(network_of(case, np.random.default_rng(0)), case)
    assert (plan.pooled.width, plan.pooled.signed) == (7, True)
    assert plan.describe()["padding"] == [2, 2]
    memories = {memory.name: (memory.depth, memory.width) for memory in plan.memories}
    assert memories["rows"] == (3 * 3, 3 * 7)
