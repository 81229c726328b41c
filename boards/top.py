"""The top of a board's design: pins, clock and reset around whatever talks over the UART."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.clock import ClockSource, ResetHold, reset_domain
from sterna.hw.emit.verilog import to_verilog

__all__ = ["BoardTop", "emit_top"]


class BoardTop(wiring.Component):
    """A design between a board's pins.

    Parameters
    ----------
    core : component
        With the ports ``rx : In(1)`` and ``tx : Out(1)``, in the domain ``sync``. It synchronizes ``rx`` itself; its
        ``tx`` leaves a flip-flop, and is high during reset.
    source : :class:`ClockSource`
        The clock.
    hold : :class:`int`
        Cycles of reset after configuration, see :class:`ResetHold`.
    reset_pin : :class:`bool` or None
        Whether the board's reset button is high while pressed; ``None``: there is none.

    Members
    -------
    clk : ``In(1)``
        The oscillator, where it is outside the device.
    rst : ``In(1)``
        The button, where there is one.
    rx : ``In(1)``
    tx : ``Out(1)``
        The UART.
    """

    clk: Signal
    rst: Signal
    rx: Signal
    tx: Signal

    def __init__(self, *, core: Any, source: ClockSource, hold: int, reset_pin: bool | None = None) -> None:
        self._core = core
        self._source = source
        self._hold = hold
        self._reset_pin = reset_pin
        pins = {} if source.internal else {"clk": In(1)}
        pins |= {} if reset_pin is None else {"rst": In(1)}
        super().__init__({**pins, "rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.clock = source = self._source
        m.submodules.reset = hold = ResetHold(cycles=self._hold)
        reset_domain(m, clk=source.clk, rst=hold.rst)
        cause = ~source.locked
        if self._reset_pin is not None:
            cause |= self.rst if self._reset_pin else ~self.rst
        if not source.internal:
            m.d.comb += source.pin.eq(self.clk)
        m.d.comb += [hold.clk.eq(source.clk), hold.cause.eq(cause)]
        m.submodules.core = core = self._core
        m.d.comb += [core.rx.eq(self.rx), self.tx.eq(core.tx)]
        return m


def emit_top(top: BoardTop, *, name: str) -> str:
    """Verilog of a top, its module called ``name``.

    Raises
    ------
    ToolError
        If Amaranth finds no Yosys, or it fails.
    """
    return to_verilog(top, name=name)
