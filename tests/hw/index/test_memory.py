"""Words of a schedule from the memory, and its banks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from bench import run

from sterna.hw.fit.memories import MEMORIES
from sterna.hw.index.memory import bank_depths, fetch_words
from sterna.hw.index.schedule import Schedule
from sterna.hw.units.memories import index_memories
from sterna.hw.units.protocol import MemoryUse


class Words(wiring.Component):
    """The memory of a schedule alone."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        super().__init__({"step": In(range(schedule.steps)), "word": Out(schedule.format.width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ticks = Signal()
        m.d.sync += ticks.eq(~ticks)
        m.d.comb += self.word.eq(fetch_words(m, self._schedule, self.step, image=None, load=None))
        return m


def schedule_of(steps: int, width: int) -> Schedule:
    """Random words: of a schedule, its memory knows no more."""
    words = [int(word) for word in np.random.default_rng(steps).integers(0, 1 << width, steps)]
    made = SimpleNamespace(steps=steps, format=SimpleNamespace(width=width), packed=lambda: words)
    return cast("Schedule", made)


@pytest.mark.parametrize("width", [3, 9, 20])
@pytest.mark.parametrize("steps", [1, 2, 2047, 2048, 2049, 2050, 4096, 4097, 5000])
def test_every_word_two_cycles_later(steps: int, width: int) -> None:
    schedule = schedule_of(steps, width)
    words, depths = schedule.packed(), bank_depths(schedule.steps)
    borders = [at + d for at in np.cumsum((0, *depths)) for d in (-2, -1, 0, 1) if 0 <= at + d < steps]
    asked = [*borders, *reversed(borders), *np.random.default_rng(1).integers(0, steps, 300), 0, 0]
    memory = Words(schedule)

    async def bench(ctx: Any) -> None:
        for k, step in enumerate(asked):
            ctx.set(memory.step, int(step))
            if k >= 2:
                assert ctx.get(memory.word) == words[asked[k - 2]], (k, asked[k - 2])
            await ctx.tick()

    run(memory, bench)


def test_a_full_bank_needs_no_multiplexer() -> None:
    """By the rules of Yosys, by which ``--fit`` counts; a memory of a word more needs one."""
    for family in ("ECP5", "iCE40"):
        for width in range(9, 80):
            one, more = (
                MEMORIES[family].place(MemoryUse(name="index", depth=depth, width=width, writable=False))
                for depth in (2048, 2049)
            )
            assert not one.parts["choice bit"]
            assert more.parts["choice bit"]


def test_banks_make_up_the_memory() -> None:
    for depth in (1, 2, 2047, 2048, 2049, 4095, 4096, 4097, 99999):
        *full, last = bank_depths(depth)
        assert sum(full) + last == depth
        assert set(full) <= {2048}
        assert 1 <= last <= 2048


def test_a_plan_lists_the_banks() -> None:
    for steps, names in ((2048, ["index"]), (2049, ["index_0"]), (2050, ["index_0", "index_1"])):
        listed = index_memories(schedule_of(steps, 18), None)
        assert [memory.name for memory in listed] == names
        assert sum(memory.depth for memory in listed) == steps - (steps == 2049)
