"""Words that are loaded: byte by byte into memories with one port, whatever lengths and resets come between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from bench import run

from sterna.hw.parts.load_port import SETTLED, LoadPort
from sterna.hw.parts.loadable import LoadableMemory, MemoryImage


def image(words: int, width: int, seed: int = 0) -> MemoryImage:
    """Random words, the first of which is all ones."""
    drawn = np.random.default_rng([seed, words, width]).integers(0, 1 << width, words)
    return MemoryImage(width=width, words=((1 << width) - 1, *(int(word) for word in drawn[1:])))


SIZES = {
    "one word": [(1, 5)],
    "one bit": [(9, 1)],
    "a byte": [(7, 8)],
    "two bytes": [(5, 9)],
    "three memories": [(3, 4), (5, 18), (2, 16)],
    "all of one size": [(4, 12), (4, 12)],
    "small behind large": [(6, 33), (1, 1), (3, 2)],
}


class Loaded(wiring.Component):
    """A port and its memories, read at one address."""

    def __init__(self, images: list[MemoryImage]) -> None:
        self.port = LoadPort(images=images)
        self.memories = [LoadableMemory(each) for each in images]
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.port = self.port
        for number, memory in enumerate(self.memories):
            m.submodules[f"memory_{number}"] = memory
            wiring.connect(m, self.port.memory(number), memory.load)
        return m


async def send(ctx: Any, dut: Loaded, content: bytes, *, last: bool = True, pause: Any = lambda: False) -> int:
    """Sends bytes, the last of them with ``i_last``; counts the cycles in which an error is told."""
    errors = 0
    for k, byte in enumerate(content):
        while pause():
            ctx.set(dut.port.i.valid, 0)
            errors += (await ctx.tick().sample(dut.port.error))[2]
        ctx.set(dut.port.i.valid, 1)
        ctx.set(dut.port.i.payload, byte)
        ctx.set(dut.port.i_last, last and k == len(content) - 1)
        ready = False
        while not ready:
            ready, error = (await ctx.tick().sample(dut.port.i.ready, dut.port.error))[2:]
            errors += error
    ctx.set(dut.port.i.valid, 0)
    ctx.set(dut.port.i_last, 0)
    return errors


async def settle(ctx: Any, dut: Loaded) -> int:
    """As many cycles as it takes until nothing changes any more; counts errors."""
    return sum([(await ctx.tick().sample(dut.port.error))[2] for _ in range(SETTLED + 2)])


async def check_words(ctx: Any, dut: Loaded, images: list[MemoryImage]) -> None:
    """Every word of every memory, a cycle after its address."""
    for memory, each in zip(dut.memories, images, strict=True):
        for address, word in enumerate(each.words):
            ctx.set(memory.address, address)
            await ctx.tick()
            assert ctx.get(memory.data) == word


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("pauses", [0.0, 0.6])
def test_all_words_come_where_they_belong(sizes: list[tuple[int, int]], pauses: float) -> None:
    """Twice, with other words the second time."""
    first, second = ([image(*size, seed) for size in sizes] for seed in range(2))
    dut, coin = Loaded(first), np.random.default_rng(5)

    async def bench(ctx: Any) -> None:
        for images in (first, second):
            content = b"".join(each.to_bytes() for each in images)
            assert await send(ctx, dut, content, pause=lambda: coin.random() < pauses) == 0
            for _ in range(SETTLED):
                assert not ctx.get(dut.port.loaded)
                await ctx.tick()
            assert ctx.get(dut.port.loaded)
            await check_words(ctx, dut, images)

    run(dut, bench)


@pytest.mark.parametrize("sizes", [SIZES["three memories"], SIZES["a byte"]], ids=["three", "one"])
@pytest.mark.parametrize("length", ["1", "word", "memory", "short", "long", "twice"])
def test_a_load_of_a_wrong_length_counts_for_nothing(sizes: list[tuple[int, int]], length: str) -> None:
    """It is told once, whatever was there before is not loaded any more, and the next load is taken normally."""
    images = [image(*size) for size in sizes]
    content = b"".join(each.to_bytes() for each in images)
    wrong = {
        "1": content[:1],
        "word": content[: images[0].word_bytes],
        "memory": content[: len(images[0].to_bytes())] if len(images) > 1 else content[:-2],
        "short": content[:-1],
        "long": content + b"\0",
        "twice": content + content,
    }[length]
    dut = Loaded(images)

    async def bench(ctx: Any) -> None:
        for _ in range(2):
            assert await send(ctx, dut, wrong) + await settle(ctx, dut) == 1
            assert not ctx.get(dut.port.loaded)
            assert await send(ctx, dut, content) + await settle(ctx, dut) == 0
            assert ctx.get(dut.port.loaded)
            await check_words(ctx, dut, images)

    run(dut, bench)


def test_a_reset_keeps_the_words_and_cuts_a_load_short() -> None:
    images = [image(*size) for size in SIZES["three memories"]]
    content = b"".join(each.to_bytes() for each in images)
    domain, dut = ClockDomain("sync"), Loaded(images)

    async def reset(ctx: Any) -> None:
        ctx.set(domain.rst, 1)
        await ctx.tick()
        ctx.set(domain.rst, 0)
        await settle(ctx, dut)

    async def bench(ctx: Any) -> None:
        await send(ctx, dut, content)
        await settle(ctx, dut)
        await reset(ctx)
        assert ctx.get(dut.port.loaded)
        await check_words(ctx, dut, images)
        await send(ctx, dut, content[:5], last=False)
        await reset(ctx)
        assert not ctx.get(dut.port.loaded)
        assert await send(ctx, dut, content) + await settle(ctx, dut) == 0
        assert ctx.get(dut.port.loaded)

    run(dut, bench, domain=domain)


@pytest.mark.parametrize("before", range(4))
def test_a_reset_about_a_loads_end(before: int) -> None:
    """With its last byte, or some cycles before or behind: what is said to be loaded is there, to the last word."""
    first, second = ([image(*size, seed) for size in SIZES["three memories"]] for seed in range(2))
    old, new = (b"".join(each.to_bytes() for each in images) for images in (first, second))
    domain, dut = ClockDomain("sync"), Loaded(first)

    async def bench(ctx: Any) -> None:
        for offset in (before, -before):
            await send(ctx, dut, old)
            await settle(ctx, dut)
            await send(ctx, dut, new[:-1], last=False)
            while not ctx.get(dut.port.i.ready):
                await ctx.tick()
            for cycle in range(9):  # the last byte is there in cycle 4
                ctx.set(dut.port.i.valid, cycle == 4)
                ctx.set(dut.port.i.payload, new[-1])
                ctx.set(dut.port.i_last, cycle == 4)
                ctx.set(domain.rst, cycle == 4 + offset)
                await ctx.tick()
            ctx.set(dut.port.i_last, 0)
            await settle(ctx, dut)
            assert ctx.get(dut.port.loaded) == (offset >= 0)
            if ctx.get(dut.port.loaded):
                await check_words(ctx, dut, second)

    run(dut, bench, domain=domain)


def test_the_first_byte_ends_what_was_loaded() -> None:
    """Even where it is the whole load."""
    images = [image(1, 5)]
    dut = Loaded(images)

    async def bench(ctx: Any) -> None:
        for _ in range(2):
            await send(ctx, dut, images[0].to_bytes())
            assert not ctx.get(dut.port.loaded)
            await settle(ctx, dut)
            assert ctx.get(dut.port.loaded)

    run(dut, bench)


def test_reads_and_writes_share_a_port() -> None:
    """In a cycle of a write nothing is read: the word that was read last stands still."""
    memory = LoadableMemory(image(4, 7))

    async def bench(ctx: Any) -> None:
        ctx.set(memory.load.write, 1)
        for address in range(4):
            ctx.set(memory.load.address, address)
            ctx.set(memory.load.data, 10 + address)
            await ctx.tick()
        ctx.set(memory.load.write, 0)
        ctx.set(memory.address, 2)
        await ctx.tick()
        ctx.set(memory.address, 1)
        ctx.set(memory.load.write, 1)
        await ctx.tick()
        assert ctx.get(memory.data) == 12
        ctx.set(memory.load.write, 0)
        await ctx.tick()
        assert ctx.get(memory.data) == 11

    run(memory, bench)


def test_words_as_bytes() -> None:
    made = MemoryImage(width=18, words=(0x3FFFF, 1, 0x20103))
    assert made.word_bytes == 3
    assert made.to_bytes() == bytes([0xFF, 0xFF, 3, 1, 0, 0, 3, 1, 2])
