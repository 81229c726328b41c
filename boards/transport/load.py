"""The bytes of a load between the buffer, the registers and the accelerator."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.boards.packets import DIGEST


class LoadWriter(wiring.Component):
    """Parts a load: its digest goes to the registers, what is behind it to the accelerator.

    A byte of the digest waits like those behind it until the accelerator can take one: as long as it changes over to
    the load before, the registers hold what they have.

    Latency: none. Throughput: a byte a cycle.

    Members
    -------
    i : ``In(stream.Signature(8))``; i_last : ``In(1)``
        Loads, and whether the byte offered is the last of one.
    digest : ``Out(stream.Signature(8))``; place : ``Out(5)``
        A byte of the digest, and its place in it.
    tdata, tvalid, tready, tlast :
        The AXI4-Stream of what is behind it. ``tready`` stays high until a byte is taken.
    """

    i: stream.Interface
    i_last: Signal
    digest: stream.Interface
    place: Signal
    tdata: Signal
    tvalid: Signal
    tready: Signal
    tlast: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "i_last": In(1),
                "digest": Out(stream.Signature(8)),
                "place": Out(range(DIGEST)),
                "tdata": Out(8),
                "tvalid": Out(1),
                "tready": In(1),
                "tlast": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(range(DIGEST + 1))
        behind = count[-1]
        m.d.comb += [
            self.place.eq(count),
            self.digest.payload.eq(self.i.payload),
            self.digest.valid.eq(self.i.valid & self.tready & ~behind),
            self.tdata.eq(self.i.payload),
            self.tvalid.eq(self.i.valid & behind),
            self.tlast.eq(self.i_last),
            self.i.ready.eq(self.tready & Mux(behind, 1, self.digest.ready)),
        ]
        with m.If(self.i.valid & self.i.ready):
            with m.If(self.i_last):
                m.d.sync += count.eq(0)
            with m.Elif(~behind):
                m.d.sync += count.eq(count + 1)
        return m
