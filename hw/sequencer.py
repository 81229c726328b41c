"""Frames: the two input buffers' bookkeeping, and the program counter that walks the schedule."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Cycles from the acceptance of a frame's last beat to the issue of its first step.
ACCEPT_TO_ISSUE = 1


class Loader(wiring.Component):
    """Writes frames of beats into two buffers in turn, and counts those that wait and those that are in use.

    One beat a cycle while a buffer is free. With ``framed``, ``last`` must come with exactly the frame's last beat: a
    frame that ends early is dropped; one that does not end is dropped up to and including the next ``last``. Either
    way ``error`` is high for a cycle, and nothing of the frame is computed.

    Parameters
    ----------
    beats : :class:`int`
        Beats of a frame.
    address_width : :class:`int`
        Width of the memory words' addresses.
    start : :class:`int`
        Address of the first beat; addresses wrap.
    framed : :class:`bool`
        Whether ``last`` is looked at.

    Members
    -------
    valid, last : ``In(1)``; ready : ``Out(1)``
        The stream's handshake, without its payload.
    write : ``Out(1)``; bank : ``Out(1)``; address : ``Out(address_width)``
        Where the beat goes that is taken in this cycle.
    waiting : ``Out(1)``
        A frame is complete and not begun.
    begun : ``In(1)``
        The last step of the oldest waiting frame is issued.
    released : ``In(1)``
        The oldest frame in use is read to its end; its buffer is free from the next cycle.
    error : ``Out(1)``
        A frame was dropped.
    """

    def __init__(self, *, beats: int, address_width: int, start: int, framed: bool) -> None:
        self._beats = beats
        self._start = start
        self._end = (start + beats - 1) % (1 << address_width)
        self._framed = framed
        self._address_width = address_width
        super().__init__(
            {
                "valid": In(1),
                "last": In(1),
                "ready": Out(1),
                "write": Out(1),
                "bank": Out(1),
                "address": Out(address_width),
                "waiting": Out(1),
                "begun": In(1),
                "released": In(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = Signal(self._address_width, init=self._start)
        bank = Signal()
        waiting, used = Signal(2), Signal(2)
        skipping = Signal()
        at_end = Signal()
        taken = Signal()
        complete = Signal()

        m.d.comb += [
            at_end.eq(address == self._end),
            self.ready.eq(~used[1] | skipping),
            taken.eq(self.valid & self.ready),
            self.write.eq(taken & ~skipping),
            self.bank.eq(bank),
            self.address.eq(address),
            complete.eq(self.write & at_end & (self.last if self._framed else 1)),
            self.waiting.eq(waiting.any()),
        ]
        m.d.sync += [
            waiting.eq(waiting + complete - self.begun),
            used.eq(used + complete - self.released),
            bank.eq(bank ^ complete),
        ]
        with m.If(self.write):
            m.d.sync += address.eq(Mux(at_end | (self.last if self._framed else 0), self._start, address + 1))
        if self._framed:
            m.d.sync += self.error.eq(self.write & (at_end ^ self.last))
            with m.If(taken):
                m.d.sync += skipping.eq(~self.last & (skipping | at_end))
        return m


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
        # both flags are registered beside the counter, so that no comparison stands before the fetch
        entering = Signal(init=1)
        last = Signal(init=self._steps == 1)
        m.d.comb += [
            self.issue.eq(self.waiting & ~self.stall),
            self.entering.eq(entering),
            self.last.eq(last),
        ]
        with m.If(self.issue):
            if self._steps > 1:
                m.d.sync += [
                    self.step.eq(Mux(last, 0, self.step + 1)),
                    last.eq(self.step == self._steps - 2),
                ]
                with m.If(last):
                    m.d.sync += entering.eq(1)
                with m.Elif(self.step == self._entry - 1):
                    m.d.sync += entering.eq(0)
        return m
