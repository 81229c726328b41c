"""Data packets between their arrival and the accelerator."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import HEADER, MAX_SLOTS, Kind
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidValueError

#: Bytes of a slot: a body, with its header and CRC.
SLOT = 256
#: Of a memory whose collisions give what nobody looks at.
_NO_COLLISION: dict[str, Any] = {"no_rw_check": 1}


class PacketBuffer(wiring.Component):
    """Slots for packets: one is written while others are read.

    A packet is written to a free slot as it comes. Until it is committed, the next one takes its place. Where no slot
    is free when its first byte comes, nothing of it is written, and ``room`` is low until it ends.

    Throughput: a byte in two cycles. Cost: one block RAM of ``256 * slots`` bytes.

    Parameters
    ----------
    slots : int
        Packets that fit: a power of two, 2 to ``MAX_SLOTS``.
    loads : bool
        Packets may be of a load.

    Members
    -------
    between : ``In(1)``
        No byte of a packet has come yet.
    data : ``In(8)``; place : ``In(8)``; valid : ``In(1)``
        A byte of a body, header and CRC too, and its place.
    commit : ``In(1)``
        The packet counts; in a cycle without ``valid``, and only with ``room``.
    room : ``Out(1)``
        The packet is written.
    o : ``Out(stream.Signature(8))``
        What the packets that count carry: of each, so many bytes as the first byte behind its header says, from the
        next one on.
    load, last : ``Out(1)``
        What is offered is of a load, where there are some; it is the last byte of one.
    free : ``Out(range(slots + 1))``
        Slots that hold no packet that counts.
    empty : ``Out(1)``
        All are free.
    freed : ``Out(1)``
        The last byte of a packet was taken, for one cycle.

    Raises
    ------
    TypeError, ValueError
        If ``slots`` is none of these.
    """

    between: Signal
    data: Signal
    place: Signal
    valid: Signal
    commit: Signal
    room: Signal
    o: stream.Interface
    load: Signal
    last: Signal
    free: Signal
    empty: Signal
    freed: Signal

    def __init__(self, *, slots: int, loads: bool = False) -> None:
        self._slots = check_integer(slots, "slots", low=2, high=MAX_SLOTS)
        if slots & (slots - 1):
            raise InvalidValueError(f"slots must be a power of two, not {slots}")
        self._loads = loads
        super().__init__(
            {
                "between": In(1),
                "data": In(8),
                "place": In(8),
                "valid": In(1),
                "commit": In(1),
                "room": Out(1),
                "o": Out(stream.Signature(8)),
                **({"load": Out(1), "last": Out(1)} if loads else {}),
                "free": Out(range(slots + 1)),
                "empty": Out(1),
                "freed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Written and read at once is only what is not looked at: a byte of a slot before it is committed.
        storage: Memory = Memory(shape=8, depth=SLOT * self._slots, init=[], attrs=_NO_COLLISION)
        m.submodules.storage = storage
        write, read = storage.write_port(), storage.read_port()
        writing, reading = Signal(range(self._slots)), Signal(range(self._slots))  # slots
        first = 0 if self._loads else HEADER
        place, end = Signal(8, init=first), Signal(8)  # the next byte's, unless it waits; behind the last one
        used = Signal(range(self._slots + 1))
        with m.If(self.between):
            m.d.sync += self.room.eq(used != self._slots)
        m.d.comb += [
            self.free.eq(self._slots - used),
            self.empty.eq(used == 0),
            write.en.eq(self.valid & self.room),
            write.addr.eq(Cat(self.place, writing)),
            write.data.eq(self.data),
            read.addr.eq(Cat(place, reading)),
            self.o.payload.eq(read.data),
        ]
        with m.If(self.commit):
            m.d.sync += writing.eq(writing + 1)
        with m.If(self.commit ^ self.freed):
            m.d.sync += used.eq(Mux(self.commit, used + 1, used - 1))
        if self._loads:
            ending = Signal()
            m.d.comb += self.last.eq(ending & (place == end))
        m.d.comb += read.en.eq(1)
        with m.FSM(name="drain"):
            with m.State("WAIT"), m.If(~self.empty):
                m.next = "KIND" if self._loads else "LENGTH"
            if self._loads:
                with m.State("KIND"):
                    kind = read.data[:3]
                    m.d.sync += [self.load.eq(kind != Kind.DATA), ending.eq(kind == Kind.LOAD_LAST), place.eq(HEADER)]
                    m.next = "SEEK"
                with m.State("SEEK"):
                    m.next = "LENGTH"
            with m.State("LENGTH"):
                m.d.sync += [end.eq(read.data + HEADER + 1), place.eq(HEADER + 1)]
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += place.eq(place + 1)
                m.next = "OFFER"
                with m.If(place == end):
                    m.d.comb += self.freed.eq(1)
                    m.d.sync += [place.eq(first), reading.eq(reading + 1)]
                    m.next = "PAUSE"
            with m.State("PAUSE"):  # the next slot's length is fetched
                m.next = "WAIT"
            with m.State("OFFER"):
                m.d.comb += [self.o.valid.eq(1), read.en.eq(0)]
                with m.If(self.o.ready):
                    m.next = "FETCH"
        return m
