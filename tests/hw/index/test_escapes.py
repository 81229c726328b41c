"""A group's escapes: each once, in order, frame after frame, whatever the pauses, and from the first after a reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain
from bench import run

from sterna.hw.index.escapes import READ_AHEAD, Escapes
from sterna.hw.index.walk import WordFormat
from sterna.hw.parts.rom import BLOCK_DEPTH

FORMATS = [
    WordFormat(lanes=4, run_width=run_width, escape_width=escape_width)
    for run_width, escape_width in [(1, 2), (2, 2), (3, 2), (3, 4), (6, 3), (6, 5)]
]


def meaning(fmt: WordFormat, entry: int) -> tuple[int, int]:
    """(high, filler) of an entry: the value that has its bits, from ``mark - 1`` on."""
    (high,) = (v for v in range(fmt.mark - 1, fmt.mark - 1 + (1 << fmt.escape_width)) if fmt.escape(v) == entry)
    return high, int(high == fmt.mark - 1)


def handed_out(
    fmt: WordFormat, entries: list[int], takes: Callable[[int], bool], *, cycles: int
) -> list[tuple[int, int]]:
    """What is taken, from the first cycle on in which there must be an entry."""
    escapes = Escapes(word_format=fmt, entries=entries)
    taken: list[tuple[int, int]] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(cycles):
            take = cycle >= READ_AHEAD and takes(cycle)
            ctx.set(escapes.take, take)
            if take:
                taken.append((ctx.get(escapes.high), ctx.get(escapes.filler)))
            await ctx.tick()

    run(escapes, bench)
    return taken


def expected(fmt: WordFormat, entries: list[int], count: int) -> list[tuple[int, int]]:
    return [meaning(fmt, entries[k % len(entries)]) for k in range(count)]


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: f"{fmt.run_width} {fmt.escape_width}")
def test_every_entry_means_what_it_says(fmt: WordFormat) -> None:
    entries = list(range(1 << fmt.escape_width))
    taken = handed_out(fmt, entries, lambda cycle: True, cycles=READ_AHEAD + 2 * len(entries))
    assert taken == expected(fmt, entries, 2 * len(entries))
    assert sum(filler for _, filler in taken) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, BLOCK_DEPTH, BLOCK_DEPTH + 1])
@pytest.mark.parametrize("pace", [0.1, 0.5, 0.9, 1.0])
def test_whatever_the_pauses(count: int, pace: float) -> None:
    fmt = WordFormat(lanes=2, run_width=5, escape_width=5)
    coin = np.random.default_rng(count)
    entries = coin.integers(0, 32, count).tolist()
    taken = handed_out(fmt, entries, lambda cycle: bool(coin.random() < pace), cycles=300)
    assert len(taken) > 15
    assert taken == expected(fmt, entries, len(taken))


def test_nothing_changes_while_nothing_is_taken() -> None:
    fmt = WordFormat(lanes=2, run_width=4, escape_width=3)
    entries = [5, 1, 6, 2]
    for pause in range(12):
        taken = handed_out(fmt, entries, [cycle % (pause + 1) == pause for cycle in range(200)].__getitem__, cycles=200)
        assert taken == expected(fmt, entries, len(taken))


def test_bursts() -> None:
    fmt = WordFormat(lanes=2, run_width=4, escape_width=3)
    entries = [5, 1, 6, 2, 7]
    for burst in range(1, 7):
        taken = handed_out(fmt, entries, [cycle // burst % 2 == 0 for cycle in range(100)].__getitem__, cycles=100)
        assert taken == expected(fmt, entries, len(taken))


def test_a_group_that_never_escapes() -> None:
    handed_out(WordFormat(lanes=2, run_width=4, escape_width=3), [], lambda cycle: False, cycles=20)


@pytest.mark.parametrize("seed", range(4))
def test_a_reset_begins_with_the_first(seed: int) -> None:
    fmt = WordFormat(lanes=2, run_width=4, escape_width=4)
    coin = np.random.default_rng(seed)
    entries = coin.permutation(16).tolist()
    escapes = Escapes(word_format=fmt, entries=entries)
    domain = ClockDomain("sync")

    async def bench(ctx: Any) -> None:
        for _ in range(12):
            taken = 0
            for cycle in range(int(coin.integers(1, 60))):
                take = cycle >= READ_AHEAD and bool(coin.random() < 0.7)
                ctx.set(escapes.take, take)
                if take:
                    assert (ctx.get(escapes.high), ctx.get(escapes.filler)) == meaning(fmt, entries[taken % 16])
                    taken += 1
                await ctx.tick()
            ctx.set(escapes.take, int(coin.random() < 0.5))
            ctx.set(domain.rst, 1)
            for _ in range(int(coin.integers(1, 3))):
                await ctx.tick()
            ctx.set(domain.rst, 0)

    run(escapes, bench, domain=domain)
