"""Input rows: beats become words of a whole row, which go into a ring; and which output row may be computed."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.graph.stream import StreamType
from sterna.hw.parts.framing import guarded
from sterna.hw.parts.rom import delay
from sterna.hw.units.conv.geometry import Geometry
from sterna.hw.units.conv.pipeline import LOAD_LATENCY

#: Bits of a part of a row's word, at most, where there are several: those of one block of an iCE40's RAM.
PART_BITS = 16


@dataclass(frozen=True, kw_only=True)
class RowWord:
    """A channel's row as a word of the ring, which is written at once or in parts.

    Attributes
    ----------
    width : int
        Bits.
    parts, part_beats : int
        Parts, and the beats that each of them has; the last one may have fewer.
    """

    width: int
    parts: int = 1
    part_beats: int

    @classmethod
    def of(cls, stream: StreamType, *, compact: bool) -> RowWord:
        """For a stream of rows: compact in parts, each written as soon as its beats are there."""
        beats, bits = -(-stream.run // stream.elements), stream.elements * stream.element.width
        if not compact:
            return cls(width=stream.run * stream.element.width, part_beats=beats)
        part_beats = min(max(PART_BITS // bits, 1), beats)
        parts = -(-beats // part_beats)
        return cls(width=parts * part_beats * bits, parts=parts, part_beats=part_beats)


class RowLoader(wiring.Component):
    """Writes input rows into a ring of slots, a word for each channel of a row.

    One beat a cycle while a slot is free. A row is written ``LOAD_LATENCY`` cycles after its last beat was taken. Words
    follow each other in the ring, channel by channel, row by row. With ``framed``, ``last`` must come with exactly the
    frame's last beat (:class:`FrameGuard`).

    Parameters
    ----------
    stream : :class:`StreamType`
        What comes in.
    slots : :class:`int`
        Rows that the ring holds.
    word : :class:`RowWord`
    framed : :class:`bool`
        Whether ``i_last`` is looked at.

    Members
    -------
    i : ``In(stream.Signature(ArrayLayout(code, elements)))``; i_last : ``In(1)``
        Neighbouring pixels of one channel.
    write : ``Out(word.parts)``; address : ``Out(...)``; word : ``Out(word.width)``
        Which parts of a channel's row are written; the row, pixel 0 in the low bits.
    complete : ``Out(1)``
        The last beat of a row is taken in this cycle.
    full : ``In(1)``
        No slot is free for the row that comes next or is coming.
    error : ``Out(1)``
        The last frame was not as long as it should be.
    """

    i: stream.Interface
    i_last: Signal
    write: Signal
    address: Signal
    word: Signal
    complete: Signal
    full: Signal
    error: Signal

    def __init__(self, *, stream: StreamType, slots: int, word: RowWord, framed: bool) -> None:
        self._stream = stream
        self._word = word
        self._framed = framed
        self._channels = len(stream.order)
        self._words = slots * self._channels
        super().__init__(
            {
                "i": In(stream.signature),
                "i_last": In(1),
                "write": Out(word.parts),
                "address": Out(range(self._words)),
                "word": Out(word.width),
                "complete": Out(1),
                "full": In(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats = -(-self._stream.run // self._stream.elements)
        taken = Signal()
        ends = _count(m, taken, beats, "beat")
        row = _count(m, ends, self._channels, "channel")
        payload = self.i.payload.as_value()
        valid, ready = self.i.valid, self.i.ready
        if self._framed:
            valid, ready, payload = guarded(m, self, beats=self._stream.beats)
        m.d.comb += [ready.eq(~self.full), taken.eq(valid & ready)]
        m.d.comb += self.complete.eq(row)

        # the beats wait, and not the words: they are narrower
        late = delay(m, payload, LOAD_LATENCY - 1, "payload")
        moves, ending = delay(m, taken, LOAD_LATENCY - 1, "moves"), delay(m, ends, LOAD_LATENCY - 1, "ended")
        ended = delay(m, ending, 1, "ended_late")
        chain = Signal(self._word.part_beats * len(late), reset_less=True)
        with m.If(moves):
            m.d.sync += chain.eq(Cat(chain, late)[len(late) :])
        missing = (self._word.parts * self._word.part_beats - beats) * len(late)  # of the last part
        m.d.comb += self.word.eq(Cat(chain.replicate(self._word.parts - 1), chain[missing:]))
        m.d.comb += self.write.eq(self._parts(m, moves, ending) if self._word.parts > 1 else ended)
        with m.If(ended):
            m.d.sync += self.address.eq(Mux(self.address == self._words - 1, 0, self.address + 1))
        return m

    def _parts(self, m: Module, moves: Value, ending: Value) -> Value:
        """Which part of the row is complete; the last one wherever the row is."""
        count = self._word.part_beats
        place, inside, full = Signal(self._word.parts, init=1), Signal(range(count)), Signal()
        whole = Signal()
        m.d.comb += whole.eq(moves & ((inside == count - 1) | ending))
        with m.If(moves):
            m.d.sync += inside.eq(Mux(whole, 0, inside + 1))
        m.d.sync += full.eq(whole)
        with m.If(full):
            m.d.sync += place.eq(place.rotate_left(1))
        return place & full.replicate(len(place))


class RowControl(wiring.Component):
    """Counts the rows in the ring, and says when an output row may be computed.

    Parameters
    ----------
    geometry : :class:`Geometry`
    slots : :class:`int`
        Rows that the ring holds.

    Members
    -------
    complete : ``In(1)``
        A row's last beat is taken.
    full : ``Out(1)``
        All slots hold rows that are needed.
    waiting : ``Out(1)``
        The next output row may be computed.
    begun : ``In(1)``
        Its last step is issued.
    """

    complete: Signal
    full: Signal
    waiting: Signal
    begun: Signal

    def __init__(self, *, geometry: Geometry, slots: int) -> None:
        self._geometry = geometry
        self._slots = slots
        super().__init__({"complete": In(1), "full": Out(1), "waiting": Out(1), "begun": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        geometry = self._geometry
        stock = Signal(range(self._slots + 1))
        row = Signal(range(geometry.rows))
        enough, enough_behind, freed = Signal(), Signal(), Signal(range(self._slots + 1))
        kinds: dict[tuple[int, int, int], list[int]] = {}
        for k in range(geometry.rows):
            key = (geometry.stock(k), geometry.stock_behind(k), geometry.freed(k))
            kinds.setdefault(key, []).append(k)
        most = max(kinds, key=lambda key: len(kinds[key]))
        with m.Switch(row):
            for key, rows in kinds.items():
                if key == most:
                    continue
                with m.Case(*rows):
                    m.d.comb += [enough.eq(stock >= key[0]), enough_behind.eq(stock >= key[1]), freed.eq(key[2])]
            with m.Default():
                m.d.comb += [enough.eq(stock >= most[0]), enough_behind.eq(stock >= most[1]), freed.eq(most[2])]
        m.d.comb += self.full.eq(stock == self._slots)
        m.d.sync += [
            stock.eq(stock + self.complete - Mux(self.begun, freed, 0)),
            self.waiting.eq(Mux(self.begun, enough_behind, enough)),
        ]
        with m.If(self.begun):
            m.d.sync += row.eq(Mux(row == geometry.rows - 1, 0, row + 1))
        return m


class RowPlace(wiring.Component):
    """Where the rows under the kernel lie in the ring, and which of them in the padding.

    Parameters
    ----------
    geometry : :class:`Geometry`
    slots : :class:`int`
        Rows that the ring holds.

    Members
    -------
    next : ``In(1)``
        The last step of an output row is in this stage: from the next cycle on, it is the next row's.
    base : ``Out(range(slots))``
        Slot of the row under the kernel's first one.
    valid : ``Out(kernel rows)``
        Whether each of them lies in the map.
    """

    next: Signal
    base: Signal
    valid: Signal

    def __init__(self, *, geometry: Geometry, slots: int) -> None:
        self._geometry = geometry
        self._slots = slots
        super().__init__({"next": In(1), "base": Out(range(slots)), "valid": Out(geometry.kernel[0])})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        geometry, slots = self._geometry, self._slots
        row = Signal(range(geometry.rows))
        base = Signal(range(slots), init=geometry.top(0) % slots)
        at_end = Signal()
        valid = {k: Cat(*geometry.valid(k)) for k in range(geometry.rows)}
        m.d.comb += [at_end.eq(row == geometry.rows - 1), self.base.eq(base), self.valid.eq(~0)]
        borders = [k for k in range(geometry.rows) if not all(geometry.valid(k))]
        if borders:
            with m.Switch(row):
                for k in borders:
                    with m.Case(k):
                        m.d.comb += self.valid.eq(valid[k])
        with m.If(self.next):
            moved = Mux(
                at_end,
                turned(m, base, geometry.around % slots, slots, "around"),
                turned(m, base, geometry.stride[0] % slots, slots, "down"),
            )
            m.d.sync += [base.eq(moved), row.eq(Mux(at_end, 0, row + 1))]
        return m


def turned(m: Module, slot: Value, by: Value | int, slots: int, name: str) -> Value:
    """``(slot + by) % slots``, both being below ``slots``."""
    moved, around = Signal(range(2 * slots), name=name), Signal(name=f"{name}_around")
    m.d.comb += moved.eq(slot + by)
    # a comparison would be a chain of carries
    with m.Switch(moved), m.Case(*range(slots, 2 * slots)):
        m.d.comb += around.eq(1)
    return Mux(around, moved - slots, moved)[: (slots - 1).bit_length()]


def _count(m: Module, moves: Value, count: int, name: str) -> Signal:
    """Counts; high in the cycle of the last of each ``count`` moves."""
    ends = Signal(name=f"{name}_ends")
    if count == 1:
        m.d.comb += ends.eq(moves)
        return ends
    number = Signal(unsigned((count - 1).bit_length()), name=name)
    at_end = Signal(name=f"{name}_at_end")  # registered beside the counter
    m.d.comb += ends.eq(moves & at_end)
    with m.If(moves):
        m.d.sync += [number.eq(Mux(at_end, 0, number + 1)), at_end.eq(number == count - 2)]
    return ends
