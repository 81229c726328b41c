"""The FIFO between a unit's fixed-latency pipeline and its output stream."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.rom import NO_COLLISION
from sterna.net.errors import InvalidValueError

#: Cycles from a result's arrival to its first cycle in the output stream.
FIFO_LATENCY = 2


def fifo_depth(in_flight: int) -> int:
    """Results that a unit's output FIFO holds, a power of two.

    Twice those that may be in flight: while a unit that was stopped fills its pipeline again, as many leave the FIFO.
    """
    return 1 << max((2 * in_flight - 1).bit_length(), (in_flight + 1).bit_length())


class ResultFifo(wiring.Component):
    """Holds results that the output stream does not take yet.

    Amaranth's FIFOs look whether they are full before each write. This one need not: whoever writes looks at ``level``
    early enough to have stopped (:func:`fifo_depth`), which a simulation asserts.

    Latency: ``FIFO_LATENCY`` cycles. Throughput: one result a cycle. ``o`` holds one result more than ``depth``.

    Parameters
    ----------
    shape : :class:`Shape`
        Shape of a result.
    depth : :class:`int`
        Results that fit, a power of two: the pointers wrap by themselves.

    Members
    -------
    i_valid : ``In(1)``; i_data : ``In(shape)``
        A result to be written.
    o : ``Out(stream.Signature(shape))``
        Results, in the order of writing.
    level : ``Out(range(depth + 1))``
        Results in the memory.

    Raises
    ------
    :exc:`ValueError`
        If ``depth`` is no power of two above 1.
    """

    i_valid: Signal
    i_data: Signal
    o: stream.Interface
    level: Signal

    def __init__(self, *, shape: Shape, depth: int) -> None:
        if depth < 2 or depth & (depth - 1):
            raise InvalidValueError(f"depth must be a power of two above 1, not {depth}")
        self._shape = shape
        self._depth = depth
        super().__init__(
            {
                "i_valid": In(1),
                "i_data": In(shape),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # a result is read in a cycle after the one that wrote it, so no address is both at once
        storage: Memory = Memory(shape=self._shape, depth=self._depth, init=[], attrs=NO_COLLISION)
        m.submodules.storage = storage
        write, read = storage.write_port(), storage.read_port()
        move, some = Signal(), Signal()
        m.d.comb += [
            write.en.eq(self.i_valid),
            write.data.eq(self.i_data),
            move.eq(some & (~self.o.valid | self.o.ready)),
            read.en.eq(move),
            self.o.payload.eq(read.data),
        ]
        # `some` says that the level is not 0. The level's adder does not wait for `move`: whether the reader is ready
        # comes late, from another unit
        m.d.sync += [
            some.eq(self.i_valid | (self.level > 1) | some & ~move),
            self.o.valid.eq(some | self.o.valid & ~self.o.ready),
        ]
        with m.If(self.i_valid ^ move):
            m.d.sync += self.level.eq(self.level + Mux(self.i_valid, 1, -1))
        with m.If(self.i_valid):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(move):
            m.d.sync += read.addr.eq(read.addr + 1)
        return m
