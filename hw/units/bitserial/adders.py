"""Adders of one bit, and what waits between them."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value

from sterna.hw.sums.graph import SumGraph


def majority(a: Value, b: Value, c: Value) -> Value:
    """The carry of three bits."""
    return a & b | c & (a | b)


def add_bits(m: Module, a: Value, b: Value, first: Value, *, subtract: bool, name: str) -> Signal:
    """``a + b`` or ``a - b``, bit by bit, a cycle later; ``first`` says which bit is a sum's lowest.

    Two tables of four inputs and two registers.
    """
    total, carry = Signal(name=name, reset_less=True), Signal(name=f"{name}_carry", reset_less=True)
    other = ~b if subtract else b
    before = Mux(first, int(subtract), carry)
    m.d.sync += [total.eq(a ^ other ^ before), carry.eq(majority(a, other, before))]
    return total


def compare_bits(m: Module, a: Value, b: Value, first: Value, *, name: str) -> Signal:
    """Whether ``a >= b``, of the bits so far, a cycle later; unsigned, lowest bit first."""
    reached = Signal(name=name, reset_less=True)
    m.d.sync += reached.eq(majority(a, ~b, Mux(first, 1, reached)))
    return reached


def wait(m: Module, bit: Signal, cycles: int, *, name: str) -> list[Signal]:
    """A bit, and the same after 1 to ``cycles`` cycles."""
    bits = [bit]
    for k in range(cycles):
        later = Signal(name=f"{name}_{k + 1}", reset_less=True)
        m.d.sync += later.eq(bits[-1])
        bits.append(later)
    return bits


def add_graph(m: Module, graph: SumGraph, inputs: Sequence[Signal | None], firsts: Sequence[Value]) -> list[Signal]:
    """The rows' terms of a graph, all ``graph.depth`` cycles after the inputs.

    Parameters
    ----------
    inputs : sequence of Signal or None
        The bits of each input that is used.
    firsts : sequence of Value
        Whether the bits of each level are the lowest of their sums.

    Returns
    -------
    list of Signal
        A bit a row, of its term; of a row without weights, 0.
    """
    levels, waits = graph.levels, graph.waits(graph.depth)
    # each term's bit at its own level, and at those above where it is read
    terms = [
        [] if bit is None else wait(m, bit, int(waits[k]), name=f"input_{k}_after") for k, bit in enumerate(inputs)
    ]
    for k, (left, right, subtract) in enumerate(zip(graph.left, graph.right, graph.subtract, strict=True)):
        number = graph.inputs + k
        below = int(levels[number]) - 1
        a, b = (terms[term][below - int(levels[term])] for term in (left, right))
        total = add_bits(m, a, b, firsts[below], subtract=bool(subtract), name=f"sum_{k}")
        terms.append(wait(m, total, int(waits[number]), name=f"sum_{k}_after"))
    zero = Signal(name="zero")
    return [zero if term < 0 else terms[term][graph.depth - int(levels[term])] for term in graph.outputs]
