"""The addition unit in hardware."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.requantize import several
from sterna.hw.parts.rom import delay

if TYPE_CHECKING:
    from sterna.hw.units.add.plan import AddPlan

#: Cycles from a beat of every input to the register that its sums are in.
PIPELINE = 2


class AddUnit(wiring.Component):
    """``sum_i x_i << shift_i``, element by element, requantized.

    Throughput: one beat a cycle. A beat of each input is taken in the same cycle, once all are there and the output
    FIFO has room for the results: an input's ``ready`` depends on the others' ``valid``.

    Cost: an adder for each element of a beat and each input but one, and the requantizers.

    Parameters
    ----------
    plan : :class:`AddPlan`
        What to compute.

    Members
    -------
    i_0, i_1, … : ``In(stream.Signature(ArrayLayout(..., elements)))``
        Neighbouring elements of one channel.
    o : ``Out(stream.Signature(...))``
        Neighbouring results of one channel, one or an array.
    """

    o: stream.Interface

    def __init__(self, plan: AddPlan) -> None:
        self._plan = plan
        inputs = {f"i_{k}": In(each.signature) for k, each in enumerate(plan.inputs)}
        super().__init__({**inputs, "o": Out(stream.Signature(several(plan.output.element, plan.output.elements)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, outlet = self._plan, self._plan.outlet
        inputs = [getattr(self, f"i_{k}") for k in range(len(plan.inputs))]
        taken, left = Signal(), Signal()
        full = outlet.full(m, taken, left)
        m.d.comb += taken.eq(Cat(i.valid for i in inputs).all() & ~full)
        terms: list[list[Value]] = [[] for _ in range(outlet.elements)]
        for i, each, shift in zip(inputs, plan.inputs, plan.layer.shifts, strict=True):
            m.d.comb += i.ready.eq(taken)
            held = Signal.like(Value.cast(i.payload), reset_less=True)  # can be the register of the memory before
            m.d.sync += held.eq(i.payload)
            for k, term in enumerate(terms):
                bits = held.word_select(k, each.element.width)
                term.append((bits.as_signed() if each.element.signed else bits) << shift)
        sums = []
        for k, term in enumerate(terms):
            result = Signal(outlet.shape, name=f"sum_{k}")
            m.d.sync += result.eq(reduce(add, term))
            sums.append(result)
        outlet.emit(m, self.o, sums, delay(m, taken, PIPELINE, "done"), left)
        return m
