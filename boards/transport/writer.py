"""Writes packets to a memory: results with the state of the input, and the counters."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import CRC, FREE_BITS, Kind
from sterna.boards.transport.cobs import CobsEncoder
from sterna.boards.transport.crc import Crc32
from sterna.net.checks import check_integer

#: Bytes of a place that what follows the results takes: expected, free, CRC and the zero byte; a multiple of 8.
TRAILER = 8

_FLAGS = ("quiet", "report", "answer", "again", "counters", "yielding", "busy")


class PacketWriter(wiring.Component):
    """Writes one packet after the other, each with its CRC, stuffed, and with its zero byte.

    A packet of results begins when there is one, or something to tell. It ends as soon as the line is free and there is
    a reason: it is full, the host is to be told something, or it ends with a frame and no input is waiting. So a result
    waits for nothing while little is to do, and shares its packet with others while much is. Results that do not fit
    wait.

    Throughput: a byte in nine cycles.

    Parameters
    ----------
    width : int
        Bits of an address.
    counter_bytes : int
        Bytes of all counters.

    Members
    -------
    i : ``In(stream.Signature(8))``; i_last : ``In(1)``
        Results, and whether a frame's last byte is offered.
    session, expected : ``In(8)``; free : ``In(6)``
        What packets say of the input.
    quiet : ``In(1)``
        No input is waiting.
    report, answer, again : ``In(1)``
        The host is to be told how things stand; since it asked; since a packet did not count. For one cycle.
    counters : ``In(1)``
        The counters are asked for. For one cycle.
    values : ``In(8 * counter_bytes)``
        The counters, the first byte in the low bits.
    yielding : ``In(1)``
        Begin no packet, and end the one that was begun.
    busy : ``In(1)``
        The line is not free.
    base, last : ``In(width)``
        Where the next packet goes, and from where on no more results do: a multiple of 8. Both stay until ``done``.
    done : ``Out(1)``
        The packet at ``base`` is whole, for one cycle.
    idle : ``Out(1)``
        None has begun.
    address, write, enable :
        To the memory's write port.
    """

    i: stream.Interface
    i_last: Signal
    session: Signal
    expected: Signal
    free: Signal
    quiet: Signal
    report: Signal
    answer: Signal
    again: Signal
    counters: Signal
    values: Signal
    yielding: Signal
    busy: Signal
    base: Signal
    last: Signal
    done: Signal
    idle: Signal
    address: Signal
    write: Signal
    enable: Signal

    def __init__(self, *, width: int, counter_bytes: int) -> None:
        self._width = check_integer(width, "width", low=1)
        self._counter_bytes = check_integer(counter_bytes, "counter_bytes", low=1)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "i_last": In(1),
                "session": In(8),
                "expected": In(8),
                "free": In(FREE_BITS),
                **{name: In(1) for name in _FLAGS},
                "values": In(8 * counter_bytes),
                "base": In(width),
                "last": In(width),
                "done": Out(1),
                "idle": Out(1),
                "address": Out(width),
                "write": Out(8),
                "enable": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32()
        m.submodules.encoder = encoder = CobsEncoder(width=self._width)
        m.d.comb += [
            encoder.base.eq(self.base),
            encoder.data.eq(crc.data),
            crc.valid.eq(encoder.valid),
            self.address.eq(encoder.address),
            self.write.eq(encoder.write),
            self.enable.eq(encoder.enable),
        ]
        report, answer, again, counters = Signal(), Signal(), Signal(), Signal()  # what is still to be told
        told = report | answer | again
        counting, boundary, full, ready = Signal(), Signal(), Signal(), Signal()
        sequence, left = Signal(8), Signal(range(max(self._counter_bytes, CRC)))
        octets = [self.values.word_select(k, 8) for k in range(self._counter_bytes)]
        m.d.comb += [full.eq(encoder.place[3:] == self.last[3:]), ready.eq(~crc.busy)]

        def put(value: Value | int, then: str) -> None:
            m.d.comb += crc.data.eq(value)
            with m.If(ready):
                m.d.comb += encoder.valid.eq(1)
                m.next = then

        with m.FSM(name="writer"):
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), encoder.start.eq(1), crc.clear.eq(1)]
                m.d.sync += [boundary.eq(1), counting.eq(counters)]
                with m.If(ready & ~self.yielding & (counters | told | self.i.valid)):
                    m.d.sync += counters.eq(0)
                    m.next = "KIND"
            with m.State("KIND"):
                put(Mux(counting, Kind.BOARD_COUNTERS, Kind.RESULT), "SESSION")
            with m.State("SESSION"):
                put(self.session, "SEQUENCE")
            with m.State("SEQUENCE"):
                m.d.sync += left.eq(self._counter_bytes - 1)
                put(sequence, "RESULTS")
                with m.If(ready & counting):
                    m.next = "COUNTERS"
            with m.State("COUNTERS"):
                put(Cat(*reversed(octets)).word_select(left, 8), "COUNTERS")
                with m.If(ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 0):
                        m.d.sync += left.eq(CRC - 1)
                        m.next = "CRC"
            with m.State("RESULTS"):
                m.d.comb += crc.data.eq(self.i.payload)
                asked = full | told | counters | self.yielding | boundary & self.quiet
                with m.If(ready & self.i.valid & ~full):
                    m.d.comb += [self.i.ready.eq(1), encoder.valid.eq(1)]
                    m.d.sync += boundary.eq(self.i_last)
                with m.Elif(ready & asked & ~self.busy):
                    m.next = "EXPECTED"
            with m.State("EXPECTED"):
                put(self.expected, "FREE")
            with m.State("FREE"):
                m.d.sync += left.eq(CRC - 1)
                put(Cat(self.free, answer, again), "CRC")
                with m.If(ready):
                    m.d.sync += [sequence.eq(sequence + 1), report.eq(0), answer.eq(0), again.eq(0)]
            with m.State("CRC"):
                m.d.comb += crc.shift.eq(1)
                put(crc.low, "CRC")
                with m.If(ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 0):
                        m.next = "FINISH"
            with m.State("FINISH"):
                m.d.comb += encoder.finish.eq(1)
                m.next = "DELIMIT"
            with m.State("DELIMIT"), m.If(~self.busy):
                m.d.comb += [encoder.delimit.eq(1), self.done.eq(1)]
                m.next = "IDLE"
        for name, pending in (("report", report), ("answer", answer), ("again", again), ("counters", counters)):
            with m.If(getattr(self, name)):
                m.d.sync += pending.eq(1)
        return m
