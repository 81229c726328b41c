"""The class with the highest of scores that come all in one beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.rom import delay

if TYPE_CHECKING:
    from sterna.hw.units.argmax.tree_plan import ArgmaxTreePlan


class ArgmaxTree(wiring.Component):
    """Index of the highest of each beat's scores, the lowest among equals (docs/arithmetic.md).

    Throughput: one frame a cycle. Latency: ``plan.levels`` cycles, and the outlet's. Cost: a comparator for each score
    but one.

    Parameters
    ----------
    plan : :class:`ArgmaxTreePlan`
        What to compare.

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(score, count)))``
        Scores, by index.
    o : ``Out(stream.Signature(unsigned(plan.levels)))``
        One index a frame.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, plan: ArgmaxTreePlan) -> None:
        self._plan = plan
        super().__init__({"i": In(plan.scores.signature), "o": Out(stream.Signature(plan.output.element))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self._plan
        taken, left = Signal(), Signal()
        full = plan.outlet.full(m, taken, left)
        m.d.comb += [self.i.ready.eq(~full), taken.eq(self.i.valid & self.i.ready)]
        best: list[tuple[Value, Value]] = [(self.i.payload[k], Const(0, 0)) for k in range(plan.count)]
        for level in range(plan.levels):
            best = [self._higher(m, best[k : k + 2], f"{level}_{k // 2}") for k in range(0, len(best), 2)]
        ((_, index),) = best
        plan.outlet.emit(m, self.o, [index], delay(m, taken, plan.levels, "token"), left)
        return m

    def _higher(self, m: Module, pair: list[tuple[Value, Value]], name: str) -> tuple[Value, Value]:
        """The higher of two scores and its index, or the only one, a cycle later."""
        (a, of_a), (b, of_b) = pair[0], pair[-1]
        later = Signal() if len(pair) == 2 else Const(0, 1)
        if len(pair) == 2:
            m.d.comb += later.eq(b > a)
        score = Signal(self._plan.scores.element, name=f"score_{name}", reset_less=True)
        index = Signal(len(of_a) + 1, name=f"index_{name}", reset_less=True)
        m.d.sync += [score.eq(Mux(later, b, a)), index.eq(Cat(Mux(later, of_b, of_a), later))]
        return score, index
