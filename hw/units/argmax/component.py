"""The class with the highest score."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

#: Cycles from the last score's transfer to the index.
ARGMAX_LATENCY = 1


class Argmax(wiring.Component):
    """Index of the highest of each ``count`` scores, the lowest among equals (docs/arithmetic.md).

    Throughput: one score a cycle. Latency: ``ARGMAX_LATENCY`` cycles from the last score. Stalls while an index is not
    taken. Cost: one comparator.

    Parameters
    ----------
    count : :class:`int`
        Scores of a frame.
    shape : :class:`Shape`
        Shape of a score.

    Members
    -------
    i : ``In(stream.Signature(shape))``
        Scores, by index.
    o : ``Out(stream.Signature(range(count)))``
        One index a frame.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, count: int, shape: Shape) -> None:
        self._count = count
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(range(count)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index = Signal(range(self._count))
        best = Signal(self._shape)
        best_index = Signal(range(self._count))
        better = Signal()
        winner = Signal(range(self._count))
        m.d.comb += [
            better.eq((index == 0) | (self.i.payload > best)),
            winner.eq(Mux(better, index, best_index)),
            self.i.ready.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [best_index.eq(winner), index.eq(index + 1)]
            with m.If(better):
                m.d.sync += best.eq(self.i.payload)
            with m.If(index == self._count - 1):
                m.d.sync += [index.eq(0), self.o.valid.eq(1), self.o.payload.eq(winner)]
        return m
