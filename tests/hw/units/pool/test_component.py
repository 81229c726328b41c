"""Pooling units: exact whatever stalls, each transfer in its cycle, and back after a reset or a wrong frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.lib.memory import Memory
from bench import S2, S4, S8, U1, U2, U4, U8, elaborated, run
from maps import (
    check_framed,
    check_maps,
    check_resets,
    exchange,
    expected_maps,
    map_beats,
    map_results,
)
from pools import STALLS, Case, check, frames_of, network_of, plan_of

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.tables import code_shape
from sterna.sim.golden import GoldenModel

CASES = {
    "one pixel": Case(shape=(1, 1, 1), kernel=(1, 1), stride=(1, 1), code=U1),
    "one window": Case(shape=(1, 2, 2), code=S4),
    "two words": Case(shape=(2, 4, 2), code=S4, kind="sum"),
    "three words": Case(shape=(3, 4, 2), code=S4, kind="sum"),
    "four words": Case(shape=(4, 4, 2), code=S4, kind="sum"),
    "one channel, one column": Case(shape=(1, 9, 1), kernel=(3, 1), stride=(3, 1), code=S2),
    "as they are": Case(shape=(2, 3, 5), kernel=(1, 1), stride=(1, 1), elements=4, kind="sum", code=S8),
    "every second pixel": Case(shape=(2, 6, 7), kernel=(1, 1), elements=2, code=S4),
    "along rows alone": Case(shape=(2, 3, 8), kernel=(1, 4), stride=(1, 4), elements=8, kind="shift"),
    "down columns alone": Case(shape=(3, 6, 3), kernel=(3, 1), stride=(3, 1), kind="search"),
    "two windows a beat": Case(shape=(2, 4, 8), elements=4, code=S4),
    "four windows a beat": Case(shape=(2, 4, 16), elements=8, code=S4, kind="line"),
    "four windows a beat, a part of them": Case(shape=(2, 4, 11), elements=8, code=S4, kind="line"),
    "windows of several beats": Case(shape=(2, 6, 12), kernel=(3, 6), stride=(3, 6), elements=2, code=S4),
    "windows of a part of several beats": Case(shape=(2, 5, 13), kernel=(2, 5), stride=(2, 6), elements=2, kind="sum"),
    "windows of fewer beats than their stride": Case(shape=(2, 5, 12), kernel=(2, 1), stride=(3, 4), code=S4),
    "a window that ends in a partial beat": Case(shape=(1, 4, 7), kernel=(2, 3), stride=(2, 4), elements=4, code=S2),
    "strides above the kernel": Case(shape=(2, 10, 8), kernel=(2, 2), stride=(4, 4), elements=4, kind="sum", code=S8),
    "rows left over": Case(shape=(2, 7, 5), kernel=(3, 2), stride=(3, 2), kind="shift"),
    "a whole map's maximum": Case(shape=(5, 4, 5), kernel=(4, 5), stride=(4, 5), code=S8),
    "a whole map's sum": Case(shape=(5, 4, 8), kernel=(4, 8), stride=(4, 8), elements=4, kind="line", code=U8),
    "a whole map's raw sum": Case(shape=(3, 4, 8), kernel=(4, 8), stride=(4, 8), elements=8, kind="sum", code=S8),
    "many channels": Case(shape=(17, 4, 4), kind="shift", code=U2),
    "a whole map, whatever beats": Case(shape=(3, 4, 7), kernel=(4, 7), stride=(1, 1), elements=4, code=S4, kind="sum"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("stalls", [STALLS[0], STALLS[3]], ids=["free", "both"])
def test_exact_whatever_stalls(case: Case, stalls: tuple[float, float]) -> None:
    check(case, seed=1, stalls=stalls)


@pytest.mark.parametrize("kind", ["max", "shift"])
def test_channels_keep_the_streams_order(kind: str) -> None:
    """Each channel has its own tables, wherever the stream brings it; one that the stream lacks is left out."""
    case = Case(shape=(5, 4, 5), kind=kind)
    rng = np.random.default_rng(0)
    network = network_of(case, rng)
    stream = StreamType(element=code_shape(U4), shape=case.shape, order=(3, 0, 4, 1), elements=2)
    plan = plan_of(network, case, stream=stream)
    assert plan.output.order == (3, 0, 4, 1)
    assert plan.describe()["unused_channels"] == [2]
    frames = frames_of(case, 4, rng)
    check_maps(plan, frames, GoldenModel(network).predict(frames))


def test_a_beat_a_cycle() -> None:
    record = check(Case(shape=(3, 6, 8), elements=2), seed=0, stalls=STALLS[0])
    assert record.sent == list(range(5 * 3 * 6 * 4))


@pytest.mark.parametrize("kind", ["max", "sum", "shift", "search"])
def test_a_result_a_cycle(kind: str) -> None:
    record = check(Case(shape=(3, 8, 9), kernel=(1, 1), stride=(1, 1), kind=kind), seed=0, stalls=STALLS[0])
    assert record.sent == list(range(5 * 3 * 8 * 9))


def test_only_beats_that_complete_results_wait() -> None:
    """A sink that takes nothing: results that fit are made, and then all beats up to the one that has no room."""
    case = Case(shape=(1, 4, 4), kind="sum")
    rng = np.random.default_rng(0)
    network = network_of(case, rng)
    plan = plan_of(network, case)
    frames = frames_of(case, 12, rng)
    record = check_maps(plan, frames, GoldenModel(network).predict(frames), output_stall=lambda cycle: cycle < 400)
    before = sum(cycle < 400 for cycle in record.sent)
    # the second and the fourth row's second and fourth beats complete a result each
    completing = [k for k in range(len(record.sent)) if k % 8 in (5, 7)]
    assert before == completing[plan.fifo_depth]
    assert record.sent[before] == 401  # a result leaves in cycle 400


@pytest.mark.parametrize("kind", ["max", "line"])
def test_the_fifo_has_room_for_what_is_on_its_way(kind: str) -> None:
    case = Case(shape=(2, 4, 9), kernel=(1, 1), stride=(1, 1), kind=kind, elements=2)
    rng = np.random.default_rng(1)
    network = network_of(case, rng)
    plan = plan_of(network, case)
    frames = frames_of(case, 6, rng)
    reference = GoldenModel(network).predict(frames)
    for stall in (lambda cycle: cycle < 200, lambda cycle: cycle % 61 >= 20):
        record = check_maps(plan, frames, reference, output_stall=stall)
        # one more stands in the FIFO's output register, and counts as one that has not left
        assert max(level for (level,) in record.probes) == plan.fifo_depth - 1


@pytest.mark.parametrize("seed", range(8))
def test_reset_in_the_middle_of_a_frame(seed: int) -> None:
    case = [
        Case(shape=(2, 5, 7), kind="line", elements=2, code=S4),
        Case(shape=(1, 4, 4), code=S2),
        Case(shape=(2, 6, 8), kernel=(3, 3), stride=(3, 4), elements=2, kind="sum", code=S4),
        Case(shape=(3, 3, 6), kernel=(1, 2), stride=(1, 2), kind="search"),
        Case(shape=(4, 4, 5), kernel=(4, 5), stride=(4, 5), kind="shift"),
        Case(shape=(2, 5, 5), kernel=(3, 3), stride=(1, 1), padding=(1, 1), code=S4),
        Case(shape=(2, 5, 7), kernel=(3, 3), padding=(1, 1), elements=2, kind="line", code=S4),
        Case(shape=(1, 4, 6), kernel=(4, 5), stride=(1, 2), padding=(2, 2), elements=4, kind="sum", code=S8),
    ][seed]
    rng = np.random.default_rng(seed)
    network = network_of(case, rng)
    frames = frames_of(case, 3, rng)
    check_resets(plan_of(network, case), frames, GoldenModel(network).predict(frames), seed=seed)


@pytest.mark.parametrize(
    "case",
    [
        Case(shape=(2, 4, 4), code=S4),
        Case(shape=(1, 5, 5), elements=2, kind="shift"),
        Case(shape=(2, 4, 4), kernel=(3, 3), stride=(1, 1), padding=(1, 1), code=S4),
    ],
    ids=["max", "sum", "padding"],
)
def test_frames_of_a_wrong_length(case: Case) -> None:
    rng = np.random.default_rng(case.elements)
    network = network_of(case, rng)
    frames = frames_of(case, 9, rng)
    check_framed(plan_of(network, case), frames, GoldenModel(network).predict, seed=case.elements)


@pytest.mark.parametrize(
    "case",
    [
        Case(shape=(4, 4, 2), code=S4),
        Case(shape=(1, 6, 10), kernel=(3, 2), stride=(3, 2), elements=2, kind="sum"),
        Case(shape=(5, 5, 3), kernel=(2, 1), stride=(3, 1), kind="shift"),
        Case(shape=(3, 5, 3), kernel=(5, 3), padding=(2, 1), code=S4),
    ],
    ids=["four words", "five words", "words between", "several windows a word"],
)
def test_memories_hold_anything_where_it_does_not_matter(case: Case) -> None:
    """At power up; and a word that is read in the cycle in which it is written."""
    rng = np.random.default_rng(2)
    network = network_of(case, rng)
    plan = plan_of(network, case)
    assert plan.words >= 4
    unit = plan.component(framed=False)
    memory: Memory = elaborated(unit).submodules.rows
    (write,), (read,) = memory.write_ports, memory.read_ports
    frames = frames_of(case, 6, rng)

    def disturb(ctx: Any, collides: tuple[int, ...]) -> None:
        if collides[0]:
            ctx.set(read.data, int(rng.integers(1 << len(read.data))))

    async def bench(ctx: Any) -> None:
        for address in range(memory.depth):
            ctx.set(memory.data[address], int(rng.integers(1 << memory.shape.width)))
        beats = map_beats(frames, plan.stream, rng)
        watched = [write.en & (write.addr == read.addr)]
        found = await exchange(
            ctx, unit, beats, cycles=2 * len(beats) + 99, ready=lambda: bool(rng.random() < 0.9),
            after=disturb, watched=watched,
        )  # fmt: skip
        reference = expected_maps(GoldenModel(network).predict(frames), plan.output)
        np.testing.assert_array_equal(map_results(found, plan.output), reference)

    run(unit, bench)


@pytest.mark.parametrize(("elements", "stride"), [(2, 3), (4, 3), (4, 6)])
def test_beats_that_do_not_fit(elements: int, stride: int) -> None:
    case = Case(shape=(1, 6, 12), kernel=(1, 1), stride=(1, stride), elements=elements)
    message = (
        rf"^layer 'pool' pools with a horizontal stride of {stride}, and its input comes {elements} pixels a beat: one "
        "has to divide the other; give elements_per_beat=1$"
    )
    with pytest.raises(ValueError, match=message):
        plan_of(network_of(case, np.random.default_rng(0)), case)


def test_a_plan_says_what_it_holds() -> None:
    case = Case(shape=(3, 4, 8), elements=4, kind="sum", code=S4)
    plan = plan_of(network_of(case, np.random.default_rng(0)), case)
    assert (plan.name, plan.nodes, plan.lanes) == ("pool", ("pool",), 0)
    assert plan.output.shape == (3, 2, 4)
    assert (plan.output.elements, plan.output.beats) == (2, 12)
    assert (plan.work.steps, plan.work.beats, plan.work.results) == (24, 24, 12)
    memories = {memory.name: (memory.depth, memory.width) for memory in plan.memories}
    assert memories == {"rows": (3 * 2, 2 * 6), "fifo": (plan.fifo_depth, 2 * 6)}
    assert (plan.pooled.width, plan.pooled.signed) == (6, True)  # -32 to 28
