"""One index stream and the lanes that share it: a lane for each pixel of an output row."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.index.columns import Window
from sterna.hw.index.position import Walker
from sterna.hw.index.walk import WordFormat
from sterna.hw.parts.pipeline import carried
from sterna.hw.parts.rom import NO_COLLISION
from sterna.hw.units.conv.geometry import Geometry
from sterna.hw.units.conv.pipeline import Stage
from sterna.hw.units.conv.rows import RowWord, turned
from sterna.hw.units.conv.taps import TapOrder
from sterna.net import ActivationType


class GroupControl(wiring.Signature):
    """What the groups of a unit share.

    Members
    -------
    position, activation : In(1)
        A step is in stage MOVE, or in stage HOLD (compact: READ).
    entering : In(1)
        The step in stage MOVE leads into the output row: its carry ends no channel.
    finish : In(1)
        The step in stage ADD (compact: CHOOSE) is the output row's last: every group's channel ends.
    base, valid :
        Of the step in stage SLOT; see :class:`RowPlace`.
    write, address, data :
        The row buffers' common write port; a bit of ``write`` for each part of a word.
    """

    def __init__(self, *, slots: int, rows: int, depth: int, word: RowWord) -> None:
        super().__init__(
            {
                "position": Out(1),
                "activation": Out(1),
                "entering": Out(1),
                "finish": Out(1),
                "base": Out(range(slots)),
                "valid": Out(rows),
                "write": Out(word.parts),
                "address": Out(range(depth)),
                "data": Out(word.width),
            }
        )


class Group(wiring.Component):
    """Adds and subtracts whole rows: a lane for each output pixel, all at the same tap and with the same sign.

    One index word a cycle, no backpressure: a word enters at stage DECODE and is added at ADD; a channel's sums stand
    in ``sums`` from the cycle after the one in which the next channel's first word was at CHOOSE. Exact:
    docs/arithmetic.md; partial sums may wrap, the sums do not.

    ``compact`` is for logic cells that give out either their table or their register. A channel's first code goes
    around the adder into its register, instead of the register being cleared, and what is complete leaves from the
    register, a cycle later. That cycle is won where lanes choose from the memory's own output, without a register
    between. Pixels are written as they come, instead of a row at once.

    Cost: one row buffer; a lane has a multiplexer over the kernel's columns, an adder, and two registers of the sum's
    width. No multiplier.

    Parameters
    ----------
    word_format, window, start :
        As in :class:`~sterna.hw.index.position.Walker`.
    taps : :class:`TapOrder`
        What positions mean.
    geometry : :class:`Geometry`
    slots : :class:`int`
        Rows in the ring.
    row_word : :class:`RowWord`
        Its words.
    activation : :class:`ActivationType`
        Type of the input codes.
    acc_width : :class:`int`
        Width of a sum, in bits.
    elements : :class:`int`
        Sums that leave together.
    compact : :class:`bool`
        See above.

    Members
    -------
    control : ``In(GroupControl)``
        What all groups share.
    word, escapes, high, filler :
        As in :class:`~sterna.hw.units.dense.lane.Lane`.
    ended : ``Out(1)``
        A channel ends in this cycle; ``sums`` are valid from the next.
    shift : ``In(1)``
        The first ``elements`` sums are taken in this cycle; the next ones follow.
    sums : ``Out(elements * acc_width)``; short : ``Out(1)``
        The last complete channel's next sums, and what is missing in each of that channel.
    """

    control: Any  # the members of GroupControl
    word: Signal
    escapes: Signal
    high: Signal
    filler: Signal
    ended: Signal
    shift: Signal
    sums: Signal
    short: Signal

    def __init__(
        self,
        *,
        word_format: WordFormat,
        window: Window,
        start: int,
        taps: TapOrder,
        geometry: Geometry,
        slots: int,
        row_word: RowWord,
        activation: ActivationType,
        acc_width: int,
        elements: int,
        compact: bool,
    ) -> None:
        self._walker = Walker(word_format=word_format, window=window, start=start)
        self._taps = taps
        self._geometry = geometry
        self._slots = slots
        self._activation = activation
        self._acc_width = acc_width
        self._elements = elements
        self._compact = compact
        self._depth = slots * taps.channels
        self._row_word = row_word
        super().__init__(
            {
                "control": In(GroupControl(slots=slots, rows=geometry.kernel[0], depth=self._depth, word=row_word)),
                "word": In(word_format.lane_width),
                "escapes": Out(1),
                "high": In(word_format.high_width),
                "filler": In(1),
                "ended": Out(1),
                "shift": In(1),
                "sums": Out(elements * acc_width),
                "short": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # a slot is written while others are read; what is read of it in the padding is masked
        word = self._row_word
        buffer: Memory = Memory(shape=unsigned(word.width), depth=self._depth, init=[], attrs=NO_COLLISION)
        m.submodules.buffer = buffer
        write, read = buffer.write_port(granularity=word.width // word.parts), buffer.read_port()
        m.d.comb += [
            write.en.eq(self.control.write),
            write.addr.eq(self.control.address),
            write.data.eq(self.control.data),
        ]
        walker = self._walker
        move = walker.decode(m, self.word, high=self.high, filler=self.filler, escapes=self.escapes)
        place = walker.move(m, move, valid=self.control.position, entering=self.control.entering)
        adds, column = self._address(m, place.position, place.adds, read)
        plus, first = place.plus, place.first
        stages = [Stage.SLOT, Stage.ADDRESS, Stage.READ, Stage.HOLD, Stage.CHOOSE]
        held: Value = read.data
        if self._compact:
            stages.remove(Stage.HOLD)
        else:
            # without reset or enable, so that it can become the memory's own output register
            held = Signal(word.width, reset_less=True)
            m.d.sync += held.eq(read.data)
            adds, column = carried(m, adds, "adds", Stage.HOLD), carried(m, column, "column", Stage.HOLD)
        for stage in stages:
            plus, first = carried(m, plus, "plus", stage), carried(m, first, "first", stage)
        column = carried(m, column, "column", Stage.CHOOSE)
        silent = Signal(init=1)  # a reset must not leave a step in CHOOSE: what was held would be added
        m.d.sync += silent.eq(~(adds & self.control.activation))
        ended = Signal()
        m.d.comb += ended.eq(first | self.control.finish)
        self._lanes(m, held, column, ~plus, silent, ended)
        return m

    def _address(self, m: Module, position: Signal, adds: Signal, read: Any) -> tuple[Signal, Signal]:
        """Stages TAP to READ: from a position to a word of the row buffer; whether it adds, and the tap's column."""
        taps, slots = self._taps, self._slots
        window = self._walker.window
        low, high = position[: taps.low_width], position[taps.low_width :]
        channel, tap = (high, low) if taps.by_channel else (low, high)
        first = taps.first_channel(window)
        row, column, real = (
            Signal(range(max(size, 2)), name=name)
            for size, name in zip((*taps.kernel, 2), ("row", "column", "real"), strict=True)
        )
        # slots from the kernel's first row; a kernel that reaches far into the padding may go around the ring
        below = Signal(range(slots), name="below") if taps.kernel[0] > slots else row
        with m.Switch(tap):
            for field, entry in enumerate(taps.decoded(window)):
                if entry is not None:
                    with m.Case(field):
                        m.d.comb += [row.eq(entry[0]), column.eq(entry[1]), real.eq(entry[2])]
                        if below is not row:
                            m.d.comb += below.eq(entry[0] % slots)
        channel = carried(m, channel, "channel", Stage.SLOT)
        late = carried(m, row, "row", Stage.SLOT)
        below = late if below is row else carried(m, below, "below", Stage.SLOT)
        row, column = late, carried(m, column, "column", Stage.SLOT)
        adds = carried(m, adds & real, "adds", Stage.SLOT)

        slot = Signal(range(slots))
        m.d.sync += slot.eq(turned(m, self.control.base, below, slots, "under"))
        valid = self.control.valid.bit_select(row, 1)
        channel = carried(m, channel, "channel", Stage.ADDRESS)
        column = carried(m, column, "column", Stage.ADDRESS)
        adds = carried(m, adds & valid, "adds", Stage.ADDRESS)

        address = Signal(range(self._depth))
        bases = [(k * taps.channels - first) % (1 << len(address)) for k in range(slots)]
        m.d.sync += address.eq(Array(Const(base, len(address)) for base in bases)[slot] + channel)
        m.d.comb += read.addr.eq(address)
        return carried(m, adds, "adds", Stage.READ), carried(m, column, "column", Stage.READ)

    def _lanes(self, m: Module, held: Value, column: Signal, minus: Value, silent: Signal, ended: Signal) -> None:
        """The choice and the addition of all lanes, and the sums on their way out."""
        code, width, columns = self._activation.width, self._acc_width, self._geometry.columns
        slots = -(-columns // self._elements) * self._elements
        sums = Signal(slots * width)
        taken = carried(m, minus, "minus", Stage.ADD)
        with m.If(silent):  # a register that is cleared costs no logic
            m.d.sync += taken.eq(0)
        # a code is taken away by adding its complement and 1; compact, where the adder is bypassed, a step later
        after, late = carried(m, ended, "ended", Stage.ADD), carried(m, taken, "late", Stage.ADD)
        finished = []
        for lane in range(columns):
            operand = Signal(code, name=f"operand_{lane}")
            m.d.sync += operand.eq(self._chosen(held, column, lane) ^ minus.replicate(code))
            with m.If(silent):
                m.d.sync += operand.eq(0)
            sign = operand[-1] if self._activation.signed else taken
            added = Cat(operand, sign.replicate(max(width - code, 0)))[:width]
            acc, total = Signal(width, name=f"acc_{lane}"), Signal(width, name=f"total_{lane}")
            m.d.comb += total.eq((Cat(1, acc) + Cat(late if self._compact else taken, added))[1:])
            m.d.sync += acc.eq(Mux(after, added, total) if self._compact else total)
            if not self._compact:
                with m.If(ended):
                    m.d.sync += acc.eq(0)
            finished.append(acc if self._compact else total)
        m.d.comb += [self.ended.eq(after if self._compact else ended), self.sums.eq(sums[: self._elements * width])]
        with m.If(self.shift):
            m.d.sync += sums.eq(sums[self._elements * width :])
        with m.If(self.ended):
            m.d.sync += sums.eq(Cat(*finished))
            if self._compact:
                m.d.sync += self.short.eq(late)

    def _chosen(self, held: Value, column: Value, lane: int) -> Value:
        """The code under the tap's column, for a lane; 0 in the padding."""
        code = self._activation.width
        choices: list[Value] = []
        for tap in range(self._geometry.kernel[1]):
            place = self._geometry.column(lane, tap)
            inside = 0 <= place < self._geometry.width
            choices.append(held[place * code : (place + 1) * code] if inside else Const(0, code))
        for bit in range(len(column)):
            choices = [
                Mux(column[bit], choices[k + 1], choices[k]) if k + 1 < len(choices) else choices[k]
                for k in range(0, len(choices), 2)
            ]
        return choices[0]
