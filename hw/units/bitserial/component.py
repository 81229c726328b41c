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
from sterna.hw.units.bitserial.adders import add_bits, add_graph
from sterna.hw.units.bitserial.codes import Constants, ShiftMarks, read_levels, read_scores, read_shifted
from sterna.net import ShiftRound, Thresholds

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import BitserialPlan


class BitserialUnit(wiring.Component):
    """Every sum of a dense layer at once, a bit of each a cycle, from the lowest on.

    A frame begins with its last beat; the beats before are held. Its inputs lie in shift registers, which give their
    lowest bits in the cycle after. Each level of adders takes a cycle. Sums of different depth wait, so that all rows'
    bits come in the same cycle where codes are read off them.

    Throughput: one frame in ``layer.bits`` cycles. Latency: ``plan.latency`` cycles from the last beat, and the
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
        inputs = self._load(m, taken, full)
        tokens: list[Value] = [taken]  # where a frame's lowest bits are: token k is there k cycles after it began
        for k in range(plan.latency):
            tokens.append(delay(m, tokens[-1], 1, f"token_{k + 1}"))
        sums = add_graph(m, plan.graph, inputs, tokens[1:])
        plan.outlet.emit(m, self.o, self._results(m, sums, tokens), tokens[plan.latency], left)
        return m

    def _load(self, m: Module, taken: Signal, full: Signal) -> list[Signal | None]:
        """The lowest bit of each input that is used; ``taken`` is driven."""
        plan = self._plan
        beats, elements, width = plan.stream.beats, plan.stream.elements, plan.layer.input_type.width
        valid, ready, payload = self.i.valid, self.i.ready, Value.cast(self.i.payload)
        if self._framed:
            valid, ready, payload = guarded(m, self, beats=beats)
        busy, at_end, beat = Signal(), Signal(init=beats == 1), Signal(range(beats))
        left = Signal(range(plan.layer.bits))  # cycles until the next frame may begin
        with m.If(taken):
            m.d.sync += [busy.eq(1), left.eq(plan.layer.bits - 2)]
        with m.Else():
            m.d.sync += [left.eq(left - 1), busy.eq(busy & (left != 0))]
        m.d.comb += [ready.eq(~at_end | ~busy & ~full), taken.eq(valid & ready & at_end)]
        if beats > 1:
            with m.If(valid & ready):
                m.d.sync += [beat.eq(Mux(at_end, 0, beat + 1)), at_end.eq(beat == beats - 2)]
        bits: list[Signal | None] = []
        for column, used in enumerate(np.asarray(plan.layer.weights.any(axis=0))):
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
            sign = register[-1] if plan.layer.input_type.signed else Const(0, 1)
            m.d.sync += register.eq(Mux(taken, code, Cat(register[1:], sign)))
            lowest = Signal(name=f"input_{column}_bit")
            m.d.comb += lowest.eq(register[0])
            bits.append(lowest)
        return bits

    def _results(self, m: Module, sums: list[Signal], tokens: list[Value]) -> list[Value]:
        """All results, in the cycle of the last token."""
        layer, there = self._plan.layer, self._plan.depth + 1  # sums' lowest bits are there with this token
        negative, last = self._plan.graph.negative, self._plan.depth + layer.bits
        if isinstance(layer.requantize, Thresholds):
            turned = []
            for row, bit in enumerate(sums):
                turned.append(Signal(name=f"turned_{row}", reset_less=True))
                m.d.sync += turned[-1].eq(bit ^ tokens[last])
            return read_levels(
                m,
                turned,
                layer.requantize,
                offset=layer.offset,
                negative=negative,
                bounds=layer.bounds,
                constants=Constants(m, self._position(m, tokens[there]), layer.bits, turned=True),
                first=tokens[there + 1],
            )
        constants = Constants(m, self._position(m, tokens[there - 1]), layer.bits, turned=False)
        added = []
        for row, (bit, value) in enumerate(zip(sums, layer.added.tolist(), strict=True)):
            constant, minus = constants.bit(value), bool(negative[row])
            left, right = (constant, bit) if minus else (bit, constant)
            added.append(add_bits(m, left, right, tokens[there], subtract=minus, name=f"biased_{row}"))
        if isinstance(layer.requantize, ShiftRound):
            marks = ShiftMarks(m, tokens, there + 1, layer.bits, layer.requantize.output)
            return read_shifted(m, added, layer.requantize, marks)
        return read_scores(m, added, layer.bits)

    def _position(self, m: Module, lowest: Value) -> Value:
        """Number of a bit, 0 in the cycle of the token of the lowest."""
        position = Signal(range(self._plan.layer.bits))
        m.d.sync += position.eq(Mux(lowest, 1, position + 1))
        return Mux(lowest, 0, position)
