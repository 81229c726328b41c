"""A serial line between the pins of a design and a pseudo-terminal, with faults if they are wanted."""

from __future__ import annotations

import json
import os
import random
import time
import tty
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, Timer

from sterna.sim.benches.expect import CLOCK_NS

#: Bits of simulated time between two looks at the terminal while nothing is to be sent.
_LOOK_BITS = 20
#: Seconds to sleep between two looks, once nothing has moved for so many of them.
_SLEEP_SECONDS, _IDLE_LOOKS = 0.0005, 64
#: Looks between two at the control file.
_CONTROL_LOOKS = 16


class Line:
    """Bytes from a terminal to ``rx``, and from ``tx`` to the terminal, bit by bit.

    Parameters
    ----------
    dut : handle
        With ``clk``, ``rst``, ``rx`` and ``tx``.
    bit_ns : float
        Length of a bit, as the host has it.
    seed : int
        Of the faults.
    """

    def __init__(self, dut: Any, *, bit_ns: float, seed: int) -> None:
        self._dut, self._bit = dut, bit_ns
        self._rng = random.Random(seed)
        self._terminal, self._kept = os.openpty()
        tty.setraw(self._kept)
        os.set_blocking(self._terminal, False)
        self.control: dict[str, float] = {}
        self.faults = {"flipped": 0, "dropped": 0, "doubled": 0, "noise": 0, "reset": 0}
        self.sent = self.received = self.moved = 0

    @property
    def name(self) -> str:
        """Of the terminal, as a host opens it."""
        return os.ttyname(self._kept)

    def _fault(self, kind: str) -> bool:
        rate = self.control.get(kind, 0.0)
        happens = rate > 0 and self._rng.random() < rate
        self.faults[kind] += happens
        return happens

    async def bits(self, level: int, count: float = 1) -> None:
        """Holds the line."""
        self._dut.rx.value = level
        await Timer(round(self._bit * count * 1000), "ps")

    async def send(self, octet: int) -> None:
        """One byte to the design, or what faults make of it."""
        frame = octet << 1 | 1 << 9
        if self._fault("dropped"):
            return
        if self._fault("flipped"):
            frame ^= 1 << self._rng.randrange(10)
        for _ in range(1 + self._fault("doubled")):
            for place in range(10):
                await self.bits(frame >> place & 1)
            self.sent += 1
        if self._fault("noise"):  # a pulse, or a byte that nobody sent
            await self.bits(0, self._rng.choice((0.3, 0.7, 1, 3, 9, 14)))
        await self.bits(1, 0.01)

    async def to_design(self) -> None:
        """All that comes from the terminal."""
        idle = 0
        while True:
            try:
                chunk = os.read(self._terminal, 256)
            except BlockingIOError:
                chunk = b""
            for octet in chunk:
                await self.send(octet)
            idle = 0 if chunk or self.moved else idle + 1
            self.moved = 0
            if not chunk:
                if idle > _IDLE_LOOKS:
                    time.sleep(_SLEEP_SECONDS)
                await Timer(round(self._bit * _LOOK_BITS), "ns")

    async def to_terminal(self) -> None:
        """All that comes from the design."""
        while True:
            await FallingEdge(self._dut.tx)
            await Timer(round(self._bit / 2 * 1000), "ps")
            if self._dut.tx.value:
                continue  # no start bit: the design was reset
            octet = 0
            for place in range(8):
                await Timer(round(self._bit * 1000), "ps")
                octet |= int(self._dut.tx.value) << place
            await Timer(round(self._bit * 1000), "ps")
            self.received += 1
            self.moved = 1
            if not self._dut.tx.value:
                octet ^= 1 << self._rng.randrange(8)  # no stop bit: what a host's UART makes of it
            if self._fault("dropped"):
                continue
            if self._fault("flipped"):
                octet ^= 1 << self._rng.randrange(8)
            os.write(self._terminal, bytes((octet,)) * (1 + self._fault("doubled")))

    async def resets(self) -> None:
        """Resets of the design at random; the rate is one a byte's time."""
        while True:
            await Timer(round(10 * self._bit), "ns")
            if self._fault("reset"):
                self._dut.rst.value = 1
                await ClockCycles(self._dut.clk, 3)
                self._dut.rst.value = 0


@cocotb.test()
async def terminal(dut: Any) -> None:
    """Says the terminal's name in ``port.txt``, and works until ``control.json`` says ``stop``.

    ``+clocks_per_bit=N`` is the length of a bit on the host's side, in clocks; it need not be whole. ``control.json``
    holds the rates of the faults, of each byte; ``faults.json`` counts them.
    """
    here, parent = Path.cwd(), os.getppid()
    bit_ns = float(cocotb.plusargs["clocks_per_bit"]) * CLOCK_NS
    line = Line(dut, bit_ns=bit_ns, seed=int(cocotb.plusargs["line_seed"]))
    dut.rx.value = 1
    dut.rst.value = 1
    Clock(dut.clk, CLOCK_NS, "ns", impl="gpi").start(start_high=False)
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 4)
    cocotb.start_soon(line.to_design())
    cocotb.start_soon(line.to_terminal())
    cocotb.start_soon(line.resets())
    (here / "port.part").write_text(line.name, encoding="utf-8")
    (here / "port.part").replace(here / "port.txt")
    control, seen = here / "control.json", -1
    while True:
        await Timer(round(bit_ns * _LOOK_BITS * _CONTROL_LOOKS), "ns")
        if os.getppid() != parent:
            return  # whoever asked for it was killed
        counts = {**line.faults, "sent": line.sent, "received": line.received}
        if control.stat().st_mtime_ns != seen:
            seen = control.stat().st_mtime_ns
            line.control = json.loads(control.read_text(encoding="utf-8"))
            (here / "faults.part").write_text(json.dumps({**counts, "seen": line.control.get("number", 0)}), "utf-8")
            (here / "faults.part").replace(here / "faults.json")
            if line.control.get("stop"):
                return
