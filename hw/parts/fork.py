"""A stream that several readers take."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Fork(wiring.Component):
    """Gives each beat to all readers; each takes it when it is ready, and the last of them lets it go.

    Latency: none. Throughput: one beat a cycle. A reader's ``valid`` does not depend on any ``ready``.

    Parameters
    ----------
    shape : :class:`Shape`
        Shape of a beat, as bits.
    count : :class:`int`
        Readers.

    Members
    -------
    i : ``In(stream.Signature(shape))``
    o_0, o_1, … : ``Out(stream.Signature(shape))``
    """

    i: stream.Interface

    def __init__(self, *, shape: Shape, count: int) -> None:
        self._count = count
        outputs = {f"o_{k}": Out(stream.Signature(shape)) for k in range(count)}
        super().__init__({"i": In(stream.Signature(shape)), **outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        outputs = [getattr(self, f"o_{k}") for k in range(self._count)]
        took, takes = Signal(self._count), Signal(self._count)
        m.d.comb += [
            takes.eq(took | Cat(o.ready for o in outputs)),
            self.i.ready.eq(takes.all()),
        ]
        for k, o in enumerate(outputs):
            m.d.comb += [o.valid.eq(self.i.valid & ~took[k]), o.payload.eq(self.i.payload)]
        with m.If(self.i.valid):
            m.d.sync += took.eq(takes & ~takes.all().replicate(self._count))
        return m
