"""The swap of halves: never while a frame is on its way, never into the middle of one, and never twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain
from bench import run

from sterna.hw.parts.loadable import HalvedMemory, MemoryImage
from sterna.hw.parts.swap import HalfSwap

FRAMES = 5


class Pipe:
    """What stands around a swap: frames that take some cycles, some of them dropped, and loads that come at random."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.inside: list[int] = []  # time at which each frame on its way leaves
        self.beats = 0
        self.kind = "good"

    def next_frame(self) -> None:
        self.kind = str(self.rng.choice(["good", "good", "good", "early", "late"]))


@pytest.mark.parametrize("seed", range(6))
def test_only_between_frames(seed: int) -> None:
    """A model that knows when frames begin and leave; every whole load is followed by one swap."""
    swap, pipe = HalfSwap(frames=FRAMES), Pipe(seed)
    rng = pipe.rng

    async def bench(ctx: Any) -> None:
        complete, settled, loads, swaps, half = 0, 0, 0, 0, 0
        begun, dropped_later = False, False
        for cycle in range(4000):
            now_half, waiting, hold = ctx.get(swap.half), ctx.get(swap.waiting), ctx.get(swap.hold)
            if now_half != half:
                swaps += 1
                half = now_half
                assert not pipe.inside, "a frame was on its way"
                assert not begun, "in the middle of a frame"
            assert waiting == (complete and loads > swaps)
            assert hold == (waiting and not begun)
            if not waiting and rng.random() < 0.05:  # the first byte of another load
                complete = settled = 0
            elif not complete and rng.random() < 0.1:
                complete, loads = 1, loads + 1
            elif complete and rng.random() < 0.5:
                settled = 1
            taken = last = False
            left = bool(pipe.inside) and pipe.inside[0] <= cycle and rng.random() < 0.7
            dropped = dropped_later
            dropped_later = False
            if (begun or not hold) and len(pipe.inside) < FRAMES and rng.random() < 0.6:
                if not begun:
                    pipe.next_frame()
                    pipe.beats = 0
                taken, pipe.beats = True, pipe.beats + 1
                last = pipe.beats == {"good": 4, "early": 2, "late": 7}[pipe.kind]
                if pipe.kind == "late" and pipe.beats == 4:
                    dropped_later = True
                if last and pipe.kind == "early":
                    dropped_later = True
                if last and pipe.kind == "good":
                    pipe.inside.append(cycle + int(rng.integers(3, 30)))
                    pipe.inside.sort()
                begun = not last
            for name, value in (
                ("complete", complete), ("settled", settled), ("taken", taken), ("taken_last", last),
                ("dropped", dropped), ("left", left),
            ):  # fmt: skip
                ctx.set(getattr(swap, name), value)
            if left:
                pipe.inside.pop(0)
            await ctx.tick()
        assert swaps > 20
        assert loads - swaps in (0, 1)

    run(swap, bench)


def test_a_reset_keeps_the_half_and_makes_the_swap_that_waited() -> None:
    swap, domain = HalfSwap(frames=FRAMES), ClockDomain("sync")

    async def bench(ctx: Any) -> None:
        ctx.set(swap.taken, 1)
        ctx.set(swap.taken_last, 1)
        await ctx.tick()
        ctx.set(swap.taken, 0)
        ctx.set(swap.complete, 1)
        ctx.set(swap.settled, 1)
        await ctx.tick().repeat(10)
        assert ctx.get(swap.waiting)
        assert not ctx.get(swap.half)
        ctx.set(domain.rst, 1)
        await ctx.tick()
        ctx.set(domain.rst, 0)
        await ctx.tick().repeat(2)
        assert ctx.get(swap.half)
        assert not ctx.get(swap.waiting)
        ctx.set(domain.rst, 1)
        await ctx.tick()
        ctx.set(domain.rst, 0)
        await ctx.tick().repeat(4)
        assert ctx.get(swap.half), "a reset keeps the half"

    run(swap, bench, domain=domain)


@pytest.mark.parametrize("words", [1, 5, 64, 100])
def test_a_half_is_written_while_the_other_is_read(words: int) -> None:
    drawn = np.random.default_rng(words).integers(0, 1 << 9, (3, words)).tolist()
    memory = HalvedMemory(MemoryImage(width=9, words=tuple(drawn[0])))

    async def bench(ctx: Any) -> None:
        for turn in range(2):
            ctx.set(memory.half, turn)
            read = []
            for k in range(words + 2):
                ctx.set(memory.address, min(k, words - 1))
                ctx.set(memory.load.write, k < words)
                ctx.set(memory.load.address, min(k, words - 1))
                ctx.set(memory.load.data, drawn[turn + 1][min(k, words - 1)])
                read.append(ctx.get(memory.data))
                await ctx.tick()
            read.append(ctx.get(memory.data))
            assert read[2 : words + 2] == drawn[turn]

    run(memory, bench)
