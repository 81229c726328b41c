"""A bit-serial unit before it is hardware: how long its sums' bits are on their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.lib import wiring

from sterna.hw.graph.stream import StreamType
from sterna.hw.units.bitserial.component import BitserialUnit
from sterna.hw.units.bitserial.layer import BitserialLayer
from sterna.hw.units.bitserial.logic import count_bitserial
from sterna.hw.units.logic import Parts
from sterna.hw.units.summing.plan import Stage, SumPlan, graph_for
from sterna.net import Thresholds


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialStage(Stage[BitserialLayer]):
    """One layer of a bit-serial unit; its inputs' lowest bits come first."""

    def until_codes(self, period: int) -> int:
        return self.graph.depth + period + isinstance(self.layer.requantize, Thresholds)

    def until_next(self, period: int) -> int:
        return self.graph.depth + period + 2


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialPlan(SumPlan[BitserialStage]):
    """A bit-serial unit."""

    @property
    def lead(self) -> int:
        return 1 if self.windows is None else 2  # the window's registers come first

    @property
    def bits(self) -> int:
        """Bits of every sum that are computed, a cycle each."""
        return self.period

    @property
    def logic(self) -> Parts:
        return count_bitserial(self)

    def component(self, *, framed: bool) -> wiring.Component:
        return BitserialUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "bits": self.bits}


def plan_bitserial(
    layer: BitserialLayer, *, stream: StreamType, order: Sequence[int] | None = None, effort: int = 1
) -> BitserialPlan:
    """Finds the sums that a layer's rows share; see :func:`~sterna.hw.units.summing.plan.graph_for`."""
    stage = BitserialStage(**graph_for(layer, stream=stream, order=order, effort=effort))
    return BitserialPlan(stream=stream, stages=(stage,))
