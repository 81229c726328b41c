"""What stands between a pipeline that nothing stops and its output stream: places, requantizers, output FIFO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Shape, Signal, Value, unsigned
from amaranth.lib import data

from sterna.hw.parts.fifo import FIFO_LATENCY, ResultFifo
from sterna.hw.parts.requantize import elements, requantizer
from sterna.hw.parts.tables import Tables


@dataclass(frozen=True, kw_only=True)
class Outlet:
    """A unit's way out.

    A beat of results takes a place when it begins, and gives it back as it leaves; nothing begins without a place.
    There are as many as the FIFO has words, so that whatever is on its way finds room.

    Throughput: one beat in ``spacing`` cycles. Latency: ``latency + FIFO_LATENCY`` cycles from a beat's begin to its
    first cycle in the stream. Cost: the requantizers, the FIFO, a counter.

    Attributes
    ----------
    shape : Shape
        Of a result as the pipeline gives it.
    tables : Tables or None
        What the requantizers store; None: results leave as they are.
    elements : int
        Results in a beat.
    beats : int
        Beats of each row of the tables, one after the other.
    pipeline : int
        Cycles from a beat's begin to the end of the pipeline.
    spacing : int
        Cycles from a beat's begin to the next one's, at least.
    """

    shape: Shape
    tables: Tables | None
    elements: int
    beats: int
    pipeline: int
    spacing: int = 1

    @property
    def element(self) -> Shape:
        """Of a result that leaves."""
        return self.shape if self.tables is None else self.tables.output_shape

    @property
    def latency(self) -> int:
        """Cycles from a beat's begin to its arrival at the FIFO."""
        return self.pipeline + (0 if self.tables is None else self.tables.latency)

    @property
    def depth(self) -> int:
        """Places, a power of two: as many as may be taken at full rate."""
        return 1 << ((self.latency + FIFO_LATENCY) // self.spacing).bit_length()

    def full(self, m: Module, begins: Value, left: Value) -> Signal:
        """Whether all places are taken; ``begins`` and ``left`` say that one is taken, and given back."""
        out, full = Signal(range(self.depth + 1)), Signal()
        with m.If(begins & ~left):
            m.d.sync += [out.eq(out + 1), full.eq(out == self.depth - 1)]
        with m.Elif(~begins & left):
            m.d.sync += [out.eq(out - 1), full.eq(0)]
        return full

    def emit(self, m: Module, o: Any, results: Sequence[Value], done: Value, left: Signal) -> None:
        """Requantizes what the pipeline gives in the cycles of ``done``, and gives it to the stream ``o``.

        ``left`` is driven: a beat leaves.
        """
        codes = results
        if self.tables is not None:
            m.submodules.requantizer = unit = requantizer(self.tables, width=self.elements, beats=self.beats)
            sums = elements(unit.i_sum, self.tables.sum_shape, self.elements)
            m.d.comb += [unit.i_valid.eq(done), *(each.eq(result) for each, result in zip(sums, results, strict=True))]
            codes, done = elements(unit.o_data, self.element, self.elements), unit.o_valid
        shape = data.ArrayLayout(self.element, self.elements)
        m.submodules.fifo = fifo = ResultFifo(shape=unsigned(shape.size), depth=self.depth)
        transfer = Signal()  # for simulations that follow the unit's results: NAME.json, "trace"
        m.d.comb += [
            fifo.i_valid.eq(done),
            fifo.i_data.eq(Cat(*(Value.cast(code)[: self.element.width] for code in codes))),
            o.valid.eq(fifo.o.valid),
            Value.cast(o.payload).eq(fifo.o.payload),
            fifo.o.ready.eq(o.ready),
            transfer.eq(o.valid & o.ready),
            left.eq(transfer),
        ]
