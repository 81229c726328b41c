"""What units are thought to take up, against what was measured; and what a budget says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fit_units import drawn

from sterna.hw import AcceleratorConfig, Budget, plan_accelerator
from sterna.hw.fit.estimate import Use, estimate, estimate_all
from sterna.hw.fit.memories import MEMORIES
from sterna.hw.fit.prices import PRICES
from sterna.net import load

ROOT = Path(__file__).parents[3]
FAMILIES = {"up5k": "iCE40", "25f": "ECP5"}


def budget(**fields: float) -> Budget:
    sizes = {"slots": 1000, "flip_flops": 1000, "ram_blocks": 10, **fields}
    return Budget(device="some", family="ECP5", **sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", list(PRICES))
def test_every_part_has_a_price(family: str) -> None:
    """All kinds of units, and all that a memory may become."""
    for case in drawn(
        {"dense": 8, "conv": 4, "pool": 4, "argmax": 1, "bitserial": 2, "unrolled": 2, "pixels": 2, "pixel pool": 1}
    ):
        use = estimate(case.unit, family)
        assert use.slots > 0
        assert (use.flip_flops > 0) == (family == "ECP5")
    for prices in PRICES[family].values():
        assert {"rom bit", "ram bit", "choice bit"} <= set(prices)
        assert ("distributed" in prices) == bool(MEMORIES[family].tables)
        assert min(prices.values()) >= 0


def test_a_routed_network_took_up_about_that() -> None:
    """Whole accelerators, which no price was fitted to: logic within a tenth, RAM blocks exactly."""
    result = json.loads((ROOT / "benchmarks" / "results" / "mnist_route.json").read_text())
    network = load(ROOT / "models" / f"{result['model']}.safetensors")
    for row in result["rows"]:
        config = AcceleratorConfig(
            lanes=row["lanes"],
            elements_per_beat=row["elements_per_beat"],
            escape_price=384 if row["escapes"] else 1 << 40,
        )
        use = estimate_all(plan_accelerator(network, config).units, FAMILIES[row["device"]])
        used = {what: figures["used"] for what, figures in row["utilization"].items()}
        assert use.ram_blocks == used["ram_blocks"]
        assert use.slots == pytest.approx(used["slots"], rel=0.1)
        if "flip_flops" in used:
            assert use.flip_flops == pytest.approx(used["flip_flops"], rel=0.1)


def test_uses_add_up() -> None:
    assert Use(slots=1, flip_flops=2, ram_blocks=3) + Use(slots=10, ram_blocks=1) == Use(
        slots=11, flip_flops=2, ram_blocks=4
    )


def test_shares_are_of_what_may_be_taken() -> None:
    shares = budget(margin=0.5).shares(Use(slots=250, flip_flops=600, ram_blocks=10))
    assert shares == {"logic slots": 0.5, "flip-flops": 1.2, "RAM blocks": 1.0}


def test_what_is_missing() -> None:
    some = budget(margin=0.9)
    assert some.missing(Use(slots=900, flip_flops=900, ram_blocks=10)) == ""
    assert some.missing(Use(slots=1234, ram_blocks=12)) == (
        "about 1,234 logic slots (90% of 1,000 can be routed) and 12 RAM blocks (of 10)"
    )
    assert some.missing(Use(flip_flops=901)) == "about 901 flip-flops (90% of 1,000 can be routed)"


def test_spram_is_counted_where_there_is_some() -> None:
    assert "SPRAM blocks" not in budget().shares(Use())
    assert budget(spram_blocks=4).shares(Use(spram_blocks=3))["SPRAM blocks"] == 0.75
    assert budget(spram_blocks=4).missing(Use(spram_blocks=5)) == "5 SPRAM blocks (of 4)"


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"^no resource model for Spartan; there are iCE40, ECP5$"):
        Budget(device="a", family="Spartan", slots=1, flip_flops=1, ram_blocks=1)
    with pytest.raises(ValueError, match=r"^margin must be above 0 and at most 1, not 1\.5$"):
        budget(margin=1.5)


def test_units_without_prices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = load(ROOT / "models" / "digits-mlp.safetensors")
    monkeypatch.delitem(PRICES["ECP5"]["slots"], "serial adder")
    (unit,) = plan_accelerator(network, AcceleratorConfig(units={"all": "bitserial"})).units
    message = r"^unit 'fc3' \(bitserial\) cannot be fitted to a device: there is no price for serial adder; "
    with pytest.raises(ValueError, match=message):
        estimate(unit, "ECP5")
