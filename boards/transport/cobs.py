"""Consistent overhead byte stuffing (Cheshire and Baker, 1999), for bodies of at most 253 bytes: one block, or several.

A body of so few bytes takes one byte more, and the code 255, of a block without a zero behind it, never comes.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class CobsDecoder(wiring.Component):
    """Bytes of a body from bytes of a line, in the same cycle.

    A zero that ends a block comes out with the next block's code, so that at most one byte comes out for one that comes
    in. Nothing waits. What a zero byte ends in the middle of a block is no packet.

    Members
    -------
    data : ``In(8)``; valid : ``In(1)``
        A byte of the line.
    o_data : ``Out(8)``; o_valid : ``Out(1)``
        A byte of the body.
    end : ``Out(1)``
        A zero byte: the packet's end, or the start of the first one.
    whole : ``Out(1)``
        With ``end``: the last block is complete.
    """

    data: Signal
    valid: Signal
    o_data: Signal
    o_valid: Signal
    end: Signal
    whole: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "o_data": Out(8),
                "o_valid": Out(1),
                "end": Out(1),
                "whole": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(8)  # bytes of the block that are still to come
        inside, first, zero = Signal(), Signal(init=1), Signal()
        m.d.comb += [
            inside.eq(left != 0),
            zero.eq(self.data == 0),
            self.o_data.eq(Mux(inside, self.data, 0)),
            self.o_valid.eq(self.valid & ~zero & (inside | ~first)),
            self.end.eq(self.valid & zero),
            self.whole.eq(~inside),
        ]
        with m.If(self.valid):
            m.d.sync += first.eq(zero)
            with m.If(zero):
                m.d.sync += left.eq(0)
            with m.Else():
                m.d.sync += left.eq(Mux(inside, left, self.data) - 1)
        return m


class CobsEncoder(wiring.Component):
    """Where the bytes of a body go in a memory, so that they stand there stuffed.

    The place of a block's code is left open, and filled once the next zero, or the end, says how long the block is. A
    body of n bytes takes n + 1 places. One byte a cycle; the memory's write port is the encoder's.

    Parameters
    ----------
    width : int
        Bits of an address.

    Members
    -------
    start : ``In(1)``; base : ``In(width)``
        Begin a packet at that address.
    data : ``In(8)``; valid : ``In(1)``
        A byte of the body.
    finish, delimit : ``In(1)``
        Fill the last code in; then write the zero byte behind the packet. One at a time, and not with ``valid``.
    address : ``Out(width)``; write : ``Out(8)``; enable : ``Out(1)``
        To the write port.
    place : ``Out(width)``
        Where the next byte will go.
    """

    start: Signal
    base: Signal
    data: Signal
    valid: Signal
    finish: Signal
    delimit: Signal
    address: Signal
    write: Signal
    enable: Signal
    place: Signal

    def __init__(self, *, width: int) -> None:
        self._width = width
        super().__init__(
            {
                "start": In(1),
                "base": In(width),
                "data": In(8),
                "valid": In(1),
                "finish": In(1),
                "delimit": In(1),
                "address": Out(width),
                "write": Out(8),
                "enable": Out(1),
                "place": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        code_place, code = Signal(self._width), Signal(8)  # the open code, and what it is as yet
        closes = Signal()
        m.d.comb += [
            closes.eq(self.finish | self.valid & (self.data == 0)),
            self.enable.eq(self.valid | self.finish | self.delimit),
            self.address.eq(Mux(closes, code_place, self.place)),
            self.write.eq(Mux(closes, code, Mux(self.delimit, 0, self.data))),
        ]
        with m.If(self.start):
            m.d.sync += [code_place.eq(self.base), self.place.eq(self.base + 1), code.eq(1)]
        with m.Elif(self.valid):
            m.d.sync += [self.place.eq(self.place + 1), code.eq(code + 1)]
            with m.If(closes):
                m.d.sync += [code_place.eq(self.place), code.eq(1)]
        return m
