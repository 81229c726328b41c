"""What a host can read of a board: constants, counters and the digests of networks in one memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import COUNTERS, COUNTERS_AT, DIGEST_PAGE, LOAD_PAGES, PAGE, PAGES, TURN
from sterna.net.errors import InvalidValueError

_STEPS = TURN // 2  # of a turn, two cycles each: a byte of the counters each, and the last one for who reads
_STORES = _STEPS - 2  # the step behind the counters, in which a byte of a digest is written
_NO_COLLISION: dict[str, Any] = {"no_rw_check": 1}


class Registers(wiring.Component):
    """A memory of four pages of 32 bytes: constants, and counters that go through one adder, byte by byte.

    In each turn of ``TURN`` cycles, every counter's bytes are read, and written again with what happened since. The
    first counter counts turns. An event may happen once a turn. Counters start with the bitstream: a reset leaves them.

    With ``more`` there are 16 pages. Two of them hold digests, which can be written, and which a reset leaves, too.

    Throughput: a byte to read in a turn, and one to write. Cost: one block RAM.

    Parameters
    ----------
    constants : bytes
        What stands before the counters, from address 0 on.
    more : bytes, optional
        What stands behind their page when the board starts.

    Members
    -------
    page : ``In(2)``, or ``In(4)``; start : ``In(1)``
        Which page is to be read, and that it is to be read from its start.
    o : ``Out(stream.Signature(8))``; o_last : ``Out(1)``
        The bytes of the page, and whether the one offered is the last.
    events : ``In(4)``
        What is counted behind the turns, in the order of ``COUNTERS``.
    digest : ``In(stream.Signature(8))``; place : ``In(6)``
        With ``more``: a byte that is written, and its place in the pages from ``DIGEST_PAGE`` on.

    Raises
    ------
    ValueError
        If there are too many constants, or too much behind the counters.
    """

    page: Signal
    start: Signal
    o: stream.Interface
    o_last: Signal
    events: Signal
    digest: stream.Interface
    place: Signal

    def __init__(self, *, constants: bytes, more: bytes | None = None) -> None:
        if len(constants) > COUNTERS_AT:
            raise InvalidValueError(f"there is room for {COUNTERS_AT} bytes of constants, not for {len(constants)}")
        self._pages = PAGES if more is None else LOAD_PAGES
        self._init = constants.ljust(PAGES * PAGE, b"\0") + (more or b"")
        if len(self._init) > self._pages * PAGE:
            raise InvalidValueError(f"{len(self._init)} bytes do not fit {self._pages} pages")
        super().__init__(
            {
                "page": In(range(self._pages)),
                "start": In(1),
                "o": Out(stream.Signature(8)),
                "o_last": Out(1),
                "events": In(len(COUNTERS) - 1),
                **({} if more is None else {"digest": In(stream.Signature(8)), "place": In(range(2 * PAGE))}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What is read while it is written is not looked at.
        storage: Memory = Memory(shape=8, depth=PAGE * self._pages, init=list(self._init), attrs=_NO_COLLISION)
        m.submodules.storage = storage
        write, read = storage.write_port(), storage.read_port()
        later, step, offset = Signal(), Signal(range(_STEPS)), Signal(range(PAGE))
        reads, sum_, carry = Signal(), Signal(9), Signal()
        m.d.comb += [
            reads.eq(step == _STEPS - 1),
            read.addr.eq(Mux(reads, Cat(offset, self.page), Cat(step, Const(COUNTERS_AT // _STEPS, 5)))),
            write.addr.eq(read.addr),
            write.en.eq(later & ~reads),
            write.data.eq(sum_),
        ]
        if self._pages > PAGES:
            with m.If(step == _STORES):
                m.d.comb += [
                    write.addr.eq(Cat(self.place, Const(DIGEST_PAGE * PAGE >> len(self.place), 3))),
                    write.en.eq(later & self.digest.valid),
                    write.data.eq(self.digest.payload),
                    self.digest.ready.eq(later),
                ]
        m.d.sync += [later.eq(~later), step.eq(step + later)]
        more, addend = Signal(), Signal()  # the addend is chosen in a step's first cycle, and added in its second
        m.d.comb += [sum_.eq(read.data + addend), more.eq(carry)]
        m.d.sync += addend.eq(more)
        with m.If(later):
            m.d.sync += carry.eq(sum_[8])
        self._count(m, step, later, more)
        self._read(m, reads & later, offset, read.data)
        return m

    def _count(self, m: Module, step: Signal, later: Signal, more: Signal) -> None:
        """What is added to the lowest byte of each counter."""
        pending = Signal.like(self.events)
        first = 0
        for number, octets in enumerate(COUNTERS.values()):
            with m.If(step == first):
                m.d.comb += more.eq(pending[number - 1] if number else 1)
                with m.If(~later):
                    m.d.sync += pending[number - 1].eq(0) if number else []
            first += octets
        for bit, event in zip(pending, self.events, strict=True):
            with m.If(event):
                m.d.sync += bit.eq(1)

    def _read(self, m: Module, now: Any, offset: Signal, data: Any) -> None:
        """The byte of a page that is held, fetched once it was taken."""
        wanted = Signal()
        with m.If(~self.o.valid):
            m.d.sync += wanted.eq(~now)
        with m.If(now & wanted):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(data), wanted.eq(0)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), offset.eq(offset + 1)]
        with m.If(self.start):
            m.d.sync += [self.o.valid.eq(0), wanted.eq(0), offset.eq(0)]
        m.d.comb += self.o_last.eq(offset == PAGE - 1)
