"""Lanes for a device: nothing that fits is faster, what is recorded is what was found, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from bench import U4
from fitted import budget, dense, maps

from sterna.hw import (
    AcceleratorConfig,
    AcceleratorPlan,
    DeviceTooSmall,
    Fit,
    fit_device,
    plan_accelerator,
)
from sterna.hw.emit.verilog import emit_verilog
from sterna.hw.fit import search
from sterna.hw.fit.estimate import MARGIN, ROUTABLE_SLOTS, Budget, Use, estimate_all
from sterna.hw.fit.search import ESCAPE_PRICES, PRECISION
from sterna.hw.fit.table import rows
from sterna.net import Linear, Network, load

MODEL = Path(__file__).parents[3] / "models" / "mnist-mlp-98.safetensors"


def fits(fit: Fit) -> bool:
    return not fit.budget.missing(estimate_all(fit.plan.units, fit.budget.family))


NETWORKS = {"dense": dense(40, 60, 50, 10), "maps": maps()}
CASES = [(name, what) for name in NETWORKS for what in ("logic slots", "RAM blocks")]


def use_of(network: Network, config: AcceleratorConfig) -> Use:
    return estimate_all(plan_accelerator(network, config).units, "iCE40")


@cache
def tight(name: str, what: str) -> Fit:
    """A fit to a device that has of something a little more than the design with the fewest lanes takes up."""
    most, least = (use_of(NETWORKS[name], AcceleratorConfig(lanes=lanes)) for lanes in (None, 1))
    slots = least.slots + (most.slots - least.slots) / 4
    ram_blocks = (most.ram_blocks + least.ram_blocks) // 2
    sizes = {"slots": int(slots / MARGIN)} if what == "logic slots" else {"ram_blocks": ram_blocks}
    return fit_device(NETWORKS[name], budget(**sizes))


@pytest.mark.parametrize(("name", "what"), CASES)
def test_nothing_faster_fits(name: str, what: str) -> None:
    fit = tight(name, what)
    assert fits(fit)
    assert fit.limit == what
    least = max(unit.work.interval for unit in plan_accelerator(NETWORKS[name], AcceleratorConfig()).units)
    slower = np.linspace(least, fit.cycles / PRECISION, 6, endpoint=False)
    assert slower[-1] > least
    for cycles, price in product(slower.astype(int).tolist(), ESCAPE_PRICES):
        plan = plan_accelerator(NETWORKS[name], AcceleratorConfig(cycles=cycles, escape_price=price))
        assert fit.budget.missing(estimate_all(plan.units, "iCE40")), cycles


@pytest.mark.parametrize(("name", "what"), CASES)
def test_what_is_recorded_is_what_was_found(name: str, what: str) -> None:
    fit = tight(name, what)
    assert isinstance(fit.config.lanes, tuple)
    again = plan_accelerator(NETWORKS[name], fit.config)
    assert [unit.lanes for unit in again.units if unit.lanes] == list(fit.config.lanes)
    assert emit_verilog(again) == emit_verilog(fit.plan)


def test_where_there_is_room_lanes_are_those_without_a_device() -> None:
    network = NETWORKS["dense"]
    fit = fit_device(network, budget())
    plain = plan_accelerator(network, AcceleratorConfig())
    assert [unit.lanes for unit in fit.plan.units] == [unit.lanes for unit in plain.units]
    assert fit.limit == "its results or its input beats"


def test_escapes_are_chosen_by_what_the_device_has() -> None:
    """With escapes, this network's index words take fewer blocks; without them, less logic."""
    network, most = load(MODEL), AcceleratorConfig(cycles=800)
    escapes, plain = (
        use_of(network, replace(most, escape_price=price)) for price in (ESCAPE_PRICES[0], ESCAPE_PRICES[-1])
    )
    assert escapes.ram_blocks < plain.ram_blocks
    assert escapes.slots > plain.slots
    few_blocks = fit_device(network, budget(ram_blocks=escapes.ram_blocks))
    little_logic = fit_device(network, budget(slots=int(plain.slots / MARGIN) + 1))
    assert few_blocks.config.escape_price == ESCAPE_PRICES[0]
    assert any(unit.describe()["escapes"] for unit in few_blocks.plan.units)
    assert not any(unit.describe()["escapes"] for unit in little_logic.plan.units)


def test_given_prices_alone_are_tried() -> None:
    fit = fit_device(NETWORKS["dense"], budget(), escape_prices=(7,))
    assert fit.config.escape_price == 7


def test_a_device_that_is_too_small() -> None:
    with pytest.raises(
        DeviceTooSmall,
        match=r"^small does not fit in some even with the fewest lanes: it needs [1-9]\d* RAM blocks \(of 2\)$",
    ):
        fit_device(NETWORKS["dense"], budget(ram_blocks=2))


def test_a_rate_fits_or_does_not() -> None:
    config = AcceleratorConfig(fps=1e6 / 100, clock_hz=1e6)
    fit = fit_device(NETWORKS["dense"], budget(), config)
    assert fit.config == replace(config, escape_price=fit.config.escape_price)
    assert fit.cycles <= 100
    with pytest.raises(
        DeviceTooSmall, match=r"^small at 10000 frames/s does not fit in some: it needs about [\d,]+ log"
    ):
        fit_device(NETWORKS["dense"], budget(slots=900), config)


@pytest.mark.parametrize("fields", [{"lanes": 2}, {"cycles": 100}])
def test_lanes_are_given_or_fitted(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"^give lanes or a device to fit, not both$"):
        fit_device(NETWORKS["dense"], budget(), AcceleratorConfig(**fields))


def test_the_table_says_what_limits_each_layer() -> None:
    assert [row.limit for row in rows(fit_device(dense(60, 10, 4), budget()))] == ["input beats", ""]
    assert [row.limit for row in rows(fit_device(dense(8, 40, 4, zeros=0.5), budget()))] == ["results", "input beats"]
    narrow = tight("maps", "RAM blocks")
    conv, pool, fc = rows(narrow)
    assert {row.limit for row in (conv, pool, fc)} == {"", "RAM blocks"}
    assert conv.adds == np.count_nonzero(NETWORKS["maps"].nodes[0].weights) * 10 * 10
    assert conv.utilization == pytest.approx(conv.adds / (conv.lanes * narrow.cycles))
    assert (pool.lanes, pool.adds, pool.utilization, pool.index_bits) == (0, 0, None, 0)
    assert sum(row.ram_blocks for row in (conv, pool, fc)) == narrow.use.ram_blocks
    assert fc.index_bits == narrow.plan.units[2].describe()["index_bits"]


def test_a_layer_that_cannot_use_more_lanes() -> None:
    """Two rows of 600 weights, in beats of 64: as many lanes as rows."""
    ones = Network(
        input_shape=(600,),
        input_type=U4,
        input_scale=1.0,
        nodes=[Linear(name="fc", weights=np.ones((2, 600), np.int8))],
    )
    fit = fit_device(ones, budget(), AcceleratorConfig(elements_per_beat=64))
    assert [(row.lanes, row.limit) for row in rows(fit)] == [(2, "lanes")]


def test_prices_are_tried_where_they_may_help(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[AcceleratorConfig] = []

    def counted(network: Network, config: AcceleratorConfig) -> AcceleratorPlan:
        tried.append(config)
        return plan_accelerator(network, config)

    monkeypatch.setattr(search, "plan_accelerator", counted)
    with pytest.raises(DeviceTooSmall):
        fit_device(NETWORKS["maps"], budget(ram_blocks=1))
    prices = [config.escape_price for config in tried]
    # cycles that nothing can beat; for these, far too much with one price; with the fewest lanes, all
    assert prices == [ESCAPE_PRICES[0], ESCAPE_PRICES[0], *ESCAPE_PRICES]


def test_the_last_speed_is_given_up_where_it_is_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many devices: never slower by more than 5 %, and only for a tenth of the logic of a device half full."""
    network = NETWORKS["maps"]
    most, least = (use_of(network, AcceleratorConfig(lanes=lanes)).slots for lanes in (None, 1))
    given_up = 0
    for slots in np.linspace(least, most, 12):
        device = budget(slots=int(slots / MARGIN) + 1)
        chosen = fit_device(network, device)
        with monkeypatch.context() as patch:
            patch.setattr(search, "COST", float("inf"))
            fastest = fit_device(network, device)
        if chosen.config != fastest.config:
            given_up += 1
            assert fastest.cycles < chosen.cycles <= 1.05 * fastest.cycles
            assert chosen.use.slots * 1.1 <= fastest.use.slots
            assert fastest.use.slots > 0.5 * device.routable
        else:
            assert chosen.cycles == fastest.cycles
    assert given_up


def test_no_more_slots_than_can_be_routed() -> None:
    large = Budget(device="large", family="ECP5", slots=83_640, flip_flops=83_640, ram_blocks=208)
    assert large.routable == ROUTABLE_SLOTS
    assert not large.missing(Use(slots=ROUTABLE_SLOTS))
    assert large.missing(Use(slots=40_000)) == "about 40,000 logic slots (43% of 83,640 can be routed)"
    assert large.shares(Use(slots=18_000))["logic slots"] == 0.5
