"""How codes are read off sums that come digit by digit, all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from sterna.hw.units.bitserial.adders import compare_digits, extended, shift_register, shifted
from sterna.hw.units.summing.levels import count_reached
from sterna.net import ActivationType, ShiftRound, Thresholds


@dataclass(frozen=True)
class Digits:
    """How sums come.

    Attributes
    ----------
    digit : int
        Bits in a cycle.
    cycles : int
        Of a sum.
    """

    digit: int
    cycles: int

    @property
    def bits(self) -> int:
        """Of a sum."""
        return self.digit * self.cycles


@dataclass(frozen=True)
class Marks:
    """Where a row's code lies in its sum.

    Attributes
    ----------
    code : Signal
        The digit that comes has bits of the code.
    bits : int
        Of all digits that have some.
    offset : int
        How many of these are below the code.
    above : tuple of Signal
        Of each bit of the digit that comes: the code's range depends on it, and it is not of the last digit.
    """

    code: Signal
    bits: int
    offset: int
    above: tuple[Signal, ...]


class Constants:
    """Digits of constants, each once however many rows have it.

    Parameters
    ----------
    m : Module
    position : Value
        Which digit comes in the next cycle.
    frame : Digits
    turned : bool
        The last bit, the sign, is inverted.
    """

    def __init__(self, m: Module, position: Value, frame: Digits, *, turned: bool) -> None:
        self._m = m
        self._position = position
        self._frame = frame
        self._turn = int(turned) << (frame.bits - 1)
        self._made: dict[int, Signal] = {}

    def digits(self, value: int) -> Signal:
        """The digits of a number in two's complement, one after the other."""
        if value not in self._made:
            bits, digit = self._frame.bits, self._frame.digit
            self._made[value] = found = Signal(digit, name=f"constant_{len(self._made)}", reset_less=True)
            pattern = Const(value & ((1 << bits) - 1) ^ self._turn, bits)
            self._m.d.sync += found.eq(pattern.word_select(self._position, digit))
        return self._made[value]


def read_scores(m: Module, sums: Sequence[Signal], frame: Digits) -> list[Value]:
    """The sums themselves; complete in the cycle of their last digit."""
    results: list[Value] = []
    for row, digit in enumerate(sums):
        taken = Signal(frame.bits - frame.digit, name=f"score_{row}", reset_less=True)
        score = Cat(taken, digit)
        m.d.sync += taken.eq(score[frame.digit :])
        results.append(score)
    return results


class ShiftMarks:
    """Which bits of a sum are the code's, and which lie above, in the cycles in which they come.

    A code ends before the last digit of its sum.

    Parameters
    ----------
    m : Module
    tokens : sequence of Value
        Token k is there k cycles after a frame has begun.
    lowest : int
        The token of the sums' lowest digit.
    frame : Digits
    output : ActivationType
        Of the codes.
    """

    def __init__(self, m: Module, tokens: Sequence[Value], lowest: int, frame: Digits, output: ActivationType) -> None:
        self._m = m
        self._tokens = tokens
        self._lowest = lowest
        self._frame = frame
        self._output = output
        self._made: dict[int, Marks] = {}

    def of(self, shift: int) -> Marks:
        """Of codes that begin at bit ``shift``."""
        if shift not in self._made:
            digit, last = self._frame.digit, self._frame.cycles - 1
            end = shift + self._output.width
            above = end - 1 if self._output.signed else end
            first, behind = shift // digit, (end - 1) // digit + 1
            self._made[shift] = Marks(
                code=self._between(first, behind, f"code_{shift}"),
                bits=(behind - first) * digit,
                offset=shift % digit,
                above=tuple(
                    self._between(-((k - above) // digit), last, f"above_{shift}{f'_{k}' * (digit > 1)}")
                    for k in range(digit)
                ),
            )
        return self._made[shift]

    def _between(self, begin: int, end: int, name: str) -> Signal:
        """From one digit to the one before another."""
        mark = Signal(name=name)
        with self._m.If(self._tokens[self._lowest + end - 1]):
            self._m.d.sync += mark.eq(0)
        with self._m.If(self._tokens[self._lowest + begin - 1]):
            self._m.d.sync += mark.eq(begin < end)
        return mark


def read_shifted(m: Module, sums: Sequence[Signal], requantize: ShiftRound, marks: ShiftMarks) -> list[Value]:
    """``clamp(sum >> shift)``; complete in the cycle of a sum's last digit, whose highest bit is its sign."""
    output = requantize.output
    results: list[Value] = []
    for row, digit in enumerate(sums):
        mark, sign = marks.of(int(requantize.shift[row])), digit[-1]
        taken = Signal(mark.bits, name=f"gathered_{row}", reset_less=True)
        with m.If(mark.code):
            m.d.sync += taken.eq(Cat(taken[len(digit) :], digit))
        code = taken[mark.offset :][: output.width]
        some, none = _beyond(m, digit, mark, row, signed=output.signed)
        if len(digit) > 1:
            some, none = some | digit[:-1].any(), none | ~digit[:-1].all()
        if not output.signed:
            results.append((code | some.replicate(output.width)) & ~sign.replicate(output.width))
            continue
        low = output.width - 1
        clamped = Mux(sign, code[:low] & ~none.replicate(low), code[:low] | some.replicate(low))
        results.append(Cat(clamped, sign))
    return results


def _beyond(m: Module, digit: Value, mark: Marks, row: int, *, signed: bool) -> tuple[Value, Value]:
    """Whether a 1, and whether a 0, has come above the code of a row, before the last digit."""
    some, none = (Signal(name=f"{what}_above_{row}", reset_less=True) for what in ("some", "none"))
    m.d.sync += some.eq(_marked(some, digit, mark))
    if signed:
        m.d.sync += none.eq(_marked(none, ~digit, mark))
    return some, none


def _marked(before: Value, digit: Value, mark: Marks) -> Value:
    """Whether a bit above the code is 1, or one was before; where a digit's bits are above, its highest is."""
    found = mark.above[-1] & (before | digit[-1])
    for above, bit in zip(mark.above[:-1], digit[:-1], strict=True):
        found |= above & bit
    return found


def pass_shifted(
    m: Module, sums: Sequence[Signal], requantize: ShiftRound, marks: ShiftMarks, *, last: Value, leaves: Value
) -> list[Signal]:
    """The same codes bit by bit, lowest first, for the layer behind, of sums that come bit by bit.

    A code's bits leave its register in the order in which they came, while the next frame's come in: whoever is in it
    moves on in every cycle in which a bit comes or leaves.

    Parameters
    ----------
    last : Value
        The sums' signs are there.
    leaves : Value
        From the cycle after, for as many cycles as a code has bits, without its sign.

    Returns
    -------
    list of Signal
        A row's bit each: the lowest two cycles after the sign, and behind the highest 0, or the sign.
    """
    output = requantize.output
    bits = []
    for row, bit in enumerate(sums):
        mark = marks.of(int(requantize.shift[row]))
        taken = Signal(output.width, name=f"code_of_{row}", reset_less=True)
        with m.If(mark.code | leaves):
            m.d.sync += taken.eq(Cat(taken[1:], bit))
        some, none = _beyond(m, bit, mark, row, signed=output.signed)
        over, under, sign = (Signal(name=f"{what}_{row}", reset_less=True) for what in ("over", "under", "sign"))
        with m.If(last):
            m.d.sync += [over.eq(some), under.eq(none), sign.eq(bit)]
        passed = Signal(name=f"bit_{row}", reset_less=True)
        if output.signed:
            clamped = Mux(sign, taken[0] & ~under, taken[0] | over)
            m.d.sync += passed.eq(Mux(leaves, clamped, sign))
        else:
            m.d.sync += passed.eq(leaves & ~sign & (taken[0] | over))
        bits.append(passed)
    return bits


def pass_codes(m: Module, codes: Sequence[Value], load: Value, *, digit: int, signed: bool) -> list[Signal]:
    """Codes that are there in the cycle of ``load``, digit by digit from the cycle after, lowest first."""
    digits = []
    for row, code in enumerate(codes):
        register, lowest = shift_register(code, digit, f"code_of_{row}"), Signal(digit, name=f"bit_{row}")
        loaded = extended(code, len(register), signed=signed)
        m.d.sync += register.eq(Mux(load, loaded, shifted(register, digit, signed=signed)))
        m.d.comb += lowest.eq(register[:digit])
        digits.append(lowest)
    return digits


def read_levels(
    m: Module,
    sums: Sequence[Signal],
    requantize: Thresholds,
    *,
    offset: np.ndarray,
    negative: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    constants: Constants,
    first: Value,
) -> list[Value]:
    """Codes by thresholds, a cycle after the last digit of sums whose sign is inverted.

    Parameters
    ----------
    sums : sequence of Signal
        Of each row's term; where ``negative``, the sum is the term's negative.
    offset : int64, (rows,)
        Added to the sum.
    bounds : int64, (rows,) each
        Smallest and largest sum, without the offset.
    """
    output, width = requantize.output, requantize.output.width
    low, high = bounds
    results: list[Value] = []
    for row, digit in enumerate(sums):
        reached: list[Value] = []
        made: dict[int, Value] = {}
        for level in (requantize.levels[row].astype(np.int64) - offset[row]).tolist():
            if level not in made and low[row] < level <= high[row]:
                # the row's sum is at least the level: its term is, or its term is at most the level's negative
                at_least = constants.digits(1 - level if negative[row] else level)
                found = compare_digits(m, digit, at_least, first, name=f"reached_{row}_{len(made)}")
                made[level] = ~found if negative[row] else found
            reached.append(made.get(level, Const(int(level <= low[row]), 1)))
        code = count_reached(reached)
        if output.signed:
            code = Cat(code[: width - 1], ~code[width - 1])
        results.append(code)
    return results
