"""One lane: walks over the nonzero weights of its rows and adds or subtracts the activations found there."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.index.columns import Window
from sterna.hw.index.position import Walker
from sterna.hw.index.walk import WordFormat
from sterna.hw.parts.pipeline import carried
from sterna.hw.parts.rom import NO_COLLISION
from sterna.hw.units.dense.pipeline import Stage
from sterna.net import ActivationType


class LaneControl(wiring.Signature):
    """What the lanes of a unit share: which pipeline stages hold a step, and where frames begin and end.

    Members
    -------
    position, activation : In(1)
        A step is in stage MOVE, or in stage HOLD.
    entering : In(1)
        The step in stage MOVE leads into a frame: its carry ends no row.
    finish : In(1)
        The step in stage ADD is the frame's last: every lane's row ends.
    bank : In(1)
        Which of the two input buffers the step in stage READ reads.
    write, write_bank, write_address, write_data :
        The input buffers' common write port.
    """

    def __init__(self, address_width: int, word_width: int) -> None:
        super().__init__(
            {
                "position": Out(1),
                "activation": Out(1),
                "entering": Out(1),
                "finish": Out(1),
                "bank": Out(1),
                "write": Out(1),
                "write_bank": Out(1),
                "write_address": Out(address_width),
                "write_data": Out(word_width),
            }
        )


class Lane(wiring.Component):
    """Adds and subtracts the activations at a schedule's positions.

    One index word a cycle, no backpressure: a word enters at stage DECODE, its activation is added at ADD, and a row's
    sum stands in ``sum`` from the cycle after the one in which the next row's first word was at CHOOSE. Exact:
    docs/arithmetic.md; partial sums may wrap, the sum does not.

    Cost: one ``address_width``-bit and one ``acc_width + 1``-bit adder, and the two input buffers in one memory; no
    multiplier.

    Parameters
    ----------
    word_format : :class:`WordFormat`
        Layout of an index word.
    window : :class:`Window`
        Layout of the address space.
    start : :class:`int`
        Position before the first step.
    activation : :class:`ActivationType`
        Type of the input codes.
    elements : :class:`int`
        Input elements in a memory word, a power of two.
    acc_width : :class:`int`
        Width of a sum, in bits.

    Members
    -------
    control : ``In(LaneControl)``
        What all lanes share.
    word : ``In(word_format.lane_width)``
        Distance, and on top a bit that is 1 for a weight of +1.
    escapes : ``Out(1)``
        The word's distance escapes.
    high : ``In(word_format.high_width)``; filler : ``In(1)``
        The escape that it then takes (see :class:`Escapes`).
    sum : ``Out(signed(acc_width))``
        The last complete row's sum, until the next one is complete.
    ended : ``Out(1)``
        A row ends in this cycle; ``sum`` is valid from the next.
    """

    control: Any  # the members of LaneControl
    word: Signal
    escapes: Signal
    high: Signal
    filler: Signal
    sum: Signal
    ended: Signal

    def __init__(
        self,
        *,
        word_format: WordFormat,
        window: Window,
        start: int,
        activation: ActivationType,
        elements: int,
        acc_width: int,
    ) -> None:
        self._format = word_format
        self._window = window
        self._start = start
        self._activation = activation
        self._elements = elements
        self._select_width = elements.bit_length() - 1
        self._word_width = elements * activation.width
        self._acc_width = acc_width
        super().__init__(
            {
                "control": In(LaneControl(window.address_width - self._select_width, self._word_width)),
                "word": In(word_format.lane_width),
                "escapes": Out(1),
                "high": In(word_format.high_width),
                "filler": In(1),
                "sum": Out(signed(acc_width)),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # a bank is written while the other is read, so no address ever is both at once
        buffer: Memory = Memory(
            shape=unsigned(self._word_width),
            depth=2 << (self._window.address_width - self._select_width),
            init=[],
            attrs=NO_COLLISION,
        )
        m.submodules.buffer = buffer
        write = buffer.write_port()
        read = buffer.read_port()
        m.d.comb += [
            write.en.eq(self.control.write),
            write.addr.eq(Cat(self.control.write_address, self.control.write_bank)),
            write.data.eq(self.control.write_data),
        ]

        walker = Walker(word_format=self._format, window=self._window, start=self._start)
        move = walker.decode(m, self.word, high=self.high, filler=self.filler, escapes=self.escapes)
        place = walker.move(m, move, valid=self.control.position, entering=self.control.entering)
        m.d.comb += read.addr.eq(Cat(place.position[self._select_width :], self.control.bank))

        adds_5 = carried(m, place.adds, "adds", Stage.HOLD)
        plus_5 = carried(m, place.plus, "plus", Stage.HOLD)
        first_5 = carried(m, place.first, "first", Stage.HOLD)
        select_5 = carried(m, place.position[: self._select_width], "select", Stage.HOLD)
        # without reset or enable, so that it can become the memory's own output register
        fetched = Signal(self._word_width, reset_less=True)
        m.d.sync += fetched.eq(read.data)

        adds_6 = carried(m, adds_5, "adds", Stage.CHOOSE)
        with m.If(~self.control.activation):  # a register that is cleared costs no logic
            m.d.sync += adds_6.eq(0)
        plus_6 = carried(m, plus_5, "plus", Stage.CHOOSE)
        first_6 = carried(m, first_5, "first", Stage.CHOOSE)
        select_6 = carried(m, select_5, "select", Stage.CHOOSE)
        operand = Signal(self._activation.width)
        masked = _chosen(fetched, select_6) & adds_6.replicate(len(operand))
        m.d.sync += operand.eq(masked ^ plus_6.replicate(len(operand)))

        plus_7 = carried(m, plus_6, "plus", Stage.ADD)
        acc = Signal(signed(self._acc_width))
        total = Signal(signed(self._acc_width))
        m.d.comb += [
            total.eq(self._add(acc, operand, plus_7)),
            self.ended.eq(first_6 | self.control.finish),
        ]
        m.d.sync += acc.eq(total)
        with m.If(self.ended):
            m.d.sync += [acc.eq(0), self.sum.eq(total)]
        return m

    def _add(self, acc: Signal, operand: Signal, plus: Signal) -> Value:
        """``acc + code`` or ``acc - code`` by one subtractor: to be added, a code is inverted, and 1 is borrowed."""
        sign = operand[-1] if self._activation.signed else plus
        extended = Cat(operand, sign.replicate(max(self._acc_width - len(operand), 0)))[: self._acc_width]
        return (Cat(0, acc) - Cat(plus, extended))[1 : self._acc_width + 1].as_signed()


def _chosen(word: Value, select: Value) -> Value:
    """One of a word's elements, by multiplexers alone: ``word_select`` would multiply the index by the width."""
    for bit in reversed(range(len(select))):
        half = len(word) // 2
        word = Mux(select[bit], word[half:], word[:half])
    return word
