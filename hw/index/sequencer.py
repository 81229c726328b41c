"""The program counter that walks the schedule."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Sequencer(wiring.Component):
    """The program counter: one step a cycle while a frame waits and nothing stalls.

    Parameters
    ----------
    steps : :class:`int`
        Steps of a frame.
    entry : :class:`int`
        Steps at its start that lead into it.

    Members
    -------
    waiting : ``In(1)``
        A frame waits.
    stall : ``In(1)``
        No step is issued in this cycle.
    step : ``Out(range(steps))``
        The step's number, that is the index memory's address.
    issue : ``Out(1)``
        It is issued in this cycle.
    entering, last : ``Out(1)``
        It leads into the frame; it is the last.
    """

    waiting: Signal
    stall: Signal
    step: Signal
    issue: Signal
    entering: Signal
    last: Signal

    def __init__(self, *, steps: int, entry: int) -> None:
        self._steps = steps
        self._entry = entry
        super().__init__(
            {
                "waiting": In(1),
                "stall": In(1),
                "step": Out(range(steps)),
                "issue": Out(1),
                "entering": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # all flags are registered beside the counter, so that no comparison stands before the fetch or behind a stall
        entering = Signal(init=1)
        entered = Signal(init=self._entry == 1)  # the step is the last that leads into the frame
        last = Signal(init=self._steps == 1)
        m.d.comb += [
            self.issue.eq(self.waiting & ~self.stall),
            self.entering.eq(entering),
            self.last.eq(last),
        ]
        with m.If(self.issue):
            if self._steps > 1:
                m.d.sync += [
                    self.step.eq(self.step + 1),
                    last.eq(self.step == self._steps - 2),
                    entered.eq(last if self._entry == 1 else self.step == self._entry - 2),
                    entering.eq(last | entering & ~entered),
                ]
                with m.If(last):
                    m.d.sync += self.step.eq(0)
        return m
