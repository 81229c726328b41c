"""A bit-serial unit before it is hardware: how long its sums' digits are on their way."""

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
from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialStage(Stage[BitserialLayer]):
    """One layer of a bit-serial unit; its inputs' lowest digits come first.

    Attributes
    ----------
    digit : int
        Bits of every sum that are added in a cycle.
    """

    digit: int

    @property
    def period(self) -> int:
        return self.layer.cycles(self.digit)

    def until_codes(self, period: int) -> int:
        return self.graph.depth + period + isinstance(self.layer.requantize, Thresholds)

    def until_next(self, period: int) -> int:
        # bit by bit, a code by a shift is gathered and passed on in one register; its sign takes a cycle more
        return self.graph.depth + period + 1 + (self.digit == 1 or isinstance(self.layer.requantize, Thresholds))


@dataclass(frozen=True, eq=False, kw_only=True)
class BitserialPlan(SumPlan[BitserialStage]):
    """A bit-serial unit."""

    @property
    def lead(self) -> int:
        return 1 if self.windows is None else 2  # the window's registers come first

    @property
    def lanes(self) -> int:
        """Bits of every sum that are added in a cycle."""
        return int(self.stages[0].digit)

    @property
    def bits(self) -> int:
        """Bits of every sum."""
        return self.period * self.lanes

    @property
    def logic(self) -> Parts:
        return count_bitserial(self)

    def component(self, *, framed: bool) -> wiring.Component:
        return BitserialUnit(self, framed=framed)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "bits": self.bits}


def plan_bitserial(
    layer: BitserialLayer,
    *,
    stream: StreamType,
    order: Sequence[int] | None = None,
    effort: int = 1,
    lanes: int = 1,
) -> BitserialPlan:
    """Finds the sums that a layer's rows share; see :func:`~sterna.hw.units.summing.plan.graph_for`.

    Parameters
    ----------
    layer, stream, order, effort
        As there.
    lanes : int
        Bits of every sum that are added in a cycle.

    Raises
    ------
    ValueError
        If these are too many, or none; the message names the layer.
    """
    if not 1 <= lanes <= layer.most_lanes:
        raise InvalidValueError(
            f"layer '{layer.name}' is bit-serial, its lanes are bits of every sum that are added in a cycle, and it "
            f"cannot have {lanes}: give it 1 to {layer.most_lanes}"
        )
    stage = BitserialStage(**graph_for(layer, stream=stream, order=order, effort=effort), digit=lanes)
    return BitserialPlan(stream=stream, stages=(stage,))
