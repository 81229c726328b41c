"""The ring of rows, part by part: slots, and what is counted before a row may be computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from bench import run

from sterna.hw.units.conv.geometry import Geometry
from sterna.hw.units.conv.rows import RowControl, RowPlace, turned

GEOMETRIES = [
    Geometry(height=height, width=4, kernel=(kernel, 3), stride=(stride, 1), padding=(padding, 1))
    for height, kernel, stride, padding in [
        (1, 1, 1, 0),
        (1, 3, 1, 1),
        (2, 2, 1, 4),
        (5, 3, 1, 0),
        (5, 3, 1, 1),
        (6, 2, 2, 0),
        (7, 2, 3, 1),
        (4, 4, 1, 0),
        (3, 5, 2, 2),
    ]
]


@pytest.mark.parametrize("slots", range(1, 10))
def test_slots_go_around(slots: int) -> None:
    m = Module()
    slot, by = Signal(range(slots)), Signal(range(slots))
    result = turned(m, slot, by, slots, "moved")

    async def bench(ctx: Any) -> None:
        for k in range(slots):
            for step in range(slots):
                ctx.set(slot, k)
                ctx.set(by, step)
                assert ctx.get(result) == (k + step) % slots

    run(m, bench)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.height}-{g.kernel[0]}-{g.stride[0]}-{g.padding[0]}")
def test_places_of_the_kernels_rows(geometry: Geometry) -> None:
    """Rows of frames that follow each other lie in the ring one after the other."""
    place = RowPlace(geometry=geometry, slots=geometry.slots)

    async def bench(ctx: Any) -> None:
        for frame in range(9):
            for row in range(geometry.rows):
                top = frame * geometry.height + geometry.top(row)
                assert ctx.get(place.base) == top % geometry.slots
                inside = [0 <= geometry.top(row) + k < geometry.height for k in range(geometry.kernel[0])]
                assert [bool(ctx.get(place.valid) >> k & 1) for k in range(geometry.kernel[0])] == inside
                await ctx.tick()
                assert ctx.get(place.base) == top % geometry.slots  # until the row's last step
                ctx.set(place.next, 1)
                await ctx.tick()
                ctx.set(place.next, 0)

    run(place, bench)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.height}-{g.kernel[0]}-{g.stride[0]}-{g.padding[0]}")
@pytest.mark.parametrize("eager", [0.2, 0.6, 1.0])
def test_rows_are_counted(geometry: Geometry, eager: float) -> None:
    """Against sets: a row comes while there is room, an output row is begun once all its rows are there."""
    control = RowControl(geometry=geometry, slots=geometry.slots)
    coin = np.random.default_rng(geometry.height)

    async def bench(ctx: Any) -> None:
        come = freed = done = 0
        ready = False  # what is there since the cycle before
        for _ in range(400):
            assert ctx.get(control.full) == (come - freed == geometry.slots)
            assert ctx.get(control.waiting) == ready
            complete = come - freed < geometry.slots and bool(coin.random() < eager)
            begun = ready and bool(coin.random() < 0.7)
            ctx.set(control.complete, complete)
            ctx.set(control.begun, begun)
            stock, row = come - freed, done % geometry.rows
            if begun:
                done += 1
                ready = stock - geometry.freed(row) >= geometry.stock(done % geometry.rows)
                freed += geometry.freed(row)
            else:
                ready = stock >= geometry.stock(row)
            come += complete
            await ctx.tick()
        assert done > geometry.rows

    run(control, bench)
