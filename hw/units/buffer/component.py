"""The buffer in hardware: a FIFO, and behind it, where beats get narrower, a counter of their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.fifo import ResultFifo
from sterna.hw.parts.requantize import several

if TYPE_CHECKING:
    from sterna.hw.units.buffer.plan import BufferPlan


class BufferUnit(wiring.Component):
    """Holds beats until they are taken.

    Latency: ``FIFO_LATENCY`` cycles. Throughput: one output beat a cycle.

    Parameters
    ----------
    plan : :class:`BufferPlan`
        What to hold.

    Members
    -------
    i, o : ``In(stream.Signature(...))``, ``Out(stream.Signature(...))``
        Neighbouring elements of one channel, one or an array.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, plan: BufferPlan) -> None:
        self._plan = plan
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "o": Out(stream.Signature(several(plan.stream.element, plan.elements))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        assert plan.depth is not None  # held by BufferPlan.component
        bits = self.i.payload.as_value()
        m.submodules.fifo = fifo = ResultFifo(shape=unsigned(len(bits)), depth=plan.depth)
        m.d.comb += [
            self.i.ready.eq(fifo.level != plan.depth),
            fifo.i_valid.eq(self.i.valid & self.i.ready),
            fifo.i_data.eq(bits),
            self.o.valid.eq(fifo.o.valid),
        ]
        payload = Value.cast(self.o.payload)
        if plan.whole_parts == 1:
            m.d.comb += [payload.eq(fifo.o.payload), fifo.o.ready.eq(self.o.ready)]
            return m
        part, beat = Signal(range(plan.whole_parts)), Signal(range(plan.run_beats))
        run_ends, ends = Signal(), Signal()
        m.d.comb += [
            run_ends.eq(beat == plan.run_beats - 1),
            ends.eq(part == Mux(run_ends, plan.last_parts - 1, plan.whole_parts - 1)),
            payload.eq(fifo.o.payload.word_select(part, len(payload))),
            fifo.o.ready.eq(self.o.ready & ends),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(ends, 0, part + 1))
            with m.If(ends):
                m.d.sync += beat.eq(Mux(run_ends, 0, beat + 1))
        return m
