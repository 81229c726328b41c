"""Consistent overhead byte stuffing (Cheshire and Baker, 1999), for bodies of at most 253 bytes.

A body of so few bytes takes one byte more, and the code 255, of a block without a zero behind it, never comes.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class CobsDecoder(wiring.Component):
    """Bytes of a body from bytes of a line, in the same cycle.

    A zero that ends a block comes out with the next block's code, so that at most one byte comes out for one that comes
    in. Nothing waits. What a zero byte ends while ``inside`` is no packet.

    Members
    -------
    data : ``In(8)``; valid : ``In(1)``
        A byte of the line.
    o_data : ``Out(8)``; o_valid : ``Out(1)``
        A byte of the body.
    end : ``Out(1)``
        A zero byte: the packet's end, or the start of the first one.
    inside : ``Out(1)``
        The byte that comes next is one of a block; else a code, or the zero byte. So it is known before it comes.
    gives : ``Out(1)``
        The byte that comes next gives one of the body, unless it is the zero byte.
    """

    data: Signal
    valid: Signal
    o_data: Signal
    o_valid: Signal
    end: Signal
    inside: Signal
    gives: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "o_data": Out(8),
                "o_valid": Out(1),
                "end": Out(1),
                "inside": Out(1),
                "gives": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(8)  # bytes of the block that are still to come
        begun, zero = Signal(), Signal()
        m.d.comb += [
            self.inside.eq(left != 0),
            self.gives.eq(self.inside | begun),
            zero.eq(self.data == 0),
            self.o_data.eq(Mux(self.inside, self.data, 0)),
            self.o_valid.eq(self.valid & ~zero & self.gives),
            self.end.eq(self.valid & zero),
        ]
        with m.If(self.valid):
            m.d.sync += begun.eq(~zero)
            with m.If(zero):
                m.d.sync += left.eq(0)
            with m.Else():
                m.d.sync += left.eq(Mux(self.inside, left, self.data) - 1)
        return m


class CobsEncoder(wiring.Component):
    """Bytes of a line from bytes of a body, stuffed backwards: a block's code stands behind it, not before.

    Where a zero would go, there goes how far the zero before it, or the packet's start, lies back. So nothing has to be
    known of what comes later, and nothing is kept. Whoever reads turns the bytes of a packet around, undoes COBS, and
    turns them around again.

    Latency: none. Throughput: a byte a cycle. A body of n bytes gives n + 1, and the zero byte.

    Members
    -------
    data : ``In(8)``
        A byte of the body; behind the last one, 0, which gives the last code.
    end : ``In(1)``
        With 0: instead, the zero byte behind the packet.
    o_data : ``Out(8)``
        The byte of the line.
    taken : ``In(1)``
        It was taken.
    zero : ``Out(1)``
        The byte of the body is 0.
    """

    data: Signal
    end: Signal
    o_data: Signal
    taken: Signal
    zero: Signal

    def __init__(self) -> None:
        super().__init__({"data": In(8), "end": In(1), "o_data": Out(8), "taken": In(1), "zero": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        code = Signal(8, init=1)
        m.d.comb += [self.zero.eq(self.data == 0), self.o_data.eq(Mux(self.end, 0, Mux(self.zero, code, self.data)))]
        with m.If(self.taken):
            m.d.sync += code.eq(code + 1)
            with m.If(self.zero):
                m.d.sync += code.eq(1)
        return m
