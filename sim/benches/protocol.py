"""Runs a scenario on the bare accelerator: good and bad frames, pauses and resets, with stalls on both sides."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from sterna.sim.benches.checker import Checker
from sterna.sim.benches.expect import CLOCK_NS, within
from sterna.sim.benches.host import Host
from sterna.sim.benches.monitor import Monitor
from sterna.sim.benches.settings import Settings, stalled
from sterna.sim.benches.sink import Sink
from sterna.sim.benches.source import Source
from sterna.sim.scenarios import Drain, Early, Late, Load, Partial, Reset, Send, Wait


class Bench:
    """An accelerator with a source, a sink, a monitor and a checker around it.

    Parameters
    ----------
    dut : handle
        The accelerator.
    settings : :class:`~sterna.sim.benches.settings.Settings`
        What to run.
    """

    def __init__(self, dut: Any, settings: Settings) -> None:
        manifest = settings.manifest
        self._settings = settings
        self._clock, self._reset = getattr(dut, manifest.clock), getattr(dut, manifest.reset)
        self._model = settings.model
        self._checker = Checker(model=self._model, segments=self._model.segments(settings.scenario))
        self._reset.value = 1
        Clock(self._clock, CLOCK_NS, "ns").start()
        source, sink = manifest.input.prefix, manifest.output.prefix
        self._source = Source(dut, prefix=source, clock=self._clock, stalled=stalled("input_stall"))
        self._host = Host(dut, settings, clock=self._clock)
        Sink(dut, prefix=sink, clock=self._clock, stalled=stalled("output_stall"))
        Monitor(
            dut,
            prefix=sink,
            clock=self._clock,
            reset=self._reset,
            on_beat=self._checker.beat,
            on_error=self._checker.error,
        )

    @property
    def state(self) -> str:
        """How far the scenario has come."""
        return self._checker.state

    async def run(self) -> None:
        """Plays the scenario, then waits for all results, and for as long again, so that an extra beat is seen."""
        await self._hold_reset(4)
        good = bad = 0
        for event in self._settings.scenario:
            if isinstance(event, Reset):
                self._source.clear()
                self._host.clear()
                await self._hold_reset(event.cycles)
                self._checker.reset()
                good = bad = 0
            elif isinstance(event, Wait):
                await ClockCycles(self._clock, event.cycles)
            elif isinstance(event, Drain):
                await self._drain(good, bad)
            elif isinstance(event, Load):
                await self._drain(good, bad)
                await self._host.load(event)
            else:
                self._source.send(self._model.beats(event))
                good += isinstance(event, Send)
                bad += isinstance(event, (Early, Late))
                if isinstance(event, Partial):
                    await self._sent()
        await self._drain(good, bad)
        await ClockCycles(self._clock, self._settings.manifest.latency_cycles + 64)
        self._checker.finish()

    async def _hold_reset(self, cycles: int) -> None:
        self._reset.value = 1
        await ClockCycles(self._clock, cycles)
        self._reset.value = 0

    async def _sent(self) -> None:
        while not self._source.idle:
            await RisingEdge(self._clock)

    async def _drain(self, good: int, bad: int) -> None:
        await self._sent()
        while not self._checker.settled(frames=good, errors=bad):
            await RisingEdge(self._clock)


@cocotb.test()
async def scenario(dut: Any) -> None:
    """Plays ``bench.json``."""
    settings = Settings.load()
    bench = Bench(dut, settings)
    await within(settings.timeout_cycles, bench.run(), lambda: bench.state)
