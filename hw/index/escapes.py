"""The escapes of a group of lanes: a second, sequential memory, read ahead, one entry at most a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.index.schedule import Schedule
from sterna.hw.index.walk import WordFormat
from sterna.hw.parts.rom import BLOCK_DEPTH

#: Cycles from a reset until the first entry is there; a frame's first step asks for it no earlier.
READ_AHEAD = 3


class Escapes(wiring.Component):
    """Hands a group's escapes out, one after the other, and begins again behind the last.

    The memory, its output register and two more are a chain that moves on once for each entry that is taken, in the
    cycle after: a stall neither loses nor repeats one. A schedule takes as many in a frame as there are, so that each
    frame begins with the first.

    Throughput: an entry a cycle, from ``READ_AHEAD`` cycles after a reset on. Cost: a counter, and where there are
    more than ``BLOCK_DEPTH`` entries, a block RAM.

    Parameters
    ----------
    word_format : :class:`WordFormat`
        Layout of an escape.
    entries : sequence of :class:`int`
        One frame's escapes.

    Members
    -------
    take : ``In(1)``
        The entry that stands ready is taken in this cycle.
    high : ``Out(word_format.high_width)``
        What stands in a distance instead of its mark.
    filler : ``Out(1)``
        The entry is a filler.
    """

    take: Signal
    high: Signal
    filler: Signal

    def __init__(self, *, word_format: WordFormat, entries: Sequence[int]) -> None:
        self._format = word_format
        self._entries = list(entries) or [0]  # a group that never escapes
        super().__init__({"take": In(1), "high": Out(word_format.high_width), "filler": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count, width = len(self._entries), self._format.escape_width
        # the last entry has the last address, so that the counter's own carry tells it
        address_width = (count - 1).bit_length()
        first = (1 << address_width) - count
        # Yosys makes deep, slow logic of long narrow tables, however little of a block they fill
        style = {"ram_style": "block"} if count > BLOCK_DEPTH else {}
        memory: Memory = Memory(
            shape=unsigned(width), depth=first + count, init=[0] * first + self._entries, attrs=style
        )
        m.submodules.memory = memory
        read = memory.read_port()
        filled = Signal(READ_AHEAD)
        move = Signal(init=1)
        address = Signal(address_width, init=first)
        following = Signal(address_width + 1)
        # without reset, so that it can become the memory's own output register
        fetched = Signal(width, reset_less=True)
        coming, ready = Signal(len(self.high) + 1), Signal(len(self.high) + 1)
        m.d.comb += [
            following.eq(address + 1),
            read.en.eq(move),
            read.addr.eq(address),
            # the chain moves a cycle after an entry is taken: until then, the next one is found behind
            Cat(self.high, self.filler).eq(Mux(move, coming, ready)),
        ]
        m.d.sync += [filled.eq(Cat(1, filled)), move.eq(self.take | ~filled[-1])]
        with m.If(move):
            m.d.sync += [
                address.eq(following),
                fetched.eq(read.data),
                coming.eq(self._decoded(fetched)),
                ready.eq(coming),
            ]
            with m.If(following[-1]):
                m.d.sync += address.eq(first)
        return m

    def _decoded(self, entry: Signal) -> Value:
        """What an entry stands for, ``mark - 1`` or more, which has the same lowest bits; and if it is a filler."""
        fmt = self._format
        above, filler = divmod(fmt.mark - 1, 1 << fmt.escape_width)
        wraps = Cat(entry == value for value in range(filler)).any()
        return Cat(Cat(entry, Mux(wraps, above + 1, above))[: fmt.high_width], entry == filler)


def hand_out(m: Module, schedule: Schedule, lanes: Sequence[Any], valid: Value) -> None:
    """Gives the lanes that share a stream of escapes theirs; in a step, one at most takes it.

    ``lanes``: components with ``escapes``, ``high`` and ``filler``; ``valid``: their words are those of a step.
    """
    for number, entries in enumerate(schedule.escapes):
        m.submodules[f"escapes_{number}"] = escapes = Escapes(word_format=schedule.format, entries=entries)
        members = [lane for k, lane in enumerate(lanes) if schedule.format.group(k) == number]
        m.d.comb += escapes.take.eq(valid & Cat(*(lane.escapes for lane in members)).any())
        for lane in members:
            m.d.comb += [lane.high.eq(escapes.high), lane.filler.eq(escapes.filler)]
