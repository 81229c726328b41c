"""Bytes to the beats of an AXI4-Stream, and back."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.net.checks import check_integer


class BeatWriter(wiring.Component):
    """Collects bytes to beats, and counts them for ``tlast``.

    Latency: the last byte of a beat passes in its own cycle. Throughput: a byte a cycle.

    Parameters
    ----------
    beat_bytes, beats : int
        Bytes of a beat, and beats of a frame.

    Members
    -------
    i : ``In(stream.Signature(8))``
        Frames, the lowest byte of each beat first, without borders.
    tdata, tvalid, tready, tlast :
        The AXI4-Stream.
    """

    i: stream.Interface
    tdata: Signal
    tvalid: Signal
    tready: Signal
    tlast: Signal

    def __init__(self, *, beat_bytes: int, beats: int) -> None:
        self._beat_bytes = check_integer(beat_bytes, "beat_bytes", low=1)
        self._beats = check_integer(beats, "beats", low=1)
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "tdata": Out(8 * beat_bytes),
                "tvalid": Out(1),
                "tready": In(1),
                "tlast": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        whole: Value = Const(1)
        held = Signal(8 * (self._beat_bytes - 1))
        if self._beat_bytes > 1:
            octet = Signal(range(self._beat_bytes))
            whole = octet == self._beat_bytes - 1
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [held.eq(Cat(held[8:], self.i.payload)), octet.eq(octet + 1)]
                with m.If(whole):
                    m.d.sync += octet.eq(0)
        m.d.comb += [
            self.tdata.eq(Cat(held, self.i.payload)),
            self.tvalid.eq(self.i.valid & whole),
            self.i.ready.eq(self.tready | ~whole),
        ]
        if self._beats == 1:
            m.d.comb += self.tlast.eq(1)
            return m
        beat = Signal(range(self._beats))
        m.d.comb += self.tlast.eq(beat == self._beats - 1)
        with m.If(self.tvalid & self.tready):
            m.d.sync += beat.eq(beat + 1)
            with m.If(self.tlast):
                m.d.sync += beat.eq(0)
        return m


class BeatReader(wiring.Component):
    """The bytes of beats, the lowest first.

    Latency: a cycle, for all of both sides leaves flip-flops: whoever takes bytes may be slow to say so. Throughput: a
    byte in two cycles. A beat stays at the input until its last byte is in the register.

    Parameters
    ----------
    beat_bytes : int
        Bytes of a beat.

    Members
    -------
    tdata, tvalid, tready, tlast :
        The AXI4-Stream.
    o : ``Out(stream.Signature(8))``; o_last : ``Out(1)``
        Its bytes, and whether the one offered is the last of a frame.
    """

    tdata: Signal
    tvalid: Signal
    tready: Signal
    tlast: Signal
    o: stream.Interface
    o_last: Signal

    def __init__(self, *, beat_bytes: int) -> None:
        self._beat_bytes = check_integer(beat_bytes, "beat_bytes", low=1)
        super().__init__(
            {
                "tdata": In(8 * beat_bytes),
                "tvalid": In(1),
                "tready": Out(1),
                "tlast": In(1),
                "o": Out(stream.Signature(8)),
                "o_last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        octet = Signal(range(self._beat_bytes))
        last: Value = Const(1) if self._beat_bytes == 1 else octet == self._beat_bytes - 1
        m.d.comb += self.tready.eq(~self.o.valid & last)
        with m.If(self.o.valid):
            m.d.sync += self.o.valid.eq(~self.o.ready)
        with m.Else():
            m.d.sync += [
                self.o.valid.eq(self.tvalid),
                self.o.payload.eq(self.tdata.word_select(octet, 8)),
                self.o_last.eq(self.tlast & last),
            ]
            if self._beat_bytes > 1:
                with m.If(self.tvalid):
                    m.d.sync += octet.eq(Mux(last, 0, octet + 1))
        return m
