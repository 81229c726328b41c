"""Takes beats from an AXI4-Stream output: tready, cycle by cycle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


class Sink:
    """Drives ``tready``, whether or not a beat waits.

    Parameters
    ----------
    dut : handle
        The accelerator.
    prefix : :class:`str`
        Of the port.
    clock : handle
        Sampled at its rising edge.
    stalled : function of no arguments
        Called every cycle: whether not to be ready.
    """

    def __init__(self, dut: Any, *, prefix: str, clock: Any, stalled: Callable[[], bool]) -> None:
        self._ready = getattr(dut, f"{prefix}_tready")
        self._clock = clock
        self._stalled = stalled
        self._ready.value = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._clock)
            self._ready.value = int(not self._stalled())
