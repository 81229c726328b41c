"""From bytes of a line to packets that count: whole, of the session, in sequence."""

from __future__ import annotations

import zlib

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import CRC, HEADER, LOAD_PAGES, PAGES, Kind
from sterna.boards.transport.cobs import CobsDecoder
from sterna.boards.transport.crc import Crc32

#: The CRC of any bytes, their CRC, and a zero byte: the one that ends a packet might be a code as far as it knows.
_GOOD = zlib.crc32(zlib.crc32(b"").to_bytes(CRC, "little") + b"\0")
#: The largest place of a byte in a body that a receiver counts up to.
_LAST = 255

_STROBES = ("opened", "poll", "read", "damaged", "refused")


class PacketReceiver(wiring.Component):
    """Decodes packets, says which data packets count, and knows session and sequence.

    Bytes of a body leave as they come. Only at a packet's end is it known whether it counts: ``accepted`` is high for a
    cycle after the zero byte, or one of the other outputs that say what the packet was. ``opened`` is a cycle later
    than the others, and leaves a flip-flop, for it resets very much.

    Parameters
    ----------
    loads : bool
        Packets of a load are data packets, too, and there are ``LOAD_PAGES`` of registers.

    Members
    -------
    data : ``In(8)``; valid : ``In(1)``
        Bytes of the line.
    bit : ``In(1)``; sampled : ``In(1)``
        Before each byte, its bits, the lowest first, the last one two cycles before it or more.
    error : ``In(1)``
        A byte was lost: the packet that it belongs to is damaged.
    room : ``In(1)``
        A data packet can be kept; looked at when it ends.
    o_data : ``Out(8)``; o_valid : ``Out(1)``
        A byte of a body.
    place : ``Out(8)``
        Of that byte in the body; behind the last byte, how many there were.
    between : ``Out(1)``
        No byte of a packet has come yet.
    session, expected : ``Out(8)``
        The session, and the sequence number of the data packet that comes next.
    accepted : ``Out(1)``
        A data packet of the session, the next in sequence, has ended, and there is room.
    opened : ``Out(1)``
        A session begins in the next cycle, and nothing that came before counts.
    poll, read : ``Out(1)``; page : ``Out(2)``, or ``Out(4)``
        The host asks how things stand; for a page of registers: this one, from the next cycle on.
    damaged, refused : ``Out(1)``
        A packet was damaged; was whole, but of an unknown kind, another session, out of sequence, or without room.
    """

    data: Signal
    valid: Signal
    bit: Signal
    sampled: Signal
    error: Signal
    room: Signal
    o_data: Signal
    o_valid: Signal
    place: Signal
    between: Signal
    session: Signal
    expected: Signal
    accepted: Signal
    opened: Signal
    poll: Signal
    read: Signal
    page: Signal
    damaged: Signal
    refused: Signal

    def __init__(self, *, loads: bool = False) -> None:
        self._carrying = (Kind.DATA, *((Kind.LOAD, Kind.LOAD_LAST) if loads else ()))
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "bit": In(1),
                "sampled": In(1),
                "error": In(1),
                "room": In(1),
                "o_data": Out(8),
                "o_valid": Out(1),
                "place": Out(8),
                "between": Out(1),
                "session": Out(8),
                "expected": Out(8),
                "accepted": Out(1),
                "page": Out(range(LOAD_PAGES if loads else PAGES)),
                **{name: Out(1) for name in _STROBES},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.crc = crc = Crc32()
        m.d.comb += [
            decoder.data.eq(self.data),
            decoder.valid.eq(self.valid),
            self.o_data.eq(decoder.o_data),
            self.o_valid.eq(decoder.o_valid),
            crc.bit.eq(self.bit & decoder.inside),
            crc.step.eq(self.sampled & decoder.gives),
            crc.clear.eq(decoder.end),
        ]
        # bad: a byte was lost, or there are too many
        bad, good, some, right, whole = Signal(), Signal(), Signal(), Signal(), Signal()
        with m.If(decoder.end):
            m.d.sync += [bad.eq(0), self.place.eq(0)]
        with m.Elif(decoder.o_valid):
            m.d.sync += [bad.eq(bad | (self.place == _LAST)), self.place.eq(self.place + 1)]
        with m.If(self.error):
            m.d.sync += bad.eq(1)
        m.d.comb += [
            some.eq(decoder.end & (bad | (self.place != 0))),
            right.eq(~decoder.inside & good & ~bad & (self.place >= HEADER + CRC)),
        ]
        m.d.sync += [
            good.eq(crc.value == _GOOD),
            whole.eq(some & right),
            self.damaged.eq(some & ~right),
        ]
        self._judge(m, decoder, whole)
        return m

    def _judge(self, m: Module, decoder: CobsDecoder, whole: Value) -> None:
        """What becomes of a packet that is whole."""
        header = Signal(range(HEADER + 1))  # which byte of it comes next
        kind, other = Signal(3), Signal()
        session, ours, in_turn, page = Signal(8), Signal(), Signal(), Signal.like(self.page)
        open_ = Signal()
        m.d.comb += [self.between.eq(header == 0), ours.eq(session == self.session)]
        with m.If(decoder.end):
            m.d.sync += header.eq(0)
        with m.Elif(decoder.o_valid):
            with m.If(header != HEADER):
                m.d.sync += header.eq(header + 1)
            with m.If(header == 0):
                m.d.sync += [kind.eq(decoder.o_data), other.eq(decoder.o_data[3:] != 0)]
            with m.If(header == 1):
                m.d.sync += session.eq(decoder.o_data)
            with m.If(header == 2):
                m.d.sync += [in_turn.eq(decoder.o_data == self.expected), page.eq(decoder.o_data)]
        m.d.comb += self.refused.eq(whole)
        with m.If(whole & ~other), m.Switch(kind):
            with m.Case(*self._carrying):
                m.d.comb += self.accepted.eq(ours & in_turn & self.room)
                m.d.comb += self.refused.eq(~self.accepted)
            for asked, strobe in ((Kind.OPEN, open_), (Kind.POLL, self.poll), (Kind.READ, self.read)):
                with m.Case(asked):
                    m.d.comb += [strobe.eq(1), self.refused.eq(0)]
        m.d.sync += self.opened.eq(open_)
        with m.If(self.read):
            m.d.sync += self.page.eq(page)
        with m.If(self.opened):
            m.d.sync += [self.session.eq(session), self.expected.eq(0)]
        with m.Elif(self.accepted):
            m.d.sync += self.expected.eq(self.expected + 1)
