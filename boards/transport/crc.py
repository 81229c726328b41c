"""CRC-32 of IEEE 802.3 over bytes, one bit a cycle."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: The polynomial, its highest power left out, lowest power first.
POLYNOMIAL = 0xEDB88320
#: What the register holds behind a message and its CRC, lowest byte first.
RESIDUE = 0xDEBB20E3
#: Cycles that a byte takes.
CYCLES = 8


class Crc32(wiring.Component):
    """The register of a CRC-32, which takes a byte in eight cycles.

    Bits go in lowest first, and the register shifts down: polynomial 0x04C11DB7, all ones at the start, inverted at the
    end (IEEE 802.3, 3.2.9). Cost: 32 flip-flops for the register, 9 for the byte, and a table each.

    Members
    -------
    clear : ``In(1)``
        Start anew.
    data : ``In(8)``; valid : ``In(1)``
        A byte, taken at once; not while ``busy``.
    shift : ``In(1)``
        With ``valid``: no byte comes in, and the register's next byte moves to ``low``.
    busy : ``Out(1)``
        A byte is at work, or comes.
    low : ``Out(8)``
        The register's lowest byte, inverted: the first of the CRC that is still to be sent.
    good : ``Out(1)``
        The bytes since ``clear`` end with their own CRC.
    """

    clear: Signal
    data: Signal
    valid: Signal
    shift: Signal
    busy: Signal
    low: Signal
    good: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "data": In(8),
                "valid": In(1),
                "shift": In(1),
                "busy": Out(1),
                "low": Out(8),
                "good": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = Signal(32, init=(1 << 32) - 1)
        bits, count = Signal(8), Signal(range(CYCLES + 1))
        feedback, shifting = Signal(), Signal()
        m.d.comb += [
            self.busy.eq(count != 0),
            self.low.eq(~register[:8]),
            self.good.eq(register == RESIDUE),
            feedback.eq((bits[0] ^ register[0]) & ~shifting),
        ]
        with m.If(self.clear):
            m.d.sync += register.eq(register.init)
        with m.Elif(count != 0):
            taps = Const(POLYNOMIAL, 32)
            m.d.sync += register.eq(Cat(register[1:], Const(0, 1)) ^ Mux(feedback, taps, 0))
        with m.If(self.valid):
            m.d.sync += [bits.eq(self.data), shifting.eq(self.shift), count.eq(CYCLES)]
        with m.Elif(count != 0):
            m.d.sync += [bits.eq(bits >> 1), count.eq(count - 1)]
        return m
