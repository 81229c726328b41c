"""Where a walk stands: from index words to positions."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from sterna.hw.index.columns import Window, carry_width
from sterna.hw.index.walk import WordFormat


@dataclass(frozen=True)
class Move:
    """A decoded word: by how much the position moves, the weight's sign, and whether a code is added at all."""

    distance: Signal
    plus: Signal
    adds: Signal


@dataclass(frozen=True)
class Place:
    """Where a move led: the position, the weight's sign, whether its code is added, and if it begins a row."""

    position: Signal
    plus: Signal
    adds: Signal
    first: Signal


@dataclass(frozen=True, kw_only=True)
class Walker:
    """Follows a schedule's words; whoever uses it gives it a module for its registers.

    Attributes
    ----------
    word_format : WordFormat
        Layout of an index word.
    window : Window
        Layout of the address space.
    start : int
        Position before the first step.
    """

    word_format: WordFormat
    window: Window
    start: int

    def decode(self, m: Module, word: Value, *, high: Value, filler: Value, escapes: Signal) -> Move:
        """A word's distance, an escape in place of its mark, its sign, and whether a code is added; a cycle later.

        A filler of the plain format has no sign, which would move it one place further.
        """
        fmt = self.word_format
        run, plus = word[: fmt.run_width], word[fmt.run_width]
        whole: Value = run
        if not fmt.escape_width:
            filler = word.all()
            plus = plus & ~filler
            silent = filler | ~word.any()
        else:
            low, marked = run[: fmt.low_width], run[fmt.low_width :]
            # bit by bit: a table of four inputs each, the mark and the bit of the escape
            escaping = marked.all().replicate(fmt.high_width)
            whole = Cat(low, marked & ~escaping[: fmt.mark_width] | high & escaping)
            # a wait's leading bits are all 0, a filler's all 1: whether they are equal is seen once for both
            equal = Signal()
            m.d.comb += [equal.eq(marked.all() | ~marked.any()), escapes.eq(equal & marked[0])]
            silent = equal & Mux(marked[0], filler, ~plus & ~low.any())
        distance = Signal(len(whole))
        sign, adds = Signal(), Signal()
        m.d.sync += [distance.eq(whole), sign.eq(plus), adds.eq(~silent)]
        return Move(distance, sign, adds)

    def move(self, m: Module, move: Move, *, valid: Value, entering: Value) -> Place:
        """The next position, a cycle later; ``entering`` steps lead into the frame: their carry ends no row."""
        size = self.window.address_width
        position = Signal(size, init=self.start)
        adds_4, plus_4, first = Signal(), Signal(), Signal()
        moved = Signal(size + 1)
        # a positive weight is one place further, which is the adder's carry
        m.d.comb += moved.eq((Cat(1, position) + Cat(move.plus, move.distance))[1:])
        with m.If(valid):
            m.d.sync += position.eq(self._offset(m, moved[:size], moved[size]))
        m.d.sync += [adds_4.eq(move.adds), plus_4.eq(move.plus), first.eq(moved[size])]
        with m.If(~valid | entering):
            m.d.sync += first.eq(0)
        return Place(position, plus_4, adds_4, first)

    def _offset(self, m: Module, moved: Value, carry: Value) -> Value:
        """Behind a carry, adds the window's offset by a look-up: what the carry leaves has few bits."""
        size, offset = self.window.address_width, self.window.offset
        if not offset:
            return moved
        low = (offset & -offset).bit_length() - 1
        high = min(carry_width(self.word_format.run_width), size)
        placed = Signal(size)
        m.d.comb += placed.eq(moved)
        with m.If(carry):
            if high <= low:
                m.d.comb += placed[low:].eq(offset >> low)
            else:
                with m.Switch(moved[low:high]):
                    for key in range(1 << (high - low)):
                        with m.Case(key):
                            m.d.comb += placed[low:].eq((offset >> low) + key)
        return placed
