"""The loader's frames, against a model in plain Python."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from bench import run

from sterna.hw.index.columns import Window
from sterna.hw.units.dense.loader import Loader
from sterna.hw.units.dense.pipeline import LOAD_LATENCY

PLAIN = Window(address_width=3, offset=3, elements=1, stride=1, live=(True,) * 5)
ONE_BEAT = Window(address_width=2, offset=0, elements=4, stride=1, live=(True,))
PAIRS = Window(address_width=4, offset=6, elements=2, stride=1, live=(True,) * 5)
STRIDED = Window(address_width=4, offset=4, elements=1, stride=5, live=(True,) * 12)
GAPS = Window(
    address_width=4, offset=8, elements=2, stride=3, live=(False, True, True, False, False, True, False, True)
)
WINDOWS = [PLAIN, ONE_BEAT, PAIRS, STRIDED, GAPS]


@dataclass
class Model:
    """What a loader must do with the beats that it takes."""

    window: Window
    framed: bool
    beat: int = 0
    bank: int = 0
    skipping: bool = False
    error: bool = False
    complete: int = 0
    writes: deque[tuple[int, int] | None] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """At first, code 0 goes to the vacant position, in either bank."""
        vacant = self.window.vacant // self.window.elements
        self.writes.extend([(0, vacant), (1, vacant)] if self.window.vacant >= 0 else [None, None])
        self.writes.extend([None] * (LOAD_LATENCY - 2))

    def step(self, taken: bool, last: bool) -> tuple[int, int] | None:
        """One cycle; gives the write, (bank, word), of the beat taken ``LOAD_LATENCY`` cycles before."""
        write, self.error = None, False
        if taken and self.skipping:
            self.skipping = not last
        elif taken:
            words = self.window.positions()[:: self.window.elements]
            if words[self.beat] >= 0:
                write = (self.bank, int(words[self.beat]) // self.window.elements)
            at_end = self.beat == len(self.window.live) - 1
            last = last if self.framed else at_end
            self.error = at_end != last
            self.skipping = at_end and not last
            self.beat = 0 if at_end or last else self.beat + 1
            if at_end and last:
                self.bank ^= 1
                self.complete += 1
        self.writes.append(write)
        return self.writes.popleft()


def load(
    window: Window, *, framed: bool, lasts: list[bool], cycles: int, seed: int, hold: int = 0, pace: float = 0.5
) -> tuple[int, int]:
    """Sends beats with the given ``last`` flags, computes frames at random; gives the frames begun and the errors.

    A frame is begun at random once it waits, the first one no earlier than in cycle ``hold``.
    """
    loader = Loader(window=window, framed=framed)
    model = Model(window, framed)
    coin = np.random.default_rng(seed)
    counts = {"begun": 0, "errors": 0}

    async def bench(ctx: Any) -> None:
        sent, waiting, error = 0, 0, False
        offered = False
        for cycle in range(cycles):
            offered = offered or (sent < len(lasts) and bool(coin.random() < pace))
            begun = waiting > 0 and cycle >= hold and bool(coin.random() < 0.3)
            ctx.set(loader.valid, offered)
            ctx.set(loader.last, lasts[sent] if sent < len(lasts) else 0)
            ctx.set(loader.begun, begun)
            assert ctx.get(loader.waiting) == (waiting > 0)
            assert ctx.get(loader.ready) == (waiting < 2 or model.skipping)
            assert ctx.get(loader.error) == error
            counts["errors"] += error
            taken = offered and bool(ctx.get(loader.ready))
            before = model.complete
            written = (ctx.get(loader.bank), ctx.get(loader.address)) if ctx.get(loader.write) else None
            assert model.step(taken, lasts[sent] if sent < len(lasts) else False) == written
            error = model.error
            if taken:
                sent, offered = sent + 1, False
            if begun:
                counts["begun"] += 1
            waiting += model.complete - before - begun
            assert 0 <= waiting <= 2
            await ctx.tick()

    run(loader, bench)
    return counts["begun"], counts["errors"]


def frame(beats: int) -> list[bool]:
    return [False] * (beats - 1) + [True]


@pytest.mark.parametrize("window", WINDOWS, ids=["plain", "one", "pairs", "strided", "gaps"])
@pytest.mark.parametrize("pace", [0.4, 1.0])
@pytest.mark.parametrize("framed", [False, True])
def test_good_frames(window: Window, framed: bool, pace: float) -> None:
    lasts = frame(len(window.live)) * 7
    assert load(window, framed=framed, lasts=lasts, cycles=400, seed=1, pace=pace) == (7, 0)


@pytest.mark.parametrize("window", WINDOWS, ids=["plain", "one", "pairs", "strided", "gaps"])
@pytest.mark.parametrize("seed", range(3))
def test_last_anywhere(window: Window, seed: int) -> None:
    coin = np.random.default_rng(seed)
    beats = len(window.live)
    lasts = [bool(coin.random() < 0.4) if k % 3 == 0 else k % beats == beats - 1 for k in range(120)]
    begun, errors = load(window, framed=True, lasts=lasts, cycles=700, seed=seed, pace=0.9)
    assert begun > 0
    assert errors > 0


@pytest.mark.parametrize(
    ("bad", "errors"),
    [
        (frame(4), 1),  # early
        (frame(1), 1),
        (frame(3) + frame(2), 2),
        (frame(6), 1),  # late, by one
        (frame(9), 1),
        (frame(10), 1),  # missing: two frames look like one
        (frame(17), 1),
        (frame(10) + frame(1), 2),  # one more behind a frame that was too long
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_only_the_bad_frame_is_dropped(bad: list[bool], errors: int, place: int) -> None:
    lasts = frame(5) * place + bad + frame(5) * (4 - place)
    assert load(PLAIN, framed=True, lasts=lasts, cycles=300, seed=place) == (4, errors)


def test_a_bad_frame_is_dropped_while_both_buffers_are_in_use() -> None:
    """Only beats that a free buffer could take are looked at; those to be skipped need none."""
    lasts = frame(5) + frame(5) + frame(12) + frame(5)
    assert load(PLAIN, framed=True, lasts=lasts, cycles=600, seed=2, hold=60, pace=1.0) == (3, 1)


def test_where_nothing_is_framed_last_means_nothing() -> None:
    assert load(PLAIN, framed=False, lasts=[True, False, True] * 5, cycles=200, seed=3) == (3, 0)
