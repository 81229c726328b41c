"""Watches an AXI4-Stream output: every transfer, and the rules of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from sterna.sim.benches.expect import expect
from sterna.sim.benches.source import Beat


class Monitor:
    """Reports every transfer; fails where a beat changes or vanishes while it waits, or where a bit is unknown.

    Parameters
    ----------
    dut : handle
        The accelerator.
    prefix : :class:`str`
        Of the port.
    clock, reset : handle
        Sampled at the clock's rising edge; nothing counts while the reset is high.
    on_beat : function of a :class:`~sterna.sim.benches.source.Beat`
        Called for every transfer.
    on_error : function of no arguments
        Called for every cycle in which ``frame_error`` is high.
    """

    def __init__(
        self,
        dut: Any,
        *,
        prefix: str,
        clock: Any,
        reset: Any,
        on_beat: Callable[[Beat], None],
        on_error: Callable[[], None],
    ) -> None:
        self._prefix = prefix
        self._data, self._valid, self._ready, self._last = (
            getattr(dut, f"{prefix}_{name}") for name in ("tdata", "tvalid", "tready", "tlast")
        )
        self._frame_error = dut.frame_error
        self._clock, self._reset = clock, reset
        self._on_beat, self._on_error = on_beat, on_error
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        waiting: Beat | None = None
        while True:
            await RisingEdge(self._clock)
            if self._reset.value:
                waiting = None
                continue
            valid = self._valid.value
            error = self._frame_error.value
            expect(valid.is_resolvable, f"{self._prefix}_tvalid is {valid}")
            expect(error.is_resolvable, f"frame_error is {error}")
            if error:
                self._on_error()
            if not valid:
                expect(waiting is None, f"{self._prefix}_tvalid fell before tready")
                continue
            data, last = self._data.value, self._last.value
            expect(data.is_resolvable, f"{self._prefix}_tdata is {data}")
            expect(last.is_resolvable, f"{self._prefix}_tlast is {last}")
            beat = Beat(data.to_unsigned(), bool(last))
            expect(waiting in (None, beat), f"{self._prefix} changed before tready: {waiting}, then {beat}")
            waiting = None if self._ready.value else beat
            if waiting is None:
                self._on_beat(beat)
