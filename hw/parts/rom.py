"""Tables of constants, one entry a result, read in the order of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Module, Shape, Signal, ValueLike
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

#: Entries above which a table goes to block RAM, whatever its width.
BLOCK_DEPTH = 128
#: Attribute of a memory of which no address is written and read in one cycle: it needs no logic for that case.
NO_COLLISION: dict[str, Any] = {"no_rw_check": 1}
#: Cycles from a Rom's address to its data.
ROM_LATENCY = 2


class Rom(wiring.Component):
    """A read-only memory with a register behind it: block RAM's own clock-to-output fills most of a cycle.

    Latency: ``ROM_LATENCY`` cycles. Throughput: one read a cycle.

    Parameters
    ----------
    shape : :class:`Shape`
        Shape of an entry.
    init : sequence of :class:`int`
        The entries. If all are equal, no memory is made.

    Members
    -------
    address : ``In(range(len(init)))``
    data : ``Out(shape)``
    """

    address: Signal
    data: Signal

    def __init__(self, *, shape: Shape, init: Sequence[int]) -> None:
        self._init = [int(value) for value in init]
        self._shape = shape
        super().__init__({"address": In(range(len(self._init))), "data": Out(shape)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if len(set(self._init)) == 1:
            m.d.comb += self.data.eq(Const(self._init[0], self._shape))
            return m
        # Yosys makes deep, slow logic of long narrow tables, however little of a block they fill
        style = {"ram_style": "block"} if len(self._init) > BLOCK_DEPTH else {}
        table: Memory = Memory(shape=self._shape, depth=len(self._init), init=self._init, attrs=style)
        m.submodules.table = table
        read = table.read_port()
        m.d.comb += read.addr.eq(self.address)
        # without reset or enable, so that it can become the memory's own output register
        register = Signal(self._shape, reset_less=True)
        m.d.sync += register.eq(read.data)
        m.d.comb += self.data.eq(register)
        return m


def delay(m: Module, value: ValueLike, cycles: int, name: str) -> Signal:
    """``value`` some cycles later."""
    for k in range(cycles):
        later = Signal.like(value, name=f"{name}_{k + 1}", init=0)
        m.d.sync += later.eq(value)
        value = later
    return value
