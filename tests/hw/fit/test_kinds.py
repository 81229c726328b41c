"""Kinds of units for a device: what is tried, and that the best of it is taken."""

from __future__ import annotations

import numpy as np
import pytest
from bench import U4, random_weights
from fitted import SHIFT, budget, dense, maps

from sterna.hw import AcceleratorConfig, DeviceTooSmall, fit_device, fit_kinds, plan_accelerator
from sterna.hw.fit import kinds
from sterna.hw.fit.kinds import combinations
from sterna.net import Conv2d, Flatten, Linear, Network
from sterna.net.errors import InvalidValueError

#: So that input beats are not what limits.
WIDE = AcceleratorConfig(elements_per_beat=40)


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


@pytest.mark.parametrize("slots", [2500, 4000, 40_000])
def test_nothing_that_fits_is_faster(slots: int) -> None:
    """Of all combinations, one after the other; the more a device holds, the faster the units that are chosen."""
    network, room = dense(40, 20, 10, zeros=0.7), budget(slots=slots, flip_flops=slots)
    chosen = fit_kinds(network, room, WIDE)
    assert max(room.shares(chosen.use).values()) <= 1
    for units in combinations(network):
        try:
            other = fit_device(network, room, AcceleratorConfig(elements_per_beat=40, units=units))
        except InvalidValueError:
            continue
        assert chosen.cycles <= other.cycles
    unrolled = chosen.config.units == {"fc1": "unrolled", "fc2": "unrolled"}
    assert unrolled == (slots == 40_000)
    assert chosen.cycles == 1 if unrolled else chosen.cycles > 1


def test_what_is_recorded_is_what_was_found() -> None:
    """Layers in one unit have lanes each."""
    network, room = dense(40, 20, 10, zeros=0.7), budget(slots=4000, flip_flops=4000)
    chosen = fit_kinds(network, room, WIDE)
    assert "bitserial" in chosen.config.units.values()
    again = plan_accelerator(network, chosen.config)
    assert [unit.describe() for unit in again.units] == [unit.describe() for unit in chosen.plan.units]


def test_the_smallest_for_a_rate() -> None:
    network, room = dense(40, 20, 10, zeros=0.7), budget(slots=40_000, flip_flops=40_000)
    chosen = fit_kinds(network, room, AcceleratorConfig(elements_per_beat=40, fps=1e6, clock_hz=20e6))
    assert chosen.cycles <= 20
    share = max(room.shares(chosen.use).values())
    reached = 0
    for units in combinations(network):
        config = AcceleratorConfig(elements_per_beat=40, fps=1e6, clock_hz=20e6, units=units)
        try:
            other = fit_device(network, room, config)
        except InvalidValueError:
            continue
        reached += 1
        assert share <= max(room.shares(other.use).values())
    assert reached > 1


def test_convolutions_by_pixel() -> None:
    """And folded ones where an input of several channels leaves no other."""
    chosen = fit_kinds(pixels(), budget(slots=40_000, flip_flops=40_000))
    assert chosen.config.units["conv"] in ("bitserial", "unrolled")
    assert chosen.cycles == 64  # a pixel a beat
    assert "conv" not in fit_kinds(maps(), budget(slots=40_000, flip_flops=40_000)).config.units


def test_what_cannot_be_better_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    network = dense(40, 20, 10)
    monkeypatch.setattr(kinds, "combinations", lambda network: iter([{"fc1": "unrolled", "fc2": "unrolled"}, {}]))
    assert fit_kinds(network, budget(), WIDE, progress=tried.append).cycles == 1
    assert tried == ["fc1 unrolled, fc2 unrolled"]


def test_a_device_that_is_too_small_for_all() -> None:
    with pytest.raises(DeviceTooSmall, match="does not fit in some even with the fewest lanes"):
        fit_kinds(dense(40, 20, 10), budget(slots=100, flip_flops=100), WIDE)


def test_units_are_given_or_chosen() -> None:
    config = AcceleratorConfig(units={"fc1": "bitserial"})
    with pytest.raises(ValueError, match=r"^give units or let them be chosen, not both$"):
        fit_kinds(dense(40, 20, 10), budget(), config)
