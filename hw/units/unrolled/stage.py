"""One layer of an unrolled unit in hardware: its adders, and what reads codes off their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from amaranth.hdl import Const, Module, Signal, Value

from sterna.hw.parts.tables import shape_of
from sterna.hw.units.unrolled.codes import Row, read_code
from sterna.hw.units.unrolled.delayed import Delayed

if TYPE_CHECKING:
    from sterna.hw.units.unrolled.plan import UnrolledStage


class StageLogic:
    """Puts a layer into a module.

    ``adder_levels`` levels of adders share a cycle. A row's code is read off as soon as its sum is there, and waits
    for the other rows' codes: codes are narrower than sums.

    Parameters
    ----------
    m : Module
    stage : UnrolledStage
    """

    def __init__(self, m: Module, stage: UnrolledStage) -> None:
        self._m = m
        self._stage = stage

    def results(self, inputs: Sequence[Value | None]) -> list[Value]:
        """All codes or scores, from registers, ``stage.until_codes()`` cycles after the inputs."""
        terms = self._terms(inputs)
        stage, layer, end = self._stage, self._stage.layer, self._stage.until_codes()
        low, high = layer.bounds
        results: list[Value] = []
        for row, (term, began) in enumerate(zip(stage.graph.outputs.tolist(), stage.ends.tolist(), strict=True)):
            found = None if term < 0 else terms[term]
            minus = bool(stage.graph.negative[row])
            reads = Row(
                name=f"row_{row}",
                sums=Const(0, 1) if found is None else found.at(began),
                minus=minus,
                low=int(low[row]),
                high=int(high[row]),
                added=int(layer.added[row]),
            )
            code = read_code(self._m, reads, layer.requantize, row)
            results.append(Delayed(self._m, code, began + stage.code_cycles, f"code_{row}").at(end))
        return results

    def _terms(self, inputs: Sequence[Value | None]) -> list[Delayed | None]:
        """All terms of the graph, each from the cycle on in which it is computed."""
        m, stage, graph = self._m, self._stage, self._stage.graph
        low, high = stage.ranges
        terms = [None if code is None else Delayed(m, code, 0, f"input_{k}") for k, code in enumerate(inputs)]
        apart = {"keep": 1} if stage.adder_levels > 1 else {}  # or Yosys makes one adder of three terms out of two
        for k, (left, right, subtract) in enumerate(zip(graph.left, graph.right, graph.subtract, strict=True)):
            number = graph.inputs + k
            cycle = int(stage.cycles[number])
            first, second = terms[left], terms[right]
            assert first is not None  # an input that an adder reads is used
            assert second is not None
            a, b = first.at(cycle), second.at(cycle)
            total = Signal(shape_of(int(low[number]), int(high[number])), name=f"sum_{k}", attrs=apart)
            m.d.comb += total.eq(a - b if subtract else a + b)
            terms.append(Delayed(m, total, cycle, f"sum_{k}"))
        return terms
