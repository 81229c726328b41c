"""Adders of one digit, a few bits of a sum, and what waits between them."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from sterna.hw.sums.graph import SumGraph


def majority(a: Value, b: Value, c: Value) -> Value:
    """The carry of three bits."""
    return a & b | c & (a | b)


def add_digits(m: Module, a: Value, b: Value, first: Value, *, subtract: bool, name: str) -> Signal:
    """``a + b`` or ``a - b``, digit by digit, a cycle later; ``first`` says which digit is a sum's lowest.

    Two tables of four inputs and a register for each bit, and the carry's register.
    """
    total, carry = Signal(len(a), name=name, reset_less=True), Signal(name=f"{name}_carry", reset_less=True)
    before: Value = Mux(first, int(subtract), carry)
    bits = []
    for left, right in zip(a, ~b if subtract else b, strict=True):
        bits.append(left ^ right ^ before)
        before = majority(left, right, before)
    m.d.sync += [total.eq(Cat(*bits)), carry.eq(before)]
    return total


def compare_digits(m: Module, a: Value, b: Value, first: Value, *, name: str) -> Signal:
    """Whether ``a >= b``, of the digits so far, a cycle later; unsigned, lowest digit first."""
    reached = Signal(name=name, reset_less=True)
    before: Value = Mux(first, 1, reached)
    for left, right in zip(a, ~b, strict=True):
        before = majority(left, right, before)
    m.d.sync += reached.eq(before)
    return reached


def wait(m: Module, digit: Signal, cycles: int, *, name: str) -> list[Signal]:
    """A digit, and the same after 1 to ``cycles`` cycles."""
    digits = [digit]
    for k in range(cycles):
        later = Signal(len(digit), name=f"{name}_{k + 1}", reset_less=True)
        m.d.sync += later.eq(digits[-1])
        digits.append(later)
    return digits


def shift_register(code: Value, digit: int, name: str) -> Signal:
    """A register that a code leaves digit by digit, lowest first."""
    return Signal(-(-len(code) // digit) * digit, name=name, reset_less=True)


def extended(code: Value, width: int, *, signed: bool) -> Value:
    """A code with copies of its sign, or zeros, above it; ``width`` bits."""
    more = width - len(code)
    return Cat(code, code[-1].replicate(more) if signed else Const(0, more)) if more else code


def shifted(register: Signal, digit: int, *, signed: bool) -> Value:
    """What follows in the register when a digit has left it."""
    return Cat(register[digit:], register[-1].replicate(digit) if signed else Const(0, digit))


def add_graph(
    m: Module, graph: SumGraph, inputs: Sequence[Signal | None], firsts: Sequence[Value], *, digit: int
) -> list[Signal]:
    """The rows' terms of a graph, all ``graph.depth`` cycles after the inputs.

    Parameters
    ----------
    inputs : sequence of Signal or None
        The digits of each input that is used.
    firsts : sequence of Value
        Whether the digits of each level are the lowest of their sums.
    digit : int
        Bits of a digit.

    Returns
    -------
    list of Signal
        A digit a row, of its term; of a row without weights, 0.
    """
    levels, waits = graph.levels, graph.waits(graph.depth)
    # each term's digit at its own level, and at those above where it is read
    terms = [
        [] if low is None else wait(m, low, int(waits[k]), name=f"input_{k}_after") for k, low in enumerate(inputs)
    ]
    for k, (left, right, subtract) in enumerate(zip(graph.left, graph.right, graph.subtract, strict=True)):
        number = graph.inputs + k
        below = int(levels[number]) - 1
        a, b = (terms[term][below - int(levels[term])] for term in (left, right))
        total = add_digits(m, a, b, firsts[below], subtract=bool(subtract), name=f"sum_{k}")
        terms.append(wait(m, total, int(waits[number]), name=f"sum_{k}_after"))
    zero = Signal(digit, name="zero")
    return [zero if term < 0 else terms[term][graph.depth - int(levels[term])] for term in graph.outputs]
