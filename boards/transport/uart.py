"""A UART of 8 data bits, no parity and one stop bit, with a divider that is fixed when it is made."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.net.checks import check_integer
from sterna.net.errors import InvalidValueError

#: Clocks of a bit, at least: below, a start bit's edge is not found well enough.
MIN_DIVIDER = 4
#: Clocks of a bit, at most, as the info packet has it.
MAX_DIVIDER = (1 << 16) - 1
#: Largest share by which a divider's rate may miss the one that is asked for.
TOLERANCE = 0.02


def divider_of(clock_hz: float, baud: float) -> int:
    """Clocks of a bit.

    Parameters
    ----------
    clock_hz : float
        Clock of the UART, in Hz.
    baud : float
        Bits a second.

    Raises
    ------
    ValueError
        If the clock is too slow or too fast for the rate, or no divider comes within ``TOLERANCE`` of it.
    """
    divider = max(round(clock_hz / baud), 1)
    if divider < MIN_DIVIDER:
        raise InvalidValueError(
            f"{baud:g} baud needs a clock of {MIN_DIVIDER * baud / 1e6:g} MHz or more, not {clock_hz / 1e6:g} MHz: "
            "lower the baud rate"
        )
    if divider > MAX_DIVIDER:
        raise InvalidValueError(f"{baud:g} baud is too slow for a clock of {clock_hz / 1e6:g} MHz: raise the baud rate")
    reached = clock_hz / divider
    if abs(reached / baud - 1) > TOLERANCE:
        raise InvalidValueError(
            f"no divider of {clock_hz / 1e6:g} MHz comes within {TOLERANCE:.0%} of {baud:g} baud; the nearest gives "
            f"{reached:.0f}: ask for that, or for another clock"
        )
    return divider


class UartReceiver(wiring.Component):
    """Bytes from a line.

    The line passes two flip-flops, is sampled in the middle of its bits, and a start bit that is high again in its
    middle is none. A byte whose stop bit is low is dropped, and the next one is looked for once the line is high.
    Nothing waits: whoever reads takes each byte when it comes, at most one in ``9.5 * divider`` cycles. All outputs
    leave flip-flops, a cycle behind the samples.

    Parameters
    ----------
    divider : int
        Clocks of a bit, from ``MIN_DIVIDER`` to ``MAX_DIVIDER``.

    Members
    -------
    rx : ``In(1)``
        The line, of any clock; high where nothing is sent.
    data : ``Out(8)``; valid : ``Out(1)``
        A byte, for one cycle.
    error : ``Out(1)``
        A byte without its stop bit, for one cycle.
    bit : ``Out(1)``; sampled : ``Out(1)``
        A bit of the byte that comes, the lowest first, for one cycle each.

    Raises
    ------
    TypeError, ValueError
        If the divider is out of range.
    """

    rx: Signal
    data: Signal
    valid: Signal
    error: Signal
    bit: Signal
    sampled: Signal

    def __init__(self, *, divider: int) -> None:
        self._divider = check_integer(divider, "divider", low=MIN_DIVIDER, high=MAX_DIVIDER)
        strobes = {name: Out(1) for name in ("valid", "error", "bit", "sampled")}
        super().__init__({"rx": In(1), "data": Out(8), **strobes})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, line = Signal(init=1), Signal(init=1)  # the line is of another clock
        busy, starting, broken, now = Signal(), Signal(), Signal(), Signal()  # now: the line is sampled
        m.d.sync += [first.eq(self.rx), line.eq(first)]
        timer = Signal(range(self._divider))
        # Samples come in at the top. A mark is there before the start bit, and at the bottom before the stop bit.
        bits = Signal(10)
        m.d.comb += [now.eq(busy & (timer == 0)), self.data.eq(bits[1:]), self.bit.eq(bits[-1])]
        m.d.sync += [
            self.valid.eq(now & bits[0] & line),
            self.error.eq(now & bits[0] & ~line),
            self.sampled.eq(now & ~bits[0] & ~starting),
            timer.eq(timer - 1),
        ]
        with m.If(~busy):
            m.d.sync += [
                timer.eq(self._divider // 2 - 1),
                bits.eq(1 << 9),
                starting.eq(1),
                busy.eq(~line & ~broken),
                broken.eq(broken & ~line),
            ]
        with m.Elif(now):
            m.d.sync += [timer.eq(self._divider - 1), bits.eq(Cat(bits[1:], line)), starting.eq(0)]
            with m.If(bits[0] | starting & line):
                m.d.sync += busy.eq(0)
            m.d.sync += broken.eq(bits[0] & ~line)
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a line.

    Throughput: a byte in ``10 * divider`` cycles. Latency: the start bit begins within ``divider`` cycles.

    Parameters
    ----------
    divider : int
        Clocks of a bit, from ``MIN_DIVIDER`` to ``MAX_DIVIDER``.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Bytes, each taken when its start bit begins.
    tx : ``Out(1)``
        The line, from a flip-flop; high where nothing is sent.
    bit : ``Out(1)``; shifted : ``Out(1)``
        A bit of the byte that goes, the lowest first, for one cycle each; all before the next byte is taken.

    Raises
    ------
    TypeError, ValueError
        If the divider is out of range.
    """

    i: stream.Interface
    tx: Signal
    bit: Signal
    shifted: Signal

    def __init__(self, *, divider: int) -> None:
        self._divider = check_integer(divider, "divider", low=MIN_DIVIDER, high=MAX_DIVIDER)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1), "bit": Out(1), "shifted": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer, tick = Signal(range(self._divider)), Signal(init=1)  # the tick is high while the timer is 0
        line = Signal(init=1)
        bits = Signal(9)  # what is still to be sent; the stop bit is the last one that is 1
        stopping, idle = Signal(init=1), Signal(init=1)  # of the bits a cycle before, which change with ticks alone
        m.d.comb += [
            self.i.ready.eq(tick & idle),
            self.tx.eq(line),
            self.bit.eq(bits[0]),
            self.shifted.eq(tick & ~stopping),
        ]
        m.d.sync += [
            timer.eq(timer - 1),
            tick.eq(timer == 1),
            stopping.eq(bits[1:] == 0),
            idle.eq(bits == 0),
        ]
        with m.If(tick):
            m.d.sync += timer.eq(self._divider - 1)
            with m.If(idle):
                m.d.sync += line.eq(~self.i.valid)
                with m.If(self.i.valid):
                    m.d.sync += bits.eq(Cat(self.i.payload, Const(1)))
            with m.Else():
                m.d.sync += [line.eq(bits[0]), bits.eq(bits >> 1)]
        return m
