"""What components of units have in common whose one input may be the accelerator's."""

from __future__ import annotations

from typing import Protocol

from amaranth.hdl import Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.requantize import several


class FramedPlan(Protocol):
    """What is known of its streams."""

    @property
    def stream(self) -> StreamType:
        """Input."""
        ...

    @property
    def output(self) -> StreamType:
        """Output."""
        ...


class FramedUnit(wiring.Component):
    """Base of such components: the ports.

    Parameters
    ----------
    plan
        What to compute.
    framed : :class:`bool`
        Whether ``i_last`` must come with the frame's last beat (see :class:`FrameGuard`).

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``
    i_last, error : ``In(1)``, ``Out(1)``
        See :class:`FrameGuard`.
    o : ``Out(stream.Signature(...))``
        A beat of results, one or an array.
    """

    i: stream.Interface
    i_last: Signal
    error: Signal
    o: stream.Interface

    def __init__(self, plan: FramedPlan, *, framed: bool = False) -> None:
        self._plan = plan
        self._framed = framed
        super().__init__(
            {
                "i": In(plan.stream.signature),
                "i_last": In(1),
                "error": Out(1),
                "o": Out(stream.Signature(several(plan.output.element, plan.output.elements))),
            }
        )
