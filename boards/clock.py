"""The clock of a board's design: from its oscillator, through a PLL if one is wanted, and a reset that waits for it."""

from __future__ import annotations

import enum
from math import ceil

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer  # type: ignore[import-untyped]  # amaranth-stubs leave it out
from amaranth.lib.wiring import In, Out

from sterna.boards.pll import PllSetting
from sterna.flow.devices import Family
from sterna.net.errors import InvalidValueError

__all__ = ["ClockSource", "PllInput", "ResetHold", "hold_cycles"]

# For so long after its configuration, an iCE40 may not read its RAM blocks right (Amaranth's platform waits as long).
_ICE40_SECONDS = 15e-6
# For so long, the oscillator inside an UltraPlus is not stable (likewise).
_HFOSC_SECONDS = 100e-6
_FEWEST_CYCLES = 16


class PllInput(enum.Enum):
    """Where a PLL's input comes from; the value is the primitive."""

    PAD = "SB_PLL40_PAD"
    """iCE40: the pad beside the PLL, which nothing else can read."""
    CORE = "SB_PLL40_CORE"
    """iCE40: any other pin."""
    ECP5 = "EHXPLLL"
    """ECP5: any pin."""


class ClockSource(wiring.Component):
    """A clock from an oscillator: the oscillator's own, or what a PLL makes of it.

    The PLL is the vendor's primitive; sim/primitives/ has models of them for simulation.

    Parameters
    ----------
    setting : :class:`PllSetting` or None
        The PLL's dividers; ``None``: no PLL.
    pll_input : :class:`PllInput`
        Which primitive is made, of the setting's family.
    internal : :class:`bool`
        Take the oscillator inside an iCE40 UltraPlus (SB_HFOSC, 48 MHz), not the pin.

    Members
    -------
    pin : ``In(1)``
        The oscillator; not used with an internal one.
    clk : ``Out(1)``
        The clock.
    locked : ``Out(1)``
        The clock is stable; low at any time means that it is not.

    Raises
    ------
    :exc:`ValueError`
        If the primitive is not of the setting's family.
    """

    pin: Signal
    clk: Signal
    locked: Signal

    def __init__(self, *, setting: PllSetting | None, pll_input: PllInput, internal: bool = False) -> None:
        if setting is not None and (setting.family is Family.ECP5) != (pll_input is PllInput.ECP5):
            raise InvalidValueError(f"a setting for {setting.family.value} does not go with {pll_input.value}")
        if internal and pll_input is not PllInput.CORE:
            raise InvalidValueError(
                f"the oscillator inside an iCE40 leads to {PllInput.CORE.value}, not {pll_input.value}"
            )
        self._setting = setting
        self._pll_input = pll_input
        self._internal = internal
        super().__init__({"pin": In(1), "clk": Out(1), "locked": Out(1)})

    @property
    def internal(self) -> bool:
        """Whether the oscillator is inside the device."""
        return self._internal

    def elaborate(self, platform: object) -> Module:
        m = Module()
        source: Signal = self.pin
        if self._internal:
            source = Signal(name="hfosc")
            m.submodules.hfosc = Instance(
                "SB_HFOSC", i_CLKHFEN=Const(1), i_CLKHFPU=Const(1), p_CLKHF_DIV="0b00", o_CLKHF=source
            )
        if self._setting is None:
            m.d.comb += [self.clk.eq(source), self.locked.eq(1)]
        else:
            m.submodules.pll = self._pll(source)
        return m

    def _pll(self, source: Signal) -> Instance:
        assert self._setting is not None
        dividers = self._setting.parameters
        if self._pll_input is not PllInput.ECP5:
            return Instance(
                self._pll_input.value,
                p_FEEDBACK_PATH="SIMPLE",
                p_PLLOUT_SELECT="GENCLK",
                p_DIVR=Const(dividers["DIVR"], 4),
                p_DIVF=Const(dividers["DIVF"], 7),
                p_DIVQ=Const(dividers["DIVQ"], 3),
                p_FILTER_RANGE=Const(dividers["FILTER_RANGE"], 3),
                **{"i_PACKAGEPIN" if self._pll_input is PllInput.PAD else "i_REFERENCECLK": source},
                i_RESETB=Const(1),
                i_BYPASS=Const(0),
                o_PLLOUTGLOBAL=self.clk,
                o_LOCK=self.locked,
            )
        loop = Signal(name="loop")
        return Instance(
            "EHXPLLL",
            # How the loop filter is set for any dividers (Project Trellis).
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=dividers["CLKI_DIV"],
            p_CLKFB_DIV=dividers["CLKFB_DIV"],
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=dividers["CLKOP_DIV"],
            p_CLKOP_CPHASE=dividers["CLKOP_DIV"] - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=dividers["CLKOS_DIV"],
            p_CLKOS_CPHASE=dividers["CLKOS_DIV"] - 1,
            p_CLKOS_FPHASE=0,
            i_CLKI=source,
            i_CLKFB=loop,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0),
            i_PHASELOADREG=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=loop,
            o_CLKOS=self.clk,
            o_LOCK=self.locked,
        )


class ResetHold(wiring.Component):
    """A reset that begins at once, and ends some cycles after its reason, in step with the clock.

    Parameters
    ----------
    cycles : :class:`int`
        Cycles of the clock that it is held for at least; up to twice as many, so that the counter stays short.

    Members
    -------
    clk : ``In(1)``
        The clock.
    cause : ``In(1)``
        The reason, in step with nothing.
    rst : ``Out(1)``
        High from power-up on.
    """

    clk: Signal
    cause: Signal
    rst: Signal

    def __init__(self, *, cycles: int) -> None:
        if cycles < 1:
            raise InvalidValueError(f"cycles must be a positive integer, not {cycles}")
        self._bits = max(1, (cycles - 1).bit_length())
        super().__init__({"clk": In(1), "cause": In(1), "rst": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Its registers start at 0, which is all that an iCE40 has.
        m.domains.hold = ClockDomain(async_reset=True, local=True)
        m.submodules.synchronizer = ResetSynchronizer(self.cause, domain="hold")
        count = Signal(self._bits + 1)
        m.d.comb += [ClockSignal("hold").eq(self.clk), self.rst.eq(~count[-1])]
        with m.If(self.rst):
            m.d.hold += count.eq(count + 1)
        return m


def hold_cycles(family: Family, hz: float, *, internal: bool = False) -> int:
    """Cycles of a clock for which a design is to be held in reset after configuration."""
    seconds = _HFOSC_SECONDS if internal else _ICE40_SECONDS if family is Family.ICE40 else 0.0
    return max(_FEWEST_CYCLES, ceil(seconds * hz))


def reset_domain(m: Module, *, clk: Signal, rst: Signal) -> None:
    """Make the domain ``sync`` of a clock and a reset."""
    m.domains.sync = ClockDomain()
    m.d.comb += [ClockSignal("sync").eq(clk), ResetSignal("sync").eq(rst)]
