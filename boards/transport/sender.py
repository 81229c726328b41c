"""From results, and what the host asks for, to packets on the line."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import CRC, FREE_BITS, MAX_RESULTS, PAGES, Kind
from sterna.boards.transport.cobs import CobsEncoder
from sterna.boards.transport.crc import Crc32

_FLAGS = ("quiet", "report", "answer", "again", "read")


class PacketSender(wiring.Component):
    """Sends packets of results with the state of the input, and pages of registers, each with its CRC, stuffed.

    A packet of results begins when there is one, or something to tell. It ends when the line can take a byte and there
    is no result, or no room for one, and a reason: it is full, the host is to be told something, or it ends with a
    frame and no input is waiting. So a result waits for nothing while little is to do, and shares its packet with
    others while much is. Nothing is kept here: results wait where they come from.

    After a reset, the zero byte goes out that ends what was begun before.

    Throughput: as the line.

    Parameters
    ----------
    pages : int
        Of registers.

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
    read : ``In(1)``; page : ``In(range(pages))``
        A page is asked for, for one cycle; which one, until the next is. A packet that has begun keeps its page.
    registers : ``In(stream.Signature(8))``; registers_last : ``In(1)``
        The bytes of a page.
    start : ``Out(1)``; o_page : ``Out(range(pages))``
        From where on they are read, and of which page.
    o : ``Out(stream.Signature(8))``
        To the line, whose ``ready`` must not wait for ``valid``.
    bit : ``In(1)``; shifted : ``In(1)``
        After each byte was taken, and before the next one is, its bits pass here.
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
    read: Signal
    page: Signal
    registers: stream.Interface
    registers_last: Signal
    start: Signal
    o_page: Signal
    o: stream.Interface
    bit: Signal
    shifted: Signal

    def __init__(self, *, pages: int = PAGES) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "i_last": In(1),
                "session": In(8),
                "expected": In(8),
                "free": In(FREE_BITS),
                **{name: In(1) for name in _FLAGS},
                "page": In(range(pages)),
                "registers": In(stream.Signature(8)),
                "registers_last": In(1),
                "start": Out(1),
                "o_page": Out(range(pages)),
                "o": Out(stream.Signature(8)),
                "bit": In(1),
                "shifted": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32()
        m.submodules.encoder = encoder = CobsEncoder()
        report, answer, again, read = (Signal(name=f"{name}_pending") for name in _FLAGS[1:])
        told = report | answer | again
        reading, boundary, full, ready = Signal(), Signal(), Signal(), Signal()
        sequence, left = Signal(8), Signal(range(MAX_RESULTS + 1))
        was_zero, was_crc = Signal(), Signal()  # the byte whose bits pass
        m.d.comb += [
            full.eq(left == 0),
            ready.eq(self.o.ready),
            self.o.payload.eq(encoder.o_data),
            encoder.taken.eq(self.o.valid & ready),
            crc.step.eq(self.shifted),
            crc.bit.eq(self.bit & ~was_zero),
            crc.shift.eq(was_crc),
        ]
        with m.If(encoder.taken):
            m.d.sync += [was_zero.eq(encoder.zero), was_crc.eq(0)]

        def put(value: Value | int, then: str) -> None:
            m.d.comb += [self.o.valid.eq(1), encoder.data.eq(value)]
            with m.If(ready):
                m.next = then

        with m.FSM(name="sender"):
            with m.State("END"):
                m.d.comb += encoder.end.eq(1)
                put(0, "IDLE")
            with m.State("IDLE"):
                m.d.comb += self.start.eq(1)
                m.d.sync += [boundary.eq(1), reading.eq(read), self.o_page.eq(self.page)]
                with m.If(read | told | self.i.valid):
                    m.next = "KIND"
            with m.State("KIND"):
                m.d.comb += crc.clear.eq(1)  # the bits of the packet before have passed once this byte is taken
                put(Mux(reading, Kind.REGISTERS, Kind.RESULT), "SESSION")
            with m.State("SESSION"):
                put(self.session, "SEQUENCE")
            with m.State("SEQUENCE"):
                put(Mux(reading, self.o_page, sequence), "RESULTS")
                m.d.sync += left.eq(MAX_RESULTS)
                with m.If(ready & reading):
                    m.d.sync += read.eq(0)
                    m.next = "PAGE"
            with m.State("PAGE"):
                m.d.comb += [self.o.valid.eq(self.registers.valid), encoder.data.eq(self.registers.payload)]
                m.d.comb += self.registers.ready.eq(ready)
                m.d.sync += left.eq(CRC - 1)
                with m.If(ready & self.registers.valid & self.registers_last):
                    m.next = "CRC"
            with m.State("RESULTS"):
                m.d.comb += [self.o.valid.eq(self.i.valid & ~full), encoder.data.eq(self.i.payload)]
                m.d.comb += self.i.ready.eq(ready & ~full)
                with m.If(ready):
                    with m.If(self.o.valid):
                        m.d.sync += [boundary.eq(self.i_last), left.eq(left - 1)]
                    with m.Elif(full | told | read | boundary & self.quiet):
                        m.next = "EXPECTED"
            with m.State("EXPECTED"):
                put(self.expected, "FREE")
            with m.State("FREE"):
                put(Cat(self.free, answer, again), "CRC")
                m.d.sync += left.eq(CRC - 1)
                with m.If(ready):
                    m.d.sync += [sequence.eq(sequence + 1), report.eq(0), answer.eq(0), again.eq(0)]
            with m.State("CRC"):
                put(crc.value[:8], "CRC")
                with m.If(ready):
                    m.d.sync += [left.eq(left - 1), was_crc.eq(1)]
                    with m.If(full):
                        m.next = "CODE"
            with m.State("CODE"):
                put(0, "END")
        for pending, strobe in zip((report, answer, again, read), _FLAGS[1:], strict=True):
            with m.If(getattr(self, strobe)):
                m.d.sync += pending.eq(1)
        return m
