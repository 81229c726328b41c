"""Drives an AXI4-Stream input of the bare accelerator, cycle by cycle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


@dataclass(frozen=True)
class Beat:
    """``tdata`` and ``tlast`` of one transfer."""

    data: int
    last: bool


class Source:
    """Offers queued beats, and holds each until it is taken.

    Parameters
    ----------
    dut : handle
        The accelerator.
    prefix : :class:`str`
        Of the port.
    clock : handle
        Sampled at its rising edge.
    stalled : function of no arguments
        Called every cycle: whether to offer nothing new.
    """

    def __init__(self, dut: Any, *, prefix: str, clock: Any, stalled: Callable[[], bool]) -> None:
        self._data, self._valid, self._ready, self._last = (
            getattr(dut, f"{prefix}_{name}") for name in ("tdata", "tvalid", "tready", "tlast")
        )
        self._clock = clock
        self._stalled = stalled
        self._queue: deque[Beat] = deque()
        self._offered = False
        self._withdraw()
        cocotb.start_soon(self._run())

    @property
    def idle(self) -> bool:
        """Whether every beat was taken."""
        return not self._queue and not self._offered

    def send(self, beats: list[Beat]) -> None:
        """Queues beats."""
        self._queue.extend(beats)

    def clear(self) -> None:
        """Forgets what was not taken; to be called at a reset."""
        self._queue.clear()
        self._withdraw()

    def _withdraw(self) -> None:
        self._offered = False
        self._valid.value = 0

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._clock)
            if self._offered and not self._ready.value:
                continue
            if self._queue and not self._stalled():
                beat = self._queue.popleft()
                self._data.value, self._last.value, self._valid.value = beat.data, int(beat.last), 1
                self._offered = True
            else:
                self._withdraw()
