"""Stall patterns."""

from __future__ import annotations

import numpy as np
import pytest

from sterna.sim.stalls import BurstStall, PeriodicStall, RandomStall, Stall


def bits(stall: Stall, *, count: int = 20000, seed: int = 0) -> np.ndarray:
    return stall.cycles(count, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("stall", "share"),
    [
        (RandomStall(), 0.5),
        (RandomStall(share=0), 0.0),
        (RandomStall(share=0.9), 0.9),
        (BurstStall(free=10, stalled=30), 0.75),
        (BurstStall(free=1, stalled=1), 0.5),
        (PeriodicStall(period=5, stalled=4), 0.8),
    ],
)
def test_share(stall: Stall, share: float) -> None:
    stalled = bits(stall)
    assert stalled.shape == (20000,)
    assert stalled.dtype == bool
    assert stalled.mean() == pytest.approx(share, abs=0.03)


def test_seed() -> None:
    for stall in (RandomStall(), BurstStall()):
        np.testing.assert_array_equal(bits(stall, seed=4), bits(stall, seed=4))
        assert (bits(stall, seed=4) != bits(stall, seed=5)).any()


def test_bursts_have_their_lengths() -> None:
    stalled = bits(BurstStall(free=4, stalled=20))
    starts = np.count_nonzero(stalled[1:] & ~stalled[:-1])
    assert np.count_nonzero(stalled) / starts == pytest.approx(20, rel=0.1)
    assert np.count_nonzero(~stalled) / starts == pytest.approx(4, rel=0.1)


def test_period() -> None:
    stalled = bits(PeriodicStall(period=4, stalled=2, phase=1), count=9)
    assert "".join("01"[bit] for bit in stalled.astype(int)) == "011001100"


def test_some_cycle_is_free() -> None:
    assert not bits(RandomStall(share=0.999), count=3).all()
    assert not bits(BurstStall(free=1, stalled=10**6), count=3).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomStall(share=1.0), ValueError, "share must be at least 0 and below 1, not 1.0"),
        (lambda: RandomStall(share=-0.1), ValueError, "share must be at least 0 and below 1, not -0.1"),
        (lambda: RandomStall(share="half"), TypeError, "share must be a number, not 'half'"),
        (lambda: BurstStall(free=0), ValueError, "free must be a positive integer, not 0"),
        (lambda: BurstStall(stalled=1.5), TypeError, "stalled must be a positive integer, not 1.5"),
        (lambda: PeriodicStall(period=3, stalled=3), ValueError, "3 stalled cycles leave none free in a period of 3"),
        (lambda: PeriodicStall(period=3, phase=-1), ValueError, "phase must be a non-negative integer, not -1"),
    ],
)
def test_errors(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]
