"""Packets from a memory to the line: those of the writer, and the info packet."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import FREE_BITS
from sterna.boards.transport.writer import TRAILER, PacketWriter
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidValueError

#: Bytes of the memory: the info packet, and two halves for the others.
DEPTH = 512
#: Bytes of the info packet as it goes over the line, at most; the halves begin behind them.
INFO_BYTES = 128
#: Bytes of a half.
HALF = (DEPTH - INFO_BYTES) // 2
#: Bytes of results in a packet, at most: a half without code, header and what follows.
MAX_RESULTS = HALF - TRAILER - 4
_NO_COLLISION: dict[str, Any] = {"no_rw_check": 1}
_PASSED = ("i_last", "session", "expected", "free", "quiet", "report", "answer", "again", "counters", "values")


class PacketSender(wiring.Component):
    """Sends packets of results and counters, as :class:`PacketWriter` makes them, and the info packet.

    A packet is written to one half of a memory while the other one is sent.

    Cost: one block RAM of 512 bytes.

    Parameters
    ----------
    info : bytes
        The info packet as it goes over the line, with its zero byte.
    counter_bytes : int
        Bytes of all counters.

    Members
    -------
    i, i_last, session, expected, free, quiet, report, answer, again, counters, values :
        As the writer's.
    info : ``In(1)``
        The info packet is asked for. For one cycle.
    clear : ``In(1)``
        Forget results, and what is to be told; packets are numbered from 0 on. What is on the line goes on.
    o : ``Out(stream.Signature(8))``
        To the line.

    Raises
    ------
    ValueError
        If the info packet is too long, or does not end with a zero byte.
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
    info: Signal
    clear: Signal
    o: stream.Interface

    def __init__(self, *, info: bytes, counter_bytes: int) -> None:
        if len(info) > INFO_BYTES or not info.endswith(b"\0"):
            raise InvalidValueError(
                f"an info packet has at most {INFO_BYTES} bytes, the last one zero, not {len(info)}: {info[-1:]!r}"
            )
        self._info = info
        self._counter_bytes = check_integer(counter_bytes, "counter_bytes", low=1)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "i_last": In(1),
                "session": In(8),
                "expected": In(8),
                "free": In(FREE_BITS),
                **{name: In(1) for name in ("quiet", "report", "answer", "again", "counters", "info", "clear")},
                "values": In(8 * counter_bytes),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        storage: Memory = Memory(shape=8, depth=DEPTH, init=list(self._info), attrs=_NO_COLLISION)
        m.submodules.storage = storage  # a half is read only after it is written
        write, read = storage.write_port(), storage.read_port()
        writer = PacketWriter(width=len(write.addr), counter_bytes=self._counter_bytes)
        m.submodules.writer = ResetInserter(self.clear)(writer)
        wiring.connect(m, wiring.flipped(self.i), writer.i)
        for name in _PASSED:
            m.d.comb += getattr(writer, name).eq(getattr(self, name))
        half, info, sending, fetched = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            writer.base.eq(Mux(half, INFO_BYTES + HALF, INFO_BYTES)),
            writer.last.eq(Mux(half, DEPTH - TRAILER, INFO_BYTES + HALF - TRAILER)),
            writer.yielding.eq(info),
            writer.busy.eq(sending),
            write.addr.eq(writer.address),
            write.data.eq(writer.write),
            write.en.eq(writer.enable),
            self.o.payload.eq(read.data),
            self.o.valid.eq(sending & fetched),
        ]
        m.d.sync += fetched.eq(sending)
        with m.If(writer.done):
            m.d.sync += [half.eq(~half), read.addr.eq(writer.base), sending.eq(1), fetched.eq(0)]
        with m.Elif(info & writer.idle & ~sending):
            m.d.sync += [info.eq(0), read.addr.eq(Const(0)), sending.eq(1), fetched.eq(0)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [read.addr.eq(read.addr + 1), fetched.eq(0)]
            with m.If(read.data == 0):
                m.d.sync += sending.eq(0)
        with m.If(self.info):
            m.d.sync += info.eq(1)
        return m
