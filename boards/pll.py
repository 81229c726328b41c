"""Settings of the PLLs: every legal choice of their dividers, and the frequencies that these give.

Frequencies are exact: fractions of a hertz, from integers. Nothing here knows hardware; :mod:`sterna.boards.clock`
makes an instance of a setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from sterna.flow.devices import Family
from sterna.net.errors import InvalidValueError

__all__ = ["LIMITS", "Limits", "PllSetting", "highest_setting", "pll_settings"]

_MHZ = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The ranges of frequencies that a PLL is specified for, each from lowest to highest, in Hz.

    Attributes
    ----------
    input, comparator, vco, output : tuple of int
        At its pin; of the phase comparator (PFD), after the input's divider; of the oscillator; at its output.
    """

    input: tuple[int, int]
    comparator: tuple[int, int]
    vco: tuple[int, int]
    output: tuple[int, int]


#: Lattice's data sheets, sysCLOCK PLL Timing: FPGA-DS-02029 (iCE40 LP/HX), FPGA-DS-02008 (iCE40 UltraPlus),
#: FPGA-DS-02012 (ECP5). The ECP5's comparator is kept within the range of its input, though it works with less.
LIMITS = {
    Family.ICE40: Limits(
        input=(10 * _MHZ, 133 * _MHZ),
        comparator=(10 * _MHZ, 133 * _MHZ),
        vco=(533 * _MHZ, 1066 * _MHZ),
        output=(16 * _MHZ, 275 * _MHZ),
    ),
    Family.ECP5: Limits(
        input=(8 * _MHZ, 400 * _MHZ),
        comparator=(8 * _MHZ, 400 * _MHZ),
        vco=(400 * _MHZ, 800 * _MHZ),
        output=(3_125_000, 400 * _MHZ),
    ),
}

# Upper bounds of the comparator's frequency for the loop filter's settings 1 to 5 (iCE40 sysCLOCK PLL Design and Usage
# Guide, FPGA-TN-02052); above the last, it is 6.
_FILTER_BOUNDS = (17 * _MHZ, 26 * _MHZ, 44 * _MHZ, 66 * _MHZ, 101 * _MHZ)


@dataclass(frozen=True, kw_only=True)
class PllSetting:
    """One legal choice of dividers.

    Attributes
    ----------
    family : Family
    input_hz, comparator_hz, vco_hz, output_hz : Fraction
        Exact.
    parameters : dict[str, int]
        The primitive's parameters: DIVR, DIVF, DIVQ, FILTER_RANGE (SB_PLL40); CLKI_DIV, CLKFB_DIV, CLKOP_DIV, CLKOS_DIV
        (EHXPLLL; the loop closes over CLKOP, and CLKOS is the output).
    """

    family: Family
    input_hz: Fraction
    comparator_hz: Fraction
    vco_hz: Fraction
    output_hz: Fraction
    parameters: Mapping[str, int]


def pll_settings(family: Family, input_hz: int) -> tuple[PllSetting, ...]:
    """Every frequency that a PLL makes from an oscillator's, lowest first, each by one setting.

    Of several settings that give the same frequency, the one with the fastest comparator is taken, then that with the
    fastest oscillator: both are for less jitter.

    Parameters
    ----------
    family : Family
    input_hz : int
        The oscillator's frequency.

    Raises
    ------
    ValueError
        If the PLL does not take that frequency.
    """
    low, high = LIMITS[family].input
    if not low <= input_hz <= high:
        raise InvalidValueError(
            f"the PLL of an {family.value} takes {low / 1e6:g} to {high / 1e6:g} MHz, not {input_hz / 1e6:g} MHz; "
            "leave --clock at the oscillator's frequency, or give another oscillator"
        )
    return _settings(family, input_hz)


def highest_setting(family: Family, input_hz: int, at_most_hz: float) -> PllSetting:
    """The highest frequency that a PLL makes from an oscillator's, not above ``at_most_hz``.

    Raises
    ------
    ValueError
        If the PLL does not take the oscillator's frequency, or makes only higher ones.
    """
    settings = pll_settings(family, input_hz)
    # A clock of decimal MHz means the exact fraction that it is nearest to.
    fitting = [setting for setting in settings if setting.output_hz <= Fraction(at_most_hz) + 1]
    if not fitting:
        raise InvalidValueError(
            f"the PLL of an {family.value} makes {float(settings[0].output_hz) / 1e6:.3f} MHz and more of "
            f"{input_hz / 1e6:g} MHz, not {at_most_hz / 1e6:g} MHz; ask for a higher --clock"
        )
    return fitting[-1]


@cache
def _settings(family: Family, input_hz: int) -> tuple[PllSetting, ...]:
    every = _ice40(input_hz) if family is Family.ICE40 else _ecp5(input_hz)
    best: dict[Fraction, PllSetting] = {}
    for setting in every:
        other = best.get(setting.output_hz)
        if other is None or (setting.comparator_hz, setting.vco_hz) > (other.comparator_hz, other.vco_hz):
            best[setting.output_hz] = setting
    return tuple(best[hz] for hz in sorted(best))


def _ice40(input_hz: int) -> Iterator[PllSetting]:
    """output = input · (DIVF + 1) / ((DIVR + 1) · 2^DIVQ), with simple feedback: the loop closes before the DIVQ."""
    limits = LIMITS[Family.ICE40]
    for divr in range(16):
        comparator = Fraction(input_hz, divr + 1)
        if not _within(comparator, limits.comparator):
            continue
        filter_range = 1 + sum(comparator >= bound for bound in _FILTER_BOUNDS)
        for divf in range(128):
            vco = comparator * (divf + 1)
            if not _within(vco, limits.vco):
                continue
            for divq in range(1, 7):
                if _within(vco / 2**divq, limits.output):
                    yield PllSetting(
                        family=Family.ICE40,
                        input_hz=Fraction(input_hz),
                        comparator_hz=comparator,
                        vco_hz=vco,
                        output_hz=vco / 2**divq,
                        parameters={"DIVR": divr, "DIVF": divf, "DIVQ": divq, "FILTER_RANGE": filter_range},
                    )


def _ecp5(input_hz: int) -> Iterator[PllSetting]:
    """vco = input · CLKFB_DIV · CLKOP_DIV / CLKI_DIV, output = vco / CLKOS_DIV."""
    limits = LIMITS[Family.ECP5]
    seen = set()
    for clki in range(1, 129):
        comparator = Fraction(input_hz, clki)
        if not _within(comparator, limits.comparator):
            continue
        for clkfb in range(1, 81):
            if not _within(comparator * clkfb, limits.output):  # at CLKOP
                continue
            for clkop in range(1, 129):
                vco = comparator * clkfb * clkop
                if not _within(vco, limits.vco) or vco in seen:
                    continue
                seen.add(vco)  # the first has the fastest comparator
                for clkos in range(1, 129):
                    if _within(vco / clkos, limits.output):
                        yield PllSetting(
                            family=Family.ECP5,
                            input_hz=Fraction(input_hz),
                            comparator_hz=comparator,
                            vco_hz=vco,
                            output_hz=vco / clkos,
                            parameters={
                                "CLKI_DIV": clki,
                                "CLKFB_DIV": clkfb,
                                "CLKOP_DIV": clkop,
                                "CLKOS_DIV": clkos,
                            },
                        )


def _within(value: Fraction, limits: tuple[int, int]) -> bool:
    return limits[0] <= value <= limits[1]
