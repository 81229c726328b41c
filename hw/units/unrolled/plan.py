"""An unrolled unit before it is hardware: which adders share a cycle, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from amaranth.lib import wiring

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.logic import Parts
from sterna.hw.units.summing.plan import Stage, SumPlan, graph_for
from sterna.hw.units.unrolled.codes import code_cycles
from sterna.hw.units.unrolled.component import UnrolledUnit
from sterna.hw.units.unrolled.layer import UnrolledLayer
from sterna.hw.units.unrolled.logic import count_unrolled


@dataclass(frozen=True, eq=False, kw_only=True)
class UnrolledStage(Stage[UnrolledLayer]):
    """One layer of an unrolled unit.

    Attributes
    ----------
    adder_levels : int
        Levels of adders between registers.
    """

    adder_levels: int

    @cached_property
    def cycles(self) -> np.ndarray:
        """The cycle in which each term is computed, from that in which the inputs are there; int64, (terms,)."""
        return np.maximum(self.graph.levels - 1, 0) // self.adder_levels

    @cached_property
    def ends(self) -> np.ndarray:
        """The first cycle in which each row's sum is in registers; int64, (rows,)."""
        outputs = self.graph.outputs
        return np.where(outputs < self.graph.inputs, 0, self.cycles[outputs] + 1)

    @cached_property
    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value of each term; int64, (terms,) each."""
        code, count = self.layer.input_type, self.graph.inputs
        return self.graph.ranges(np.full(count, code.min), np.full(count, code.max))

    @property
    def period(self) -> int:
        return 1

    @property
    def code_cycles(self) -> int:
        """Cycles from a row's sum to its code."""
        return code_cycles(self.layer.requantize)

    def until_codes(self, period: int = 1) -> int:
        return int(self.ends.max()) + self.code_cycles

    def until_next(self, period: int = 1) -> int:
        return self.until_codes(period)


@dataclass(frozen=True, eq=False, kw_only=True)
class UnrolledPlan(SumPlan[UnrolledStage]):
    """An unrolled unit."""

    lanes = 1

    @property
    def logic(self) -> Parts:
        return count_unrolled(self)

    def component(self, *, framed: bool) -> wiring.Component:
        return UnrolledUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        (levels,) = {stage.adder_levels for stage in self.stages}
        return {**super().describe(), "adder_levels": levels}


def plan_unrolled(
    layer: UnrolledLayer,
    *,
    stream: StreamType,
    order: Sequence[int] | None = None,
    adder_levels: int = 2,
    effort: int = 1,
) -> UnrolledPlan:
    """Finds the sums that a layer's rows share; see :func:`~sterna.hw.units.summing.plan.graph_for`.

    Parameters
    ----------
    layer, stream, order, effort
        As there.
    adder_levels : int
        Levels of adders between registers.
    """
    parts = graph_for(layer, stream=stream, order=order, effort=effort)
    return UnrolledPlan(stream=stream, stages=(UnrolledStage(**parts, adder_levels=adder_levels),))
