"""Frames: the two input buffers' bookkeeping, and the program counter that walks the schedule."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.rom import ROM_LATENCY, Rom, delay
from sterna.hw.units.dense.columns import Window

#: Cycles from the acceptance of a beat to its writing.
LOAD_LATENCY = ROM_LATENCY
#: Cycles from the acceptance of a frame's last beat to the issue of its first step.
ACCEPT_TO_ISSUE = 1


class Loader(wiring.Component):
    """Writes frames of beats into two buffers in turn, and counts those that wait and those that are in use.

    One beat a cycle while a buffer is free; it is written ``LOAD_LATENCY`` cycles later, where the window says so. With
    ``framed``, ``last`` must come with exactly the frame's last beat: a frame that ends early is dropped; one that
    does not end is dropped up to and including the next ``last``. Either way ``error`` is high for a cycle, and
    nothing of the frame is computed.

    Parameters
    ----------
    window : :class:`Window`
        Layout of the columns.
    framed : :class:`bool`
        Whether ``last`` is looked at.

    Members
    -------
    valid, last : ``In(1)``; ready : ``Out(1)``
        The stream's handshake, without its payload.
    write : ``Out(1)``; bank : ``Out(1)``; address : ``Out(...)``
        Where the beat goes that was taken ``LOAD_LATENCY`` cycles before.
    waiting : ``Out(1)``
        A frame is complete and not begun.
    begun : ``In(1)``
        The last step of the oldest waiting frame is issued.
    released : ``In(1)``
        The oldest frame in use will be read to its end in two cycles: beats that are taken from the next cycle on
        may replace it.
    error : ``Out(1)``
        A frame was dropped.
    """

    valid: Signal
    last: Signal
    ready: Signal
    write: Signal
    bank: Signal
    address: Signal
    waiting: Signal
    begun: Signal
    released: Signal
    error: Signal

    def __init__(self, *, window: Window, framed: bool) -> None:
        self._window = window
        self._framed = framed
        self._select_width = window.elements.bit_length() - 1
        super().__init__(
            {
                "valid": In(1),
                "last": In(1),
                "ready": Out(1),
                "write": Out(1),
                "bank": Out(1),
                "address": Out(window.address_width - self._select_width),
                "waiting": Out(1),
                "begun": In(1),
                "released": In(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, final = self._beats()
        beat = Signal(range(max(first, final) + 1), init=first)
        bank = Signal()
        waiting, used = Signal(2), Signal(2)
        skipping = Signal()
        at_end = Signal(init=first == final)  # registered beside the counter, like the sequencer's flags
        taken, kept = Signal(), Signal()
        ends, complete = Signal(), Signal()
        last = self.last if self._framed else at_end

        m.d.comb += [
            self.ready.eq(~used[1] | skipping),
            taken.eq(self.valid & self.ready),
            kept.eq(taken & ~skipping),
            ends.eq(kept & (at_end | last)),
            complete.eq(kept & at_end & last),
            self.waiting.eq(waiting.any()),
        ]
        m.d.sync += [
            waiting.eq(waiting + complete - self.begun),
            used.eq(used + complete - self.released),
            bank.eq(bank ^ complete),
        ]
        with m.If(kept):
            m.d.sync += [beat.eq(beat + 1), at_end.eq(beat == final - 1)]
        with m.If(ends):
            m.d.sync += [beat.eq(first), at_end.eq(first == final)]
        if self._framed:
            m.d.sync += self.error.eq(kept & (at_end ^ last))
            with m.If(taken):
                m.d.sync += skipping.eq(~last & (skipping | at_end))
        self._place(m, beat, kept, ends, bank)
        return m

    def _beats(self) -> tuple[int, int]:
        """Numbers of a frame's first and last beat; in a plain window, these are their words' addresses."""
        beats = len(self._window.live)
        first = self._window.offset >> self._select_width if self._window.plain else 0
        return first, first + beats - 1

    def _place(self, m: Module, beat: Signal, kept: Signal, ends: Signal, bank: Signal) -> None:
        """The address of each live beat, a stride after the one before."""
        window = self._window
        kept = delay(m, kept, LOAD_LATENCY, "kept")
        m.d.comb += self.bank.eq(delay(m, bank, LOAD_LATENCY, "bank"))
        if window.plain:
            m.d.comb += [self.write.eq(kept), self.address.eq(delay(m, beat, LOAD_LATENCY, "beat"))]
            return
        m.submodules.live = live = Rom(shape=unsigned(1), init=[int(bit) for bit in window.live])
        width, offset = len(self.address), window.offset >> self._select_width
        address = Signal(width, init=offset)
        strode, wrapped = Signal(width + 1), Signal(width)
        m.d.comb += [
            live.address.eq(beat),
            self.write.eq(kept & live.data),
            self.address.eq(address),
            strode.eq(address + window.stride),
            wrapped.eq(address + (window.stride + offset) % (1 << width)),
        ]
        with m.If(delay(m, ends, LOAD_LATENCY, "ends")):
            m.d.sync += address.eq(offset)
        with m.Elif(self.write):
            m.d.sync += address.eq(Mux(strode[width], wrapped, strode))


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
                    self.step.eq(self.step + 1),
                    last.eq(self.step == self._steps - 2),
                ]
                with m.If(self.step == self._entry - 1):
                    m.d.sync += entering.eq(0)
                with m.If(last):
                    m.d.sync += [self.step.eq(0), entering.eq(1)]
        return m
