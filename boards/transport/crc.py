"""CRC-32 of IEEE 802.3, bit by bit as bits pass on the line."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: The polynomial, its highest power left out, lowest power first.
POLYNOMIAL = 0xEDB88320


class Crc32(wiring.Component):
    """The register of a CRC-32.

    Bits go in lowest first, and the register shifts down: polynomial 0x04C11DB7, all ones at the start, inverted at the
    end (IEEE 802.3, 3.2.9). Cost: 32 flip-flops, half of them with a table.

    Members
    -------
    clear : ``In(1)``
        Start anew.
    bit : ``In(1)``; step : ``In(1)``
        A bit goes in.
    shift : ``In(1)``
        With ``step``: none goes in, one goes out. So the next byte of the CRC comes to the bottom in eight steps.
    value : ``Out(32)``
        The CRC of the bits since ``clear``: the register, inverted.
    """

    clear: Signal
    bit: Signal
    step: Signal
    shift: Signal
    value: Signal

    def __init__(self) -> None:
        inputs = {name: In(1) for name in ("clear", "bit", "step", "shift")}
        super().__init__({**inputs, "value": Out(32)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register, feedback = Signal(32), Signal()  # inverted: not every flip-flop can start with 1
        m.d.comb += [
            feedback.eq((self.bit ^ ~register[0]) & ~self.shift),
            self.value.eq(register),
        ]
        with m.If(self.clear):
            m.d.sync += register.eq(0)
        with m.Elif(self.step):
            m.d.sync += register.eq(Cat(register[1:], Const(1, 1)) ^ Mux(feedback, Const(POLYNOMIAL, 32), 0))
        return m
