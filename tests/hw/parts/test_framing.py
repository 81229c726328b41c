"""Frames of a stream, whatever its ``last`` says, against a plain model; without a cycle lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, unsigned
from bench import Port, drive, run

from sterna.hw.parts.framing import FrameGuard

Beat = tuple[int, bool]


def by_contract(sent: list[Beat], beats: int) -> tuple[list[int], list[int]]:
    """The beats that pass, and which of those that were sent are errors."""
    passed: list[int] = []
    errors: list[int] = []
    skipping = False
    for k, (value, last) in enumerate(sent):
        if skipping:
            skipping = not last
            continue
        passed.append(value)
        missing = -len(passed) % beats
        if last and missing:
            passed += [0] * missing
            errors.append(k)
        elif not last and not missing:
            skipping = True
            errors.append(k)
    return passed, errors


def check(sent: list[Beat], beats: int, *, input_stall: float = 0.0, output_stall: float = 0.0, seed: int = 0) -> None:
    """What passes, and the error a cycle after each beat that is one."""
    sent = [*sent, *[(7, True)] * (beats * 4)]  # whatever went before, frames come again
    expected, errors = by_contract(sent, beats)
    expected = expected[: len(expected) // beats * beats]
    guard = FrameGuard(shape=unsigned(8), beats=beats)

    def put(ctx: Any, beat: Beat) -> None:
        ctx.set(guard.i.payload, beat[0])
        ctx.set(guard.i_last, beat[1])

    record = drive(
        guard,
        Port(guard.i.valid, guard.i.ready, guard.i.payload),
        Port(guard.o.valid, guard.o.ready, guard.o.payload),
        sent,
        count=len(expected),
        input_stall=input_stall,
        output_stall=output_stall,
        seed=seed,
        set_beat=put,
        probes=(guard.error,),
    )
    assert record.results == expected
    found = [cycle for cycle, (error,) in enumerate(record.probes) if error]
    told = [record.sent[k] + 1 for k in errors if k < len(record.sent)]
    assert found == [cycle for cycle in told if cycle < len(record.probes)]


def frames(*lengths: int, first: int = 1) -> list[Beat]:
    """Frames of these lengths, beats numbered."""
    ends = set(np.cumsum(lengths).tolist())
    return [((first + k) % 256, k + 1 in ends) for k in range(sum(lengths))]


@pytest.mark.parametrize("beats", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("stalls", [(0.0, 0.0), (0.4, 0.0), (0.0, 0.5), (0.3, 0.3)], ids=["free", "in", "out", "both"])
def test_random_lengths(beats: int, stalls: tuple[float, float]) -> None:
    rng = np.random.default_rng(beats)
    lengths = np.where(rng.random(40) < 0.4, beats, rng.integers(1, 2 * beats + 3, 40))
    check(frames(*lengths.tolist()), beats, input_stall=stalls[0], output_stall=stalls[1], seed=beats)


@pytest.mark.parametrize("beats", [1, 2, 5])
def test_last_at_random(beats: int) -> None:
    rng = np.random.default_rng(beats)
    check([(int(value), bool(rng.random() < 0.3)) for value in rng.integers(0, 256, 200)], beats, output_stall=0.2)


def test_frames_of_the_right_length_pass_without_a_gap() -> None:
    guard = FrameGuard(shape=unsigned(8), beats=3)
    sent = frames(3, 3, 3)

    async def bench(ctx: Any) -> None:
        ctx.set(guard.i.valid, 1)
        ctx.set(guard.o.ready, 1)
        for value, last in sent:
            ctx.set(guard.i.payload, value)
            ctx.set(guard.i_last, last)
            assert (ctx.get(guard.i.ready), ctx.get(guard.o.valid), ctx.get(guard.o.payload)) == (1, 1, value)
            await ctx.tick()
            assert ctx.get(guard.error) == 0

    run(guard, bench)


def test_by_hand() -> None:
    assert by_contract(frames(3, 1, 5, 3), 3) == ([1, 2, 3, 4, 0, 0, 5, 6, 7, 10, 11, 12], [3, 6])
    check(frames(3, 1, 5, 3), 3)
    assert by_contract(frames(1, 4, 1), 1) == ([1, 2, 6], [1])
    check(frames(1, 4, 1), 1)


def test_beats_that_are_dropped_do_not_wait_for_the_sink() -> None:
    guard = FrameGuard(shape=unsigned(8), beats=1)

    async def bench(ctx: Any) -> None:
        ctx.set(guard.i.valid, 1)
        ctx.set(guard.o.ready, 1)
        await ctx.tick()
        ctx.set(guard.o.ready, 0)
        for last in (0, 0, 1):
            ctx.set(guard.i_last, last)
            assert (ctx.get(guard.i.ready), ctx.get(guard.o.valid)) == (1, 0)
            await ctx.tick()
        assert (ctx.get(guard.i.ready), ctx.get(guard.o.valid)) == (0, 1)

    run(guard, bench)


@pytest.mark.parametrize("lasts", [(0, 1), (0, 0, 0), (0, 0, 0, 0)], ids=["filling", "at the end", "skipping"])
def test_reset(lasts: tuple[int, ...]) -> None:
    guard = FrameGuard(shape=unsigned(8), beats=3)
    domain = ClockDomain("sync")

    async def bench(ctx: Any) -> None:
        ctx.set(guard.i.valid, 1)
        ctx.set(guard.o.ready, 1)
        for last in lasts:
            ctx.set(guard.i_last, last)
            await ctx.tick()
        ctx.set(domain.rst, 1)
        await ctx.tick()
        ctx.set(domain.rst, 0)
        for value, last in frames(3, 3):
            ctx.set(guard.i.payload, value)
            ctx.set(guard.i_last, last)
            assert (ctx.get(guard.error), ctx.get(guard.o.payload)) == (0, value)
            await ctx.tick()

    run(guard, bench, domain=domain)
