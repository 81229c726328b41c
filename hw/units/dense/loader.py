"""Frames: the two input buffers' bookkeeping."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.index.columns import Window
from sterna.hw.parts.rom import ROM_LATENCY, Rom, delay
from sterna.hw.units.dense.pipeline import LOAD_LATENCY


class Loader(wiring.Component):
    """Writes frames of beats into two buffers in turn, and counts those that are complete and not yet worked on.

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
        The last step of the oldest waiting frame is issued: beats that are taken from the next cycle on may replace it,
        since they are written only after that step has read.
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
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, final = self._beats()
        beat = Signal(range(max(first, final) + 1), init=first)
        bank = Signal()
        waiting = Signal(2)
        skipping = Signal()
        at_end = Signal(init=first == final)  # registered beside the counter, like the sequencer's flags
        taken, kept = Signal(), Signal()
        ends, complete = Signal(), Signal()
        last = self.last if self._framed else at_end

        m.d.comb += [
            self.ready.eq(~waiting[1] | skipping),
            taken.eq(self.valid & self.ready),
            kept.eq(taken & ~skipping),
            ends.eq(kept & (at_end | last)),
            complete.eq(kept & at_end & last),
            self.waiting.eq(waiting.any()),
        ]
        m.d.sync += [
            waiting.eq(waiting + complete - self.begun),
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
        window = self._window
        first = (window.offset >> self._select_width) + window.spare if window.plain else 0
        return first, first + beats - 1

    def _place(self, m: Module, beat: Signal, kept: Signal, ends: Signal, bank: Signal) -> None:
        """Where each live beat goes, and its way to the write port.

        The last registers on this way begin with writes of code 0 to the position that no beat is written to, in one
        bank after the other: rows without weights read it, and no memory can be trusted to hold 0 at power-up.
        """
        window = self._window
        vacant = window.vacant >> self._select_width
        kept = delay(m, kept, ROM_LATENCY, "kept")
        write: Value = kept
        address: Value = delay(m, beat, ROM_LATENCY, "beat")
        if not window.plain:
            write, address = self._stride(m, beat, kept, ends)
        bank = delay(m, bank, ROM_LATENCY, "bank")
        for cleared in reversed(range(LOAD_LATENCY - ROM_LATENCY)):
            name = f"{ROM_LATENCY + 2 - cleared}"
            later = Signal(init=window.vacant >= 0, name=f"write_{name}")
            place = Signal(len(self.address), init=max(vacant, 0), name=f"place_{name}")
            half = Signal(init=cleared, name=f"half_{name}")
            m.d.sync += [later.eq(write), place.eq(address), half.eq(bank)]
            write, address, bank = later, place, half
        m.d.comb += [self.write.eq(write), self.address.eq(address), self.bank.eq(bank)]

    def _stride(self, m: Module, beat: Signal, kept: Value, ends: Signal) -> tuple[Value, Value]:
        """Whether a beat is live, and its address, a stride after that of the live one before."""
        window = self._window
        m.submodules.live = live = Rom(shape=unsigned(1), init=[int(bit) for bit in window.live])
        width, offset = len(self.address), window.offset >> self._select_width
        address = Signal(width, init=offset)
        strode, wrapped = Signal(width + 1), Signal(width)
        write = Signal()
        m.d.comb += [
            live.address.eq(beat),
            write.eq(kept & live.data),
            strode.eq(address + window.stride),
            wrapped.eq(address + (window.stride + offset) % (1 << width)),
        ]
        with m.If(delay(m, ends, ROM_LATENCY, "ends")):
            m.d.sync += address.eq(offset)
        with m.Elif(write):
            m.d.sync += address.eq(Mux(strode[width], wrapped, strode))
        return write, address
