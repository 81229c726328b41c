"""Frames of a stream whose ``last`` may come at the wrong place."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class FrameGuard(wiring.Component):
    """Passes frames of a fixed number of beats on, whatever ``last`` says.

    Where ``last`` comes early, beats of 0 take the place of those that are missing; where it does not come with the
    frame's last beat, beats are dropped up to and including the next ``last``. Either way ``error`` is high for a
    cycle, one cycle after the frame's last beat or the early ``last``.

    Latency: none. Throughput: one beat a cycle.

    Parameters
    ----------
    shape : :class:`Shape`
        Shape of a beat, as bits.
    beats : :class:`int`
        Beats of a frame.
    output : :class:`str`
        Name of the output stream: where the module around it has a stream ``o`` of its own, another one.

    Members
    -------
    i : ``In(stream.Signature(shape))``; i_last : ``In(1)``
    o : ``Out(stream.Signature(shape))``
    error : ``Out(1)``
    """

    i: stream.Interface
    i_last: Signal
    o: stream.Interface
    error: Signal

    def __init__(self, *, shape: Shape, beats: int, output: str = "o") -> None:
        self._beats = beats
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "i_last": In(1),
                output: Out(stream.Signature(shape)),
                "error": Out(1),
            }
        )
        self.o = getattr(self, output)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        filling, skipping, accepted, moved = Signal(), Signal(), Signal(), Signal()
        beat = Signal(range(self._beats))
        at_end = Signal(init=self._beats == 1)
        m.d.comb += [
            self.i.ready.eq(skipping | self.o.ready & ~filling),
            self.o.valid.eq(filling | self.i.valid & ~skipping),
            self.o.payload.eq(Mux(filling, 0, self.i.payload)),
            accepted.eq(self.i.valid & self.i.ready),
            moved.eq(self.o.valid & self.o.ready),
        ]
        if self._beats > 1:
            with m.If(moved):
                m.d.sync += [beat.eq(Mux(at_end, 0, beat + 1)), at_end.eq(beat == self._beats - 2)]
        m.d.sync += self.error.eq(accepted & ~skipping & (self.i_last ^ at_end))
        with m.If(filling), m.If(moved & at_end):
            m.d.sync += filling.eq(0)
        with m.Elif(accepted):
            m.d.sync += [
                filling.eq(~skipping & self.i_last & ~at_end),
                skipping.eq(~self.i_last & (skipping | at_end)),
            ]
        return m


def guarded(m: Module, unit: Any, *, beats: int, output: str = "o") -> tuple[Value, Value, Value]:
    """The valid, ready and payload of a unit's input behind a guard that looks at its ``i_last``.

    In the Verilog, the module around the guard has wires that are called like its ``output``. A module whose own stream
    is ``o`` gives it another name, or simulations that follow ``o`` see the guard's.
    """
    payload = unit.i.payload.as_value()
    m.submodules.guard = guard = FrameGuard(shape=payload.shape(), beats=beats, output=output)
    m.d.comb += [
        guard.i.valid.eq(unit.i.valid),
        guard.i.payload.eq(payload),
        guard.i_last.eq(unit.i_last),
        unit.i.ready.eq(guard.i.ready),
        unit.error.eq(guard.error),
    ]
    return guard.o.valid, guard.o.ready, guard.o.payload
