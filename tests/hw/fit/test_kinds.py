"""Kinds of units for a device: what is tried, and that the best of it is taken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from bench import U4, random_weights
from fitted import SHIFT, budget, dense, maps

from sterna.hw import AcceleratorConfig, DeviceTooSmall, fit_device, fit_kinds, plan_accelerator
from sterna.hw.fit import kinds
from sterna.hw.fit.kinds import combinations
from sterna.hw.sums import sharing
from sterna.net import Conv2d, Flatten, Linear, Network
from sterna.net.errors import InvalidValueError

NETWORK = dense(80, 30, 10, zeros=0.5)
#: So that input beats are not what limits.
WIDE = AcceleratorConfig(elements_per_beat=80)


def pixels() -> Network:
    """One input channel, so that convolutions may take it by pixel."""
    rng = np.random.default_rng(1)
    return Network(
        input_shape=(1, 8, 8),
        input_type=U4,
        input_scale=1.0,
        nodes=[
            Conv2d(name="conv", weights=random_weights(rng, 8, 9, 0.5).reshape(8, 1, 3, 3), requantize=SHIFT),
            Flatten(name="flatten"),
            Linear(name="fc", weights=random_weights(rng, 6, 8 * 36, 0.9)),
        ],
    )


def test_combinations() -> None:
    """Of each type of node, fast kinds before slow ones; none twice."""
    found = list(combinations(dense(40, 20, 10)))
    assert found == [
        {},
        {"fc1": "unrolled"},
        {"fc1": "bitserial"},
        {"fc1": "unrolled", "fc2": "unrolled"},
        {"fc1": "unrolled", "fc2": "bitserial"},
        {"fc1": "bitserial", "fc2": "bitserial"},
    ]
    mixed = list(combinations(pixels()))
    assert len(mixed) == 9
    assert mixed[0] == {}
    assert {"conv": "unrolled", "fc": "bitserial"} in mixed


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sums are shared greedily: it is the choice that is tested."""
    monkeypatch.setattr(sharing, "_CHANGES", 0)
    sharing._shared.cache_clear()
    yield
    sharing._shared.cache_clear()


@pytest.mark.parametrize("slots", [3_000, 5_000, 12_000])
def test_nothing_that_fits_is_faster(slots: int) -> None:
    """Of all combinations, one after the other; the more a device holds, the faster the units that are chosen."""
    room = budget(slots=slots, flip_flops=slots)
    chosen = fit_kinds(NETWORK, room, WIDE)
    assert max(room.shares(chosen.use).values()) <= 1
    others = 0
    for units in combinations(NETWORK):
        try:
            other = fit_device(NETWORK, room, replace(WIDE, units=units))
        except InvalidValueError:
            continue
        others += 1
        assert chosen.cycles <= other.cycles
    kinds = list(chosen.config.units.values())
    assert (slots, kinds) in [(3_000, []), (5_000, ["bitserial", "bitserial"]), (12_000, ["unrolled", "unrolled"])]
    assert (others == len(list(combinations(NETWORK)))) == (slots == 12_000)


def test_what_is_recorded_is_what_was_found() -> None:
    """Layers in one unit have lanes each."""
    chosen = fit_kinds(NETWORK, budget(slots=5_000, flip_flops=5_000), WIDE)
    assert chosen.config.lanes is not None
    assert len(list(chosen.config.lanes)) == 2  # type: ignore[arg-type]  # of each layer
    again = plan_accelerator(NETWORK, chosen.config)
    assert [unit.describe() for unit in again.units] == [unit.describe() for unit in chosen.plan.units]


@pytest.mark.parametrize(
    ("frames", "kinds"), [(2_500, []), (100_000, ["bitserial", "bitserial"]), (10**6, ["unrolled"] * 2)]
)
def test_the_smallest_for_a_rate(frames: int, kinds: list[str]) -> None:
    """At 1 MHz: of all that reach it."""
    room, wanted = budget(slots=40_000, flip_flops=40_000), replace(WIDE, fps=frames, clock_hz=1e6)
    chosen = fit_kinds(NETWORK, room, wanted)
    assert chosen.cycles <= 1e6 / frames
    assert list(chosen.config.units.values()) == kinds
    share = max(room.shares(chosen.use).values())
    for units in combinations(NETWORK):
        try:
            other = fit_device(NETWORK, room, replace(wanted, units=units))
        except InvalidValueError:
            continue
        assert share <= max(room.shares(other.use).values())


def test_a_rate_that_nothing_reaches() -> None:
    with pytest.raises(InvalidValueError, match="leave 0 cycles a frame"):
        fit_kinds(NETWORK, budget(), replace(WIDE, fps=2e6, clock_hz=1e6))


def test_convolutions_by_pixel() -> None:
    """And folded ones where an input of several channels leaves no other."""
    small = budget(slots=2_000, flip_flops=2_000)
    chosen = fit_kinds(pixels(), small)
    assert chosen.config.units["conv"] == "unrolled"
    assert chosen.cycles == 64 < fit_device(pixels(), small).cycles  # a pixel a beat
    assert "conv" not in fit_kinds(maps(), budget(slots=40_000, flip_flops=40_000)).config.units


def test_what_cannot_be_better_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(kinds, "combinations", lambda network: iter([{"fc1": "unrolled", "fc2": "unrolled"}, {}]))
    assert fit_kinds(NETWORK, budget(), WIDE, progress=tried.append).cycles == 1
    assert tried == ["fc1 unrolled, fc2 unrolled"]


def test_a_device_that_is_too_small_for_all() -> None:
    with pytest.raises(DeviceTooSmall, match="does not fit in some even with the fewest lanes"):
        fit_kinds(NETWORK, budget(slots=100, flip_flops=100), WIDE)


def test_units_are_given_or_chosen() -> None:
    config = AcceleratorConfig(units={"fc1": "bitserial"})
    with pytest.raises(ValueError, match=r"^give units or let them be chosen, not both$"):
        fit_kinds(NETWORK, budget(), config)
