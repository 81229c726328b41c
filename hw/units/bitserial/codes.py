"""How codes are read off sums that come bit by bit, all rows at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from sterna.hw.units.bitserial.adders import compare_bits
from sterna.hw.units.summing.levels import count_reached
from sterna.net import ActivationType, ShiftRound, Thresholds


class Constants:
    """Bits of constants, each once however many rows have it.

    Parameters
    ----------
    m : Module
    position : Value
        Which bit comes in the next cycle.
    bits : int
        Bits of each.
    turned : bool
        The last bit, the sign, is inverted.
    """

    def __init__(self, m: Module, position: Value, bits: int, *, turned: bool) -> None:
        self._m = m
        self._position = position
        self._bits = bits
        self._turn = int(turned) << (bits - 1)
        self._made: dict[int, Signal] = {}

    def bit(self, value: int) -> Signal:
        """The bits of a number in two's complement, one after the other."""
        if value not in self._made:
            self._made[value] = bit = Signal(name=f"constant_{len(self._made)}", reset_less=True)
            pattern = Const(value & ((1 << self._bits) - 1) ^ self._turn, self._bits)
            self._m.d.sync += bit.eq(pattern.bit_select(self._position, 1))
        return self._made[value]


def read_scores(m: Module, sums: Sequence[Signal], bits: int) -> list[Value]:
    """The sums themselves; complete in the cycle of their last bit."""
    results: list[Value] = []
    for row, bit in enumerate(sums):
        taken = Signal(bits - 1, name=f"score_{row}", reset_less=True)
        score = Cat(taken, bit)
        m.d.sync += taken.eq(score[1:])
        results.append(score)
    return results


class ShiftMarks:
    """Which bits of a sum are the code's, and which lie above, in the cycles in which they come.

    Parameters
    ----------
    m : Module
    tokens : sequence of Value
        Token k is there k cycles after a frame has begun.
    lowest : int
        The token of the sums' lowest bit.
    bits : int
        Bits of a sum.
    output : ActivationType
        Of the codes.
    """

    def __init__(self, m: Module, tokens: Sequence[Value], lowest: int, bits: int, output: ActivationType) -> None:
        self._m = m
        self._tokens = tokens
        self._lowest = lowest
        self._bits = bits
        self._output = output
        self._made: dict[int, tuple[Signal, Signal]] = {}

    def of(self, shift: int) -> tuple[Signal, Signal]:
        """The marks of the code's bits, and of those above it that its range depends on, without the last."""
        if shift not in self._made:
            end = shift + self._output.width
            above = end - 1 if self._output.signed else end
            self._made[shift] = (
                self._between(shift, end, f"code_{shift}"),
                self._between(above, self._bits - 1, f"above_{shift}"),
            )
        return self._made[shift]

    def _between(self, begin: int, end: int, name: str) -> Signal:
        mark = Signal(name=name)
        with self._m.If(self._tokens[self._lowest + end - 1]):
            self._m.d.sync += mark.eq(0)
        with self._m.If(self._tokens[self._lowest + begin - 1]):
            self._m.d.sync += mark.eq(begin < end)
        return mark


def read_shifted(m: Module, sums: Sequence[Signal], requantize: ShiftRound, marks: ShiftMarks) -> list[Value]:
    """``clamp(sum >> shift)``; complete in the cycle of a sum's last bit, its sign."""
    output = requantize.output
    results: list[Value] = []
    for row, bit in enumerate(sums):
        code, above = marks.of(int(requantize.shift[row]))
        taken = Signal(output.width, name=f"code_of_{row}", reset_less=True)
        with m.If(code):
            m.d.sync += taken.eq(Cat(taken[1:], bit))
        some, none = _beyond(m, bit, above, row, signed=output.signed)
        if not output.signed:
            results.append((taken | some.replicate(output.width)) & ~bit.replicate(output.width))
            continue
        low = output.width - 1
        clamped = Mux(bit, taken[:low] & ~none.replicate(low), taken[:low] | some.replicate(low))
        results.append(Cat(clamped, bit))
    return results


def _beyond(m: Module, bit: Value, above: Value, row: int, *, signed: bool) -> tuple[Signal, Signal]:
    """Whether a 1, and whether a 0, has come above the code of a row, before its sign."""
    some, none = (Signal(name=f"{what}_above_{row}", reset_less=True) for what in ("some", "none"))
    m.d.sync += some.eq(above & (some | bit))
    if signed:
        m.d.sync += none.eq(above & (none | ~bit))
    return some, none


def pass_shifted(
    m: Module, sums: Sequence[Signal], requantize: ShiftRound, marks: ShiftMarks, *, last: Value, leaves: Value
) -> list[Signal]:
    """The same codes bit by bit, lowest first, for the layer behind.

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
        code, above = marks.of(int(requantize.shift[row]))
        taken = Signal(output.width, name=f"code_of_{row}", reset_less=True)
        with m.If(code | leaves):
            m.d.sync += taken.eq(Cat(taken[1:], bit))
        some, none = _beyond(m, bit, above, row, signed=output.signed)
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


def pass_codes(m: Module, codes: Sequence[Value], output: ActivationType, load: Value) -> list[Signal]:
    """Codes that are there in the cycle of ``load``, bit by bit from the cycle after, lowest first."""
    bits = []
    for row, code in enumerate(codes):
        register, lowest = Signal(output.width, name=f"code_of_{row}", reset_less=True), Signal(name=f"bit_{row}")
        sign = register[-1] if output.signed else Const(0, 1)
        m.d.sync += register.eq(Mux(load, code, Cat(register[1:], sign)))
        m.d.comb += lowest.eq(register[0])
        bits.append(lowest)
    return bits


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
    """Codes by thresholds, a cycle after the last bit of sums whose sign is inverted.

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
    for row, bit in enumerate(sums):
        reached: list[Value] = []
        made: dict[int, Value] = {}
        for level in (requantize.levels[row].astype(np.int64) - offset[row]).tolist():
            if level not in made and low[row] < level <= high[row]:
                # the row's sum is at least the level: its term is, or its term is at most the level's negative
                at_least = constants.bit(1 - level if negative[row] else level)
                found = compare_bits(m, bit, at_least, first, name=f"reached_{row}_{len(made)}")
                made[level] = ~found if negative[row] else found
            reached.append(made.get(level, Const(int(level <= low[row]), 1)))
        code = count_reached(reached)
        if output.signed:
            code = Cat(code[: width - 1], ~code[width - 1])
        results.append(code)
    return results
