"""The dividers of PLLs, judged by the vendors' formulas and limits, written down here once more."""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.boards.pll import PllSetting, highest_setting, pll_settings
from sterna.flow.devices import Family

# FPGA-DS-02008 and FPGA-DS-02029 (iCE40), FPGA-DS-02012 (ECP5): sysCLOCK PLL timing, in MHz.
ICE40 = {"in": (10, 133), "pfd": (10, 133), "vco": (533, 1066), "out": (16, 275)}
ECP5 = {"in": (8, 400), "pfd": (8, 400), "vco": (400, 800), "out": (3.125, 400)}

OSCILLATORS = [
    (Family.ICE40, 12_000_000),
    (Family.ICE40, 16_000_000),
    (Family.ICE40, 48_000_000),
    (Family.ICE40, 100_000_000),
    (Family.ECP5, 8_000_000),
    (Family.ECP5, 12_000_000),
    (Family.ECP5, 25_000_000),
    (Family.ECP5, 48_000_000),
    (Family.ECP5, 100_000_000),
]


def inside(mhz: Fraction, limits: tuple[float, float]) -> bool:
    return limits[0] <= mhz <= limits[1]


def check_ice40(setting: PllSetting, mhz: int) -> Fraction:
    """The output in MHz; asserts that everything inside is legal (FPGA-TN-02052, simple feedback)."""
    p = setting.parameters
    assert 0 <= p["DIVR"] <= 15
    assert 0 <= p["DIVF"] <= 127
    assert 1 <= p["DIVQ"] <= 6
    pfd = Fraction(mhz, p["DIVR"] + 1)
    vco = pfd * (p["DIVF"] + 1)
    out = vco / (1 << p["DIVQ"])
    assert inside(pfd, ICE40["pfd"])
    assert inside(vco, ICE40["vco"])
    assert inside(out, ICE40["out"])
    return out


def check_ecp5(setting: PllSetting, mhz: int) -> Fraction:
    """Likewise (FPGA-TN-02200, the loop closed over CLKOP)."""
    p = setting.parameters
    assert all(1 <= p[name] <= 128 for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOS_DIV"))
    assert p["CLKFB_DIV"] <= 80
    pfd = Fraction(mhz, p["CLKI_DIV"])
    clkop = pfd * p["CLKFB_DIV"]  # what the loop holds: CLKOP / CLKFB_DIV equals the comparator's other input
    vco = clkop * p["CLKOP_DIV"]
    out = vco / p["CLKOS_DIV"]
    assert inside(pfd, ECP5["pfd"])
    assert inside(clkop, ECP5["out"])
    assert inside(vco, ECP5["vco"])
    assert inside(out, ECP5["out"])
    return out


@pytest.mark.parametrize(("family", "hz"), OSCILLATORS)
def test_every_setting_is_legal_and_gives_what_it_says(family: Family, hz: int) -> None:
    check = check_ice40 if family is Family.ICE40 else check_ecp5
    settings = pll_settings(family, hz)
    outputs = [check(setting, hz // 1_000_000) * 1_000_000 for setting in settings]
    assert outputs == [setting.output_hz for setting in settings]
    assert outputs == sorted(set(outputs))


@pytest.mark.parametrize("mhz", [12, 16, 48])
def test_no_legal_ice40_frequency_is_missing(mhz: int) -> None:
    legal = set()
    for r, f, q in itertools.product(range(1, 17), range(1, 129), (2, 4, 8, 16, 32, 64)):
        pfd, vco = Fraction(mhz, r), Fraction(mhz * f, r)
        if inside(pfd, ICE40["pfd"]) and inside(vco, ICE40["vco"]) and inside(vco / q, ICE40["out"]):
            legal.add(vco / q)
    assert {setting.output_hz / 1_000_000 for setting in pll_settings(Family.ICE40, mhz * 1_000_000)} == legal


@pytest.mark.parametrize("mhz", [12, 48])
def test_no_legal_ecp5_frequency_is_missing(mhz: int) -> None:
    oscillators = {
        Fraction(mhz * fb * op, i)
        for i, fb, op in itertools.product(range(1, mhz // 8 + 1), range(1, 81), range(1, 129))
        if mhz * fb <= 400 * i and inside(Fraction(mhz * fb * op, i), ECP5["vco"])
    }
    legal = {vco / k for vco in oscillators for k in range(1, 129) if inside(vco / k, ECP5["out"])}
    assert {setting.output_hz / 1_000_000 for setting in pll_settings(Family.ECP5, mhz * 1_000_000)} == legal


@settings(deadline=None)
@given(st.sampled_from(OSCILLATORS), st.floats(16e6, 275e6))
def test_the_highest_is_the_highest(oscillator: tuple[Family, int], at_most: float) -> None:
    family, hz = oscillator
    below = [setting.output_hz for setting in pll_settings(family, hz) if setting.output_hz <= at_most]
    if below:
        found = highest_setting(family, hz, at_most).output_hz
        assert max(below) <= found <= at_most + 1  # a decimal clock may mean a fraction just above it
    else:
        with pytest.raises(ValueError, match="ask for a higher --clock"):
            highest_setting(family, hz, at_most)


# Printed by IceStorm's icepll and Project Trellis's ecppll, as others published them.
@pytest.mark.parametrize(
    ("family", "mhz", "asked", "parameters"),
    [
        (Family.ICE40, 12, 96, {"DIVR": 0, "DIVF": 63, "DIVQ": 3, "FILTER_RANGE": 1}),
        (Family.ICE40, 48, 60, {"DIVR": 0, "DIVF": 19, "DIVQ": 4, "FILTER_RANGE": 4}),
        (Family.ICE40, 48, 100, {"DIVR": 2, "DIVF": 49, "DIVQ": 3, "FILTER_RANGE": 1}),
        (Family.ICE40, 48, 150, {"DIVR": 1, "DIVF": 24, "DIVQ": 2, "FILTER_RANGE": 2}),
    ],
)
def test_settings_that_others_use(family: Family, mhz: int, asked: int, parameters: dict[str, int]) -> None:
    setting = highest_setting(family, mhz * 1_000_000, asked * 1e6)
    assert setting.output_hz == asked * 1_000_000
    assert setting.parameters == parameters


def test_the_fastest_comparator_is_taken() -> None:
    # 48 MHz of 12 MHz: 12 · 64 / 16 and no other; 50 MHz of 25: 25 · 32 / 16 at 25 MHz, and also at 12.5 MHz.
    assert highest_setting(Family.ECP5, 25_000_000, 50e6).comparator_hz == 25_000_000


@pytest.mark.parametrize(
    ("family", "hz", "asked", "message"),
    [
        (Family.ICE40, 3_300_000, 48e6, "the PLL of an iCE40 takes 10 to 133 MHz, not 3.3 MHz; leave --clock at the"),
        (Family.ECP5, 500_000_000, 48e6, "the PLL of an ECP5 takes 8 to 400 MHz, not 500 MHz"),
        (Family.ICE40, 12_000_000, 5e6, "the PLL of an iCE40 makes 16.125 MHz and more of 12 MHz, not 5 MHz; ask for"),
    ],
)
def test_what_is_refused(family: Family, hz: int, asked: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        highest_setting(family, hz, asked)
