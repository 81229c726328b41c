"""What adders are given at a time: a frame, or a window of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Signal, Value


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it begins, or a window.

    Attributes
    ----------
    taken : Signal
        It begins.
    busy : Signal
        The one before is not ``period`` cycles old.
    codes : sequence of Value or None
        The code of each column that is used. What is there without ``taken``, nobody may read.
    after : int
        Cycles from ``taken`` to the codes; if there are some, the codes are in registers.
    """

    taken: Signal
    busy: Signal
    codes: Sequence[Value | None]
    after: int = 0


def hold(m: Module, taken: Value, busy: Signal, period: int) -> None:
    """Drives ``busy`` from the cycle after ``taken`` on, until the next frame or window may begin."""
    if period > 1:
        left = Signal(range(period))
        with m.If(taken):
            m.d.sync += [busy.eq(1), left.eq(period - 2)]
        with m.Else():
            m.d.sync += [left.eq(left - 1), busy.eq(busy & (left != 0))]
