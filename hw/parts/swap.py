"""Which half of all memories answers, where a host loads other words into the other half."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class HalfSwap(wiring.Component):
    """Swaps the halves after a whole load, between two frames: once all that were taken have left.

    Until then no frame begins. A reset leaves the half that answers; frames on their way are gone then, and a swap that
    waited for them is made.

    Parameters
    ----------
    frames : :class:`int`
        Most frames that may be on their way.

    Members
    -------
    complete : ``In(1)``; settled : ``In(1)``
        A whole load has come; its words can be read, too.
    taken, taken_last : ``In(1)``
        An input beat is taken; it says that it is the last of its frame.
    dropped : ``In(1)``
        A frame was dropped whose last beat is taken now or later, or was in the cycle before.
    left : ``In(1)``
        The last beat of a frame's results leaves.
    waiting : ``Out(1)``
        A load waits for the swap: no byte of another one may be taken.
    hold : ``Out(1)``
        No input beat may be taken.
    half : ``Out(1)``
        Which half answers.
    """

    complete: Signal
    settled: Signal
    taken: Signal
    taken_last: Signal
    dropped: Signal
    left: Signal
    waiting: Signal
    hold: Signal
    half: Signal

    def __init__(self, *, frames: int) -> None:
        self._frames = frames
        super().__init__(
            {
                **{name: In(1) for name in ("complete", "settled", "taken", "taken_last", "dropped", "left")},
                **{name: Out(1) for name in ("waiting", "hold", "half")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        half, used = Signal(reset_less=True), Signal(reset_less=True)  # used: the load has been swapped in
        inside = Signal()  # of an input frame
        # a frame that is too long is counted as dropped before its end: one below 0 is all ones
        frames = Signal(range(2 * (self._frames + 1)))
        swaps = Signal()
        m.d.comb += [
            self.half.eq(half),
            self.waiting.eq(self.complete & ~used),
            self.hold.eq(self.waiting & ~inside),
            swaps.eq(self.hold & self.settled & (frames == 0)),
        ]
        m.d.sync += [
            frames.eq(frames + (self.taken & self.taken_last) - self.dropped - self.left),
            half.eq(half ^ swaps),
            used.eq(self.complete & (used | swaps)),
        ]
        with m.If(self.taken):
            m.d.sync += inside.eq(~self.taken_last)
        return m
