"""One layer of a bit-serial unit in hardware: its adders, and what reads codes off their sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from sterna.hw.units.bitserial.adders import add_digits, add_graph
from sterna.hw.units.bitserial.codes import (
    Constants,
    Digits,
    ShiftMarks,
    pass_codes,
    pass_shifted,
    read_levels,
    read_scores,
    read_shifted,
)
from sterna.net import Requantization, ShiftRound, Thresholds

if TYPE_CHECKING:
    from sterna.hw.units.bitserial.plan import BitserialStage


class StageLogic:
    """Puts a layer into a module.

    Each level of adders takes a cycle. Sums of different depth wait, so that all rows' digits come in the same cycle
    where codes are read off them.

    Parameters
    ----------
    m : Module
    stage : BitserialStage
    cycles : int
        Of every sum.
    tokens : sequence of Value
        Token k is there k cycles after a frame has begun.
    begin : int
        The token of the inputs' lowest digits.
    """

    def __init__(self, m: Module, stage: BitserialStage, cycles: int, tokens: Sequence[Value], begin: int) -> None:
        self._m = m
        self._layer = stage.layer
        self._graph = stage.graph
        self._frame = Digits(stage.digit, cycles)
        self._tokens = tokens
        self._roots = begin + stage.graph.depth  # the token of the sums' lowest digits

    def results(self, inputs: Sequence[Signal | None]) -> list[Value]:
        """All results, in the cycle in which they are known (:meth:`Stage.until_codes`)."""
        requantize = self._layer.requantize
        if requantize is None:
            return read_scores(self._m, self._added(self._sums(inputs)), self._frame)
        return self._codes(inputs, requantize)

    def digits(self, inputs: Sequence[Signal | None]) -> list[Signal]:
        """The codes digit by digit, lowest first (:meth:`Stage.until_next`)."""
        requantize = self._layer.requantize
        assert requantize is not None  # held by Network: only its output has none
        known = self._roots + self._frame.cycles
        if isinstance(requantize, ShiftRound) and self._frame.digit == 1:
            return self._passed(self._sums(inputs), requantize, known)
        codes = self._codes(inputs, requantize)
        load = self._tokens[known + isinstance(requantize, Thresholds)]
        return pass_codes(self._m, codes, load, digit=self._frame.digit, signed=requantize.output.signed)

    def _sums(self, inputs: Sequence[Signal | None]) -> list[Signal]:
        """The rows' terms."""
        firsts = self._tokens[self._roots - self._graph.depth :]
        return add_graph(self._m, self._graph, inputs, firsts, digit=self._frame.digit)

    def _codes(self, inputs: Sequence[Signal | None], requantize: Requantization) -> list[Value]:
        """All codes at once."""
        sums = self._sums(inputs)
        if isinstance(requantize, Thresholds):
            return self._by_levels(sums, requantize)
        return read_shifted(self._m, self._added(sums), requantize, self._marks(requantize))

    def _passed(self, sums: Sequence[Signal], requantize: ShiftRound, known: int) -> list[Signal]:
        """Codes by a shift, bit by bit, from the registers that gather them."""
        width = requantize.output.width - requantize.output.signed  # without the sign
        leaves, marks, added = Signal(), self._marks(requantize), self._added(sums)
        with self._m.If(self._tokens[known + width]):
            self._m.d.sync += leaves.eq(0)
        with self._m.If(self._tokens[known]):
            self._m.d.sync += leaves.eq(width > 0)
        return pass_shifted(self._m, added, requantize, marks, last=self._tokens[known], leaves=leaves)

    def _by_levels(self, sums: Sequence[Signal], requantize: Thresholds) -> list[Value]:
        """Codes by thresholds, in the cycle in which they are known."""
        layer, last, digit = self._layer, self._roots + self._frame.cycles - 1, self._frame.digit
        turned = []
        for row, low in enumerate(sums):
            turned.append(Signal(digit, name=f"turned_{row}", reset_less=True))
            self._m.d.sync += turned[-1].eq(low ^ Cat(Const(0, digit - 1), self._tokens[last]))
        return read_levels(
            self._m,
            turned,
            requantize,
            offset=layer.offset,
            negative=self._graph.negative,
            bounds=layer.bounds,
            constants=Constants(self._m, self._position(self._roots), self._frame, turned=True),
            first=self._tokens[self._roots + 1],
        )

    def _added(self, sums: Sequence[Signal]) -> list[Signal]:
        """The sums of all rows, with their signs and what is added to them, a cycle later."""
        constants = Constants(self._m, self._position(self._roots - 1), self._frame, turned=False)
        added = []
        for row, (digit, value) in enumerate(zip(sums, self._layer.added.tolist(), strict=True)):
            constant, minus = constants.digits(value), bool(self._graph.negative[row])
            left, right = (constant, digit) if minus else (digit, constant)
            first = self._tokens[self._roots]
            added.append(add_digits(self._m, left, right, first, subtract=minus, name=f"biased_{row}"))
        return added

    def _marks(self, requantize: ShiftRound) -> ShiftMarks:
        return ShiftMarks(self._m, self._tokens, self._roots + 1, self._frame, requantize.output)

    def _position(self, lowest: int) -> Value:
        """Number of a digit, 0 in the cycle of a token."""
        token, position = self._tokens[lowest], Signal(range(self._frame.cycles))
        self._m.d.sync += position.eq(Mux(token, 1, position + 1))
        return Mux(token, 0, position)
