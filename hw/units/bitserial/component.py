"""The bit-serial unit in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.framing import guarded
from sterna.hw.parts.requantize import several
from sterna.hw.parts.rom import delay
from sterna.hw.units.bitserial.stage import StageLogic

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import BitserialPlan


class BitserialUnit(wiring.Component):
    """Every sum of some dense layers at once, a bit of each a cycle, from the lowest on.

    A frame begins with its last beat; the beats before are held. Its inputs lie in shift registers, which give their
    lowest bits in the cycle after. Codes of a layer pass to the next one bit by bit.

    Throughput: one frame in ``plan.bits`` cycles. Latency: ``plan.latency`` cycles from the last beat, and the
    outlet's. Cost: two tables and two registers for each adder.

    Parameters
    ----------
    plan : :class:`BitserialPlan`
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` must come with the frame's last beat (see :class:`FrameGuard`).

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`FrameGuard`.
    o : ``Out(stream.Signature(...))``
        All results of a frame, one or an array.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    o: stream.Interface

    def __init__(self, plan: BitserialPlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                "o": Out(stream.Signature(several(plan.element, plan.output.elements))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        taken, left = Signal(), Signal()
        full = plan.outlet.full(m, taken, left)
        bits = self._load(m, taken, full)
        tokens: list[Value] = [taken]  # where a frame's lowest bits are: token k is there k cycles after it began
        for k in range(plan.latency):
            tokens.append(delay(m, tokens[-1], 1, f"token_{k + 1}"))
        layers = []
        for k, (stage, begin) in enumerate(zip(plan.stages, plan.begins, strict=True)):
            m.submodules[f"layer_{k}"] = part = Module()
            layers.append(StageLogic(part, stage, plan.bits, tokens, begin))
        for layer in layers[:-1]:
            bits = [*layer.bits(bits)]
        results = layers[-1].results(bits)
        plan.outlet.emit(m, self.o, results, tokens[plan.latency], left)
        return m

    def _load(self, m: Module, taken: Signal, full: Signal) -> list[Signal | None]:
        """The lowest bit of each input that is used; ``taken`` is driven."""
        plan = self._plan
        first = plan.stages[0].layer
        beats, elements, width = plan.stream.beats, plan.stream.elements, first.input_type.width
        valid, ready, payload = self.i.valid, self.i.ready, Value.cast(self.i.payload)
        if self._framed:
            valid, ready, payload = guarded(m, self, beats=beats)
        busy, at_end, beat = Signal(), Signal(init=beats == 1), Signal(range(beats))
        left = Signal(range(plan.bits))  # cycles until the next frame may begin
        with m.If(taken):
            m.d.sync += [busy.eq(1), left.eq(plan.bits - 2)]
        with m.Else():
            m.d.sync += [left.eq(left - 1), busy.eq(busy & (left != 0))]
        m.d.comb += [ready.eq(~at_end | ~busy & ~full), taken.eq(valid & ready & at_end)]
        if beats > 1:
            with m.If(valid & ready):
                m.d.sync += [beat.eq(Mux(at_end, 0, beat + 1)), at_end.eq(beat == beats - 2)]
        bits: list[Signal | None] = []
        for column, used in enumerate(np.asarray(first.weights.any(axis=0))):
            if not used:
                bits.append(None)
                continue
            code: Value = payload.word_select(column % elements, width)
            if column // elements < beats - 1:
                held = Signal(width, name=f"held_{column}", reset_less=True)
                with m.If(valid & (beat == column // elements) & ~at_end):
                    m.d.sync += held.eq(code)
                code = held
            register = Signal(width, name=f"input_{column}", reset_less=True)
            sign = register[-1] if first.input_type.signed else Const(0, 1)
            # what is loaded and then not taken has no token: nobody reads it
            m.d.sync += register.eq(Mux(busy, Cat(register[1:], sign), code))
            lowest = Signal(name=f"input_{column}_bit")
            m.d.comb += lowest.eq(register[0])
            bits.append(lowest)
        return bits
