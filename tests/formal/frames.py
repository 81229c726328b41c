# amaranth: UnusedElaboratable=no
"""Frame after frame, the results of the pixels that were taken come out, in order, whatever pauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal, Value
from prove import clocked, stays

from sterna.hw.graph.stream import StreamType

#: Frames on their way, a power of two.
FRAMES = 4

#: The last pixel that a result needs, and the result of a frame's pixels.
Result = tuple[int, Callable[[Sequence[Value]], Value]]


def frames_spec(
    unit: Any, stream: StreamType, results: Sequence[Result], *, lossy: bool = False
) -> tuple[Module, list[Signal]]:
    """A unit with one pixel a beat: each result is that of its frame, and none comes before the pixels that it needs.

    Parameters
    ----------
    unit : component with the streams ``i`` and ``o``
    stream : StreamType
        Input.
    results : sequence of Result
        Of a frame, in their order.
    lossy : bool
        Results may be lost: a mistake, which a proof must refute.
    """
    m, clock = clocked()
    m.submodules.unit = unit
    shape, pixels = stream.element, stream.beats
    valid, code, ready = Signal(name="valid"), Signal(shape, name="code"), Signal(name="ready")
    steal = Signal(name="steal")
    taken, given = valid & unit.i.ready, unit.o.valid & ready
    frames = [Array(Signal(shape, name=f"frame_{k}_{pixel}") for k in range(FRAMES)) for pixel in range(pixels)]
    head, tail = Signal(range(FRAMES)), Signal(range(FRAMES))
    pixel, which, there = Signal(range(pixels)), Signal(range(len(results))), Signal(range(FRAMES * pixels))
    m.d.comb += [
        unit.i.valid.eq(valid),
        Value.cast(unit.i.payload).eq(code),
        unit.o.ready.eq(ready | (steal if lossy else 0)),
        Assume(there < (FRAMES - 1) * pixels),
    ]
    with m.If(taken):
        with m.Switch(pixel):
            for k, frame in enumerate(frames):
                with m.Case(k):
                    m.d.sync += frame[tail].eq(code)
        m.d.sync += pixel.eq(pixel + 1)
        with m.If(pixel == pixels - 1):
            m.d.sync += [pixel.eq(0), tail.eq(tail + 1)]
    ends = given & (which == len(results) - 1)
    with m.If(given):
        m.d.sync += which.eq(which + 1)
        with m.If(ends):
            m.d.sync += [which.eq(0), head.eq(head + 1)]
    m.d.sync += there.eq(there + taken - Mux(ends, pixels, 0))

    pixels_now = [frame[head] for frame in frames]
    with m.If(unit.o.valid):
        m.d.comb += [
            Assert(there > Array(Const(needed, range(pixels)) for needed, _ in results)[which]),
            Assert(unit.o.payload == Array(result(pixels_now) for _, result in results)[which]),
        ]
    stays(m, unit.o, ready)
    return m, [clock, valid, code, ready, steal]
