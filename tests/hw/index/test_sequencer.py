"""The program counter, against a model in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bench import run

from sterna.hw.index.sequencer import Sequencer


@pytest.mark.parametrize(("steps", "entry"), [(1, 1), (2, 1), (2, 2), (5, 1), (5, 3), (5, 5), (8, 2)])
@pytest.mark.parametrize("stall", [0.0, 0.5])
def test_sequencer(steps: int, entry: int, stall: float) -> None:
    sequencer = Sequencer(steps=steps, entry=entry)
    coin = np.random.default_rng(steps)

    async def bench(ctx: Any) -> None:
        step = 0
        for _ in range(120):
            waiting, stalled = bool(coin.random() < 0.8), bool(coin.random() < stall)
            ctx.set(sequencer.waiting, waiting)
            ctx.set(sequencer.stall, stalled)
            issue = waiting and not stalled
            assert ctx.get(sequencer.issue) == issue
            assert ctx.get(sequencer.step) == step
            assert ctx.get(sequencer.entering) == (step < entry)
            assert ctx.get(sequencer.last) == (step == steps - 1)
            step = (step + issue) % steps
            await ctx.tick()

    run(sequencer, bench)
