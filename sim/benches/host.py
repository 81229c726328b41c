"""What fills an accelerator's memories through its load port."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from sterna.sim.benches.expect import expect
from sterna.sim.benches.settings import Settings, stalled
from sterna.sim.benches.source import Beat, Source
from sterna.sim.scenarios import Load

#: Cycles after the last beat in which ``loaded`` or ``load_error`` is seen.
_SETTLED = 8


class Host:
    """Loads words, and judges what the accelerator says of them; nothing where it loads none.

    Parameters
    ----------
    dut : handle
        The accelerator.
    settings : :class:`~sterna.sim.benches.settings.Settings`
        What may be loaded.
    clock : handle
        Sampled at its rising edge.
    """

    def __init__(self, dut: Any, settings: Settings, *, clock: Any) -> None:
        self._dut, self._clock, self._loads = dut, clock, settings.loads
        self._port = settings.manifest.load_port
        self._frames_ready = getattr(dut, f"{settings.manifest.input.prefix}_tready")
        self._errors = 0
        if self._port is not None:
            self._source = Source(dut, prefix=self._port.prefix, clock=clock, stalled=stalled("input_stall"))
            cocotb.start_soon(self._watch())

    def clear(self) -> None:
        """Forgets what was not taken; to be called at a reset."""
        if self._port is not None:
            self._source.clear()

    async def load(self, event: Load) -> None:
        """Sends words; they count exactly if their tlast is in its place."""
        expect(self._port is not None, f"{event}: the accelerator loads no words")
        assert self._port is not None
        size = self._port.tdata_width // 8
        words = self._loads[event.words]
        data = [int.from_bytes(words[k : k + size], "little") for k in range(0, len(words), size)]
        beats = len(data) if event.beats is None else event.beats
        self._errors, before = 0, self._half()
        self._source.send([Beat(data[k % len(data)], k == beats - 1) for k in range(beats)])
        while not self._source.idle:
            await RisingEdge(self._clock)
        await ClockCycles(self._clock, _SETTLED)
        right = beats == len(data)
        there = right or self._port.keeps
        expect(bool(self._dut.loaded.value) == there, f"{event}: loaded is {self._dut.loaded.value}")
        swapped = right and self._port.keeps
        expect(self._half() ^ before == swapped, f"{event}: half was {before}, and is {self._half()}")
        expect(self._errors == (not right), f"{event}: load_error {self._errors} times")

    def _half(self) -> int:
        """Which half of the memories works, where they have two."""
        return int(self._dut.half.value) if self._port is not None and self._port.keeps else 0

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self._clock)
            expect(self._dut.loaded.value.is_resolvable, "loaded is X")
            if not self._dut.loaded.value:
                expect(not self._frames_ready.value, "a frame may be sent before all words are loaded")
            self._errors += bool(self._dut.load_error.value)
