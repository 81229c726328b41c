"""How codes are read off sums with all bits at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from sterna.hw.parts.requantize import clamped
from sterna.hw.parts.tables import code_shape, shape_of
from sterna.hw.units.summing.levels import count_reached
from sterna.hw.units.unrolled.delayed import Delayed
from sterna.net import Requantization, ShiftRound, Thresholds

#: Bits of a code that a search through thresholds finds in a cycle.
BITS_A_CYCLE = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row's sum.

    Attributes
    ----------
    name : str
    sums : Value
        The sum, or its negative.
    minus : bool
        It is the negative.
    low, high : int
        Smallest and largest sum.
    added : int
        What is added to the sum.
    """

    name: str
    sums: Value
    minus: bool
    low: int
    high: int
    added: int


def code_cycles(requantize: Requantization | None) -> int:
    """Cycles from a sum to the register of its code."""
    return -(-requantize.output.width // BITS_A_CYCLE) if isinstance(requantize, Thresholds) else 1


def read_code(m: Module, row: Row, requantize: Requantization | None, number: int) -> Value:
    """The code of a row, or its score, ``code_cycles`` later.

    Parameters
    ----------
    number : int
        Of the row in ``requantize``.
    """
    if isinstance(requantize, Thresholds):
        return _searched(m, row, requantize, number)
    shape = shape_of(row.low + row.added, row.high + row.added)
    total = Signal(shape, name=f"{row.name}_sum", attrs={"keep": 1})
    m.d.comb += total.eq(row.added - row.sums if row.minus else row.sums + row.added)
    if requantize is None:
        result = Signal(shape, name=f"{row.name}_score", reset_less=True)
        m.d.sync += result.eq(total)
        return result
    assert isinstance(requantize, ShiftRound)
    result = Signal(code_shape(requantize.output), name=f"{row.name}_code", reset_less=True)
    m.d.sync += result.eq(clamped(total.shift_right(int(requantize.shift[number])), requantize.output))
    return result


def _searched(m: Module, row: Row, requantize: Thresholds, number: int) -> Value:
    """How many levels a sum reaches: a search, that finds some bits of the number a cycle, the highest first.

    Of a negative, levels turn around: the sum is at least a level if the negative is less than 1 minus the level.
    """
    output, low, high = requantize.output, row.low, row.high
    levels = [int(level) - row.added for level in requantize.levels[number]]
    if row.minus:
        levels, low, high = sorted(1 - level for level in levels), -high, -low
    levels = [min(max(level, low), high + 1) for level in levels]
    width = shape_of(min(low, -1), high + 1).width
    sums = Delayed(m, row.sums, 0, f"{row.name}_sum")
    found: Value = Const(0, 0)
    for cycle in range(code_cycles(requantize)):
        bits = min(BITS_A_CYCLE, output.width - len(found))
        value = _extended(sums.at(cycle), width)
        step = 1 << (output.width - len(found) - bits)
        reached: list[Signal] = []
        for k in range(1, 1 << bits):  # the levels that part the rest of the numbers, for every number so far
            parting = [levels[(before << bits | k) * step - 1] for before in range(1 << len(found))]
            reached.append(Signal(name=f"{row.name}_reached_{cycle}_{k}"))
            m.d.comb += reached[-1].eq(_at_least(value, parting, width, found))
        more = Signal(len(found) + bits, name=f"{row.name}_found_{cycle}", reset_less=True)
        m.d.sync += more.eq(Cat(count_reached(reached), found))
        found = more
    code = Signal(code_shape(output), name=f"{row.name}_code")
    flipped = (1 << output.width) - 1 if row.minus else 0
    if output.signed:
        flipped ^= 1 << (output.width - 1)
    m.d.comb += code.eq(found ^ flipped)
    return code


def _extended(value: Value, width: int) -> Value:
    """In two's complement of a width, with the sign inverted: its order is that of unsigned numbers."""
    bits = Cat(value, (value[-1] if value.shape().signed else Const(0, 1)).replicate(width))[:width]
    return Cat(bits[:-1], ~bits[-1])


def _at_least(value: Value, levels: Sequence[int], width: int, chosen: Value) -> Value:
    """Whether a value is at least the level that ``chosen`` says; from the lowest bit up, without an adder."""
    reached: Value = Const(1, 1)
    for bit in range(width):
        turned = bit == width - 1
        ones = [(level >> bit & 1) ^ turned for level in levels]
        other, own = _one_of(ones, chosen), value[bit]
        reached = own & ~other | (own | ~other) & reached
    return reached


def _one_of(bits: Sequence[int], chosen: Value) -> Value:
    """The bit that ``chosen`` says."""
    if len(set(bits)) == 1:
        return Const(bits[0], 1)
    half = len(bits) // 2
    return Mux(chosen[-1], _one_of(bits[half:], chosen[:-1]), _one_of(bits[:half], chosen[:-1]))
