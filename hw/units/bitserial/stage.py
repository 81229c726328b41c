"""One layer of a bit-serial unit in hardware: its adders, and what reads codes off their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from amaranth.hdl import Module, Mux, Signal, Value

from sterna.hw.units.bitserial.adders import add_bits, add_graph
from sterna.hw.units.bitserial.codes import (
    Constants,
    ShiftMarks,
    pass_codes,
    pass_shifted,
    read_levels,
    read_scores,
    read_shifted,
)
from sterna.net import ShiftRound, Thresholds

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import Stage


class StageLogic:
    """Puts a layer into a module.

    Each level of adders takes a cycle. Sums of different depth wait, so that all rows' bits come in the same cycle
    where codes are read off them.

    Parameters
    ----------
    m : Module
    stage : Stage
    bits : int
        Bits of every sum.
    tokens : sequence of Value
        Token k is there k cycles after a frame has begun.
    begin : int
        The token of the inputs' lowest bits.
    """

    def __init__(self, m: Module, stage: Stage, bits: int, tokens: Sequence[Value], begin: int) -> None:
        self._m = m
        self._layer = stage.layer
        self._graph = stage.graph
        self._bits = bits
        self._tokens = tokens
        self._roots = begin + stage.graph.depth  # the token of the sums' lowest bits

    def results(self, inputs: Sequence[Signal | None]) -> list[Value]:
        """All results, in the cycle in which they are known (:meth:`Stage.until_codes`)."""
        requantize = self._layer.requantize
        sums = add_graph(self._m, self._graph, inputs, self._tokens[self._roots - self._graph.depth :])
        if isinstance(requantize, Thresholds):
            return self._by_levels(sums, requantize)
        added = self._added(sums)
        if isinstance(requantize, ShiftRound):
            return read_shifted(self._m, added, requantize, self._marks(requantize))
        return read_scores(self._m, added, self._bits)

    def bits(self, inputs: Sequence[Signal | None]) -> list[Signal]:
        """The codes bit by bit, lowest first (:meth:`Stage.until_next`)."""
        requantize = self._layer.requantize
        assert requantize is not None  # held by Network: only its output has none
        sums = add_graph(self._m, self._graph, inputs, self._tokens[self._roots - self._graph.depth :])
        known = self._roots + self._bits
        if isinstance(requantize, Thresholds):
            codes = self._by_levels(sums, requantize)
            return pass_codes(self._m, codes, requantize.output, self._tokens[known + 1])
        width = requantize.output.width - requantize.output.signed  # without the sign
        leaves, marks, added = Signal(), self._marks(requantize), self._added(sums)
        with self._m.If(self._tokens[known + width]):
            self._m.d.sync += leaves.eq(0)
        with self._m.If(self._tokens[known]):
            self._m.d.sync += leaves.eq(width > 0)
        return pass_shifted(self._m, added, requantize, marks, last=self._tokens[known], leaves=leaves)

    def _by_levels(self, sums: Sequence[Signal], requantize: Thresholds) -> list[Value]:
        """Codes by thresholds, in the cycle in which they are known."""
        layer, last = self._layer, self._roots + self._bits - 1
        turned = []
        for row, bit in enumerate(sums):
            turned.append(Signal(name=f"turned_{row}", reset_less=True))
            self._m.d.sync += turned[-1].eq(bit ^ self._tokens[last])
        return read_levels(
            self._m,
            turned,
            requantize,
            offset=layer.offset,
            negative=self._graph.negative,
            bounds=layer.bounds,
            constants=Constants(self._m, self._position(self._roots), self._bits, turned=True),
            first=self._tokens[self._roots + 1],
        )

    def _added(self, sums: Sequence[Signal]) -> list[Signal]:
        """The sums of all rows, with their signs and what is added to them, a cycle later."""
        constants = Constants(self._m, self._position(self._roots - 1), self._bits, turned=False)
        added = []
        for row, (bit, value) in enumerate(zip(sums, self._layer.added.tolist(), strict=True)):
            constant, minus = constants.bit(value), bool(self._graph.negative[row])
            left, right = (constant, bit) if minus else (bit, constant)
            first = self._tokens[self._roots]
            added.append(add_bits(self._m, left, right, first, subtract=minus, name=f"biased_{row}"))
        return added

    def _marks(self, requantize: ShiftRound) -> ShiftMarks:
        return ShiftMarks(self._m, self._tokens, self._roots + 1, self._bits, requantize.output)

    def _position(self, lowest: int) -> Value:
        """Number of a bit, 0 in the cycle of a token."""
        token, position = self._tokens[lowest], Signal(range(self._bits))
        self._m.d.sync += position.eq(Mux(token, 1, position + 1))
        return Mux(token, 0, position)
