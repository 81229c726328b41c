"""What the decoders of index_decoders.py have in common: memories read in order, outputs, and a simulation.

A decoder turns a code's memory words into one weight a cycle, where the code can, for one lane: where the activation
lies, the sign, and whether a row begins. A frame begins with a reset, so that counters come back without logic; a stall
would hold everything by its clock enables, without logic too. Memories and the registers behind them are not part of
what a decoder costs; the counters that read them are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

#: Cycles from a reset until the first word of a memory stands ready.
FILL = 2
Numbers = Sequence[int] | np.ndarray
#: Bits that a look-up corrects behind a carry; more take an adder.
_LOOKED_UP = 4


class Words(wiring.Component):
    """A memory read in order, and the register behind it.

    Throughput: a word a cycle, from ``FILL`` cycles after a reset on. Cost: the counter.

    Parameters
    ----------
    width : :class:`int`
        Bits of a word.
    words : sequence of :class:`int`
        The memory.

    Members
    -------
    take : ``In(1)``
        In the next cycle, the next word stands ready. High while the memory fills.
    word : ``Out(width)``
    """

    take: Signal
    word: Signal

    def __init__(self, *, width: int, words: Numbers) -> None:
        self._words = [int(word) for word in words]
        super().__init__({"take": In(1), "word": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memory: Memory = Memory(shape=unsigned(len(self.word)), depth=len(self._words), init=self._words)
        m.submodules.memory = memory
        read = memory.read_port()
        register = Signal(len(self.word), reset_less=True)
        m.d.comb += [read.en.eq(self.take), self.word.eq(register)]
        with m.If(self.take):
            m.d.sync += [read.addr.eq(read.addr + 1), register.eq(read.data)]
        return m


class Found(wiring.Signature):
    """What a lane visits in a cycle.

    Members
    -------
    valid : Out(1)
        A weight is there.
    address : Out(address_width)
        Position of its activation.
    negative : Out(1)
        It is -1.
    begins : Out(1)
        A row begins in this cycle, with or without a weight.
    """

    def __init__(self, address_width: int) -> None:
        super().__init__({"valid": Out(1), "address": Out(address_width), "negative": Out(1), "begins": Out(1)})


class Decoder(wiring.Component):
    """From memory words to weights.

    Parameters
    ----------
    shape : (rows, columns) of the matrix.
    offset : :class:`int`
        Position of column 0.
    address_width : :class:`int`
        Bits of a position.
    memories : mapping of :class:`str` to (width, words)
        What it reads in order, each at its own pace.
    lanes : :class:`int`
        Lanes that it feeds.

    Attributes
    ----------
    fill : cycles from a reset to the first output.
    rows : of each lane, its rows of the matrix; the first is the one that it is in before any begins.
    columns : column of each position; ``None`` where there is none, and nothing to add.

    Members
    -------
    o : ``Out(Found(address_width))``, an array of one a lane
    """

    fill = FILL + 1
    o: Any

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        offset: int,
        address_width: int,
        memories: Mapping[str, tuple[int, Numbers]],
        lanes: int = 1,
    ) -> None:
        self.offset = offset
        self.rows: Sequence[Sequence[int]] = [range(-1, shape[0])] * lanes
        self.columns: dict[int, int | None] = {offset + column: column for column in range(shape[1])}
        self._address_width = address_width
        self._memories = dict(memories)
        super().__init__({"o": Out(Found(address_width)).array(lanes)})

    @property
    def found(self) -> Any:
        """Output of the first lane."""
        return self.o[0]

    @property
    def memories(self) -> int:
        """Memories that are read on their own."""
        return len(self._memories)

    @property
    def register_bits(self) -> int:
        """Bits of the registers behind the memories, which are not part of its cost."""
        return sum(width for width, _ in self._memories.values())

    @property
    def memory_bits(self) -> int:
        """Bits of the memories' words."""
        return sum(width * len(words) for width, words in self._memories.values())

    def _started(self, m: Module, after: int = FILL) -> Signal:
        """High from some cycles after a reset on."""
        steps = Signal(after)
        m.d.sync += steps.eq(Cat(1, steps))
        started = Signal()
        m.d.comb += started.eq(steps[-1])
        return started

    def _read(self, m: Module, name: str, started: Signal, take: Value) -> Signal:
        """A memory's next word; ``take`` counts from ``started`` on."""
        width, words = self._memories[name]
        m.submodules[name] = reader = Words(width=width, words=words)
        m.d.comb += reader.take.eq(take | ~started)
        return reader.word

    def _wrapped(self, m: Module, moved: Value, bits: int) -> Signal:
        """A position that has moved; where it carries out, of which at most ``bits`` bits are left, behind the offset.

        A look-up where the offset is so round that few bits change, or an adder.
        """
        width, offset = self._address_width, self.offset
        placed = Signal(width)
        m.d.comb += placed.eq(moved)
        if not offset:
            return placed
        low, high = (offset & -offset).bit_length() - 1, min(bits, width)
        with m.If(moved[width]):
            if high - low > _LOOKED_UP:
                m.d.comb += placed[low:].eq(moved[low:high] + (offset >> low))
            elif high <= low:
                m.d.comb += placed[low:].eq(offset >> low)
            else:
                with m.Switch(moved[low:high]):
                    for value in range(1 << (high - low)):
                        with m.Case(value):
                            m.d.comb += placed[low:].eq(value + (offset >> low))
        return placed


def decode(decoder: Decoder, nonzeros: int) -> tuple[list[tuple[int, int, int]], int]:
    """Simulates a frame: the weights found, as (row, column, sign), and the cycles until the last of them."""
    found: list[tuple[int, int, int]] = []
    most = 4 * sum(len(rows) for rows in decoder.rows) * len(decoder.columns) + 64
    cycles = 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        ranks = [0] * len(decoder.o)
        for _ in range(decoder.fill):
            await ctx.tick()
        while len(found) < nonzeros:
            for lane, port in enumerate(decoder.o):
                ranks[lane] += ctx.get(port.begins)
                if not ctx.get(port.valid):
                    continue
                column = decoder.columns[ctx.get(port.address)]
                if column is not None:
                    found.append((decoder.rows[lane][ranks[lane]], column, -1 if ctx.get(port.negative) else 1))
            cycles += 1
            if cycles > most:
                raise RuntimeError(
                    f"{type(decoder).__name__} found {len(found)} of {nonzeros} weights in {most} cycles"
                )
            await ctx.tick()

    simulator = Simulator(decoder)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return sorted(found), cycles


def elements(matrix: np.ndarray) -> list[tuple[int, int, int]]:
    """(row, column, sign) of every weight, in order."""
    return [(int(r), int(c), int(matrix[r, c])) for r, c in np.argwhere(matrix)]
