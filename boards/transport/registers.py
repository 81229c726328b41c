"""What a host can read of a board: constants and counters in one memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import COUNTERS, COUNTERS_AT, PAGE, PAGES, TURN
from sterna.net.errors import InvalidValueError

_STEPS = TURN // 2  # of a turn, two cycles each: a byte of the counters each, and the last one for who reads
_NO_COLLISION: dict[str, Any] = {"no_rw_check": 1}


class Registers(wiring.Component):
    """A memory of four pages of 32 bytes: constants, and counters that go through one adder, byte by byte.

    In each turn of ``TURN`` cycles, every counter's bytes are read, and written again with what happened since. The
    first counter counts turns. An event may happen once a turn. Counters start with the bitstream: a reset leaves them.

    Throughput: a byte to read in a turn. Cost: one block RAM.

    Parameters
    ----------
    constants : bytes
        What stands before the counters, from address 0 on.

    Members
    -------
    page : ``In(2)``; start : ``In(1)``
        Which page is to be read, and that it is to be read from its start.
    o : ``Out(stream.Signature(8))``; o_last : ``Out(1)``
        The bytes of the page, and whether the one offered is the last.
    events : ``In(4)``
        What is counted behind the turns, in the order of ``COUNTERS``.

    Raises
    ------
    ValueError
        If there are too many constants.
    """

    page: Signal
    start: Signal
    o: stream.Interface
    o_last: Signal
    events: Signal

    def __init__(self, *, constants: bytes) -> None:
        if len(constants) > COUNTERS_AT:
            raise InvalidValueError(f"there is room for {COUNTERS_AT} bytes of constants, not for {len(constants)}")
        self._constants = constants
        super().__init__(
            {
                "page": In(range(PAGES)),
                "start": In(1),
                "o": Out(stream.Signature(8)),
                "o_last": Out(1),
                "events": In(len(COUNTERS) - 1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What is read while it is written is not looked at.
        storage: Memory = Memory(shape=8, depth=PAGE * PAGES, init=list(self._constants), attrs=_NO_COLLISION)
        m.submodules.storage = storage
        write, read = storage.write_port(), storage.read_port()
        later, step, offset = Signal(), Signal(range(_STEPS)), Signal(range(PAGE))
        reads, sum_, carry = Signal(), Signal(9), Signal()
        m.d.comb += [
            reads.eq(step == _STEPS - 1),
            read.addr.eq(Mux(reads, Cat(offset, self.page), Cat(step, Const(COUNTERS_AT // _STEPS, 3)))),
            write.addr.eq(read.addr),
            write.en.eq(later & ~reads),
            write.data.eq(sum_),
        ]
        m.d.sync += [later.eq(~later), step.eq(step + later)]
        more = Signal()
        m.d.comb += [sum_.eq(read.data + more), more.eq(carry)]
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
                with m.If(later):
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
