"""The fork: each reader gets every beat once, in order, whatever the others do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import unsigned
from bench import run

from sterna.hw.parts.fork import Fork


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("ready", [1.0, 0.6, 0.2])
@pytest.mark.parametrize("valid", [1.0, 0.5])
def test_every_reader_gets_every_beat(count: int, ready: float, valid: float) -> None:
    rng = np.random.default_rng(count)
    fork = Fork(shape=unsigned(8), count=count)
    outputs = [getattr(fork, f"o_{k}") for k in range(count)]
    beats = rng.integers(0, 256, 60).tolist()
    got: list[list[int]] = [[] for _ in outputs]
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        sent, offered = 0, False
        waiting = [False] * count
        while sent < len(beats):
            offered = offered or bool(rng.random() < valid)
            ctx.set(fork.i.valid, offered)
            ctx.set(fork.i.payload, beats[sent] if offered else 255)
            takes = [bool(rng.random() < ready) for _ in outputs]
            for o, take in zip(outputs, takes, strict=True):
                ctx.set(o.ready, take)
            for k, (o, take) in enumerate(zip(outputs, takes, strict=True)):
                assert ctx.get(o.valid) or not waiting[k], "an offer is taken back"
                waiting[k] = bool(ctx.get(o.valid)) and not take
                if ctx.get(o.valid) and take:
                    got[k].append(ctx.get(o.payload))
            accepted = offered and ctx.get(fork.i.ready)
            await ctx.tick()
            cycles += 1
            if accepted:
                sent, offered = sent + 1, False

    run(fork, bench)
    assert got == [beats] * count
    assert cycles == len(beats) or min(ready, valid) < 1
