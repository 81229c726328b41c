# amaranth: UnusedElaboratable=no
"""The output FIFO against a queue."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import signed
from bench import elaborated, run

from sterna.hw.parts.fifo import FIFO_LATENCY, ResultFifo


@pytest.mark.parametrize("depth", [2, 4, 16])
@pytest.mark.parametrize(("writing", "reading"), [(0.5, 0.5), (0.9, 0.6), (0.3, 0.9), (1.0, 1.0), (1.0, 0.0)])
def test_nothing_is_lost_or_repeated(depth: int, writing: float, reading: float) -> None:
    fifo = ResultFifo(shape=signed(9), depth=depth)
    storage = elaborated(fifo).submodules.storage
    (write,), (read,) = storage.write_ports, storage.read_ports
    coin = np.random.default_rng(depth)

    async def bench(ctx: Any) -> None:
        held: deque[tuple[int, int]] = deque()
        level, number, gone = 0, 0, -1
        for cycle in range(400):
            reads = bool(coin.random() < reading)
            writes = level < depth and bool(coin.random() < writing)
            ctx.set(fifo.i_valid, writes)
            ctx.set(fifo.i_data, number - 200 if writes else -1)
            ctx.set(fifo.o.ready, reads)
            assert ctx.get(fifo.level) == level
            assert not (writes and ctx.get(read.en) and ctx.get(write.addr) == ctx.get(read.addr))
            offered = bool(held) and cycle >= max(held[0][0] + FIFO_LATENCY, gone + 1)
            assert ctx.get(fifo.o.valid) == offered
            moves = level > 0 and (reads or not offered)
            if offered:
                assert ctx.get(fifo.o.payload) == held[0][1]
                if reads:
                    held.popleft()
                    gone = cycle
            if writes:
                held.append((cycle, number - 200))
                number += 1
            level += writes - moves
            await ctx.tick()

    run(fifo, bench)


def test_one_result_a_cycle() -> None:
    fifo = ResultFifo(shape=signed(9), depth=4)

    async def bench(ctx: Any) -> None:
        ctx.set(fifo.o.ready, 1)
        ctx.set(fifo.i_valid, 1)
        for cycle in range(50):
            ctx.set(fifo.i_data, cycle)
            assert ctx.get(fifo.o.valid) == (cycle >= FIFO_LATENCY)
            if cycle >= FIFO_LATENCY:
                assert ctx.get(fifo.o.payload) == cycle - FIFO_LATENCY
            await ctx.tick()

    run(fifo, bench)


@pytest.mark.parametrize("depth", [-2, 0, 1, 3, 12])
def test_depth_out_of_range(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"^depth must be a power of two above 1, not {depth}$"):
        ResultFifo(shape=signed(3), depth=depth)
