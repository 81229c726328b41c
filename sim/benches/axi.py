"""Judges the ports by a third party's AXI4-Stream source and sink (cocotbext-axi), both with pauses."""

from __future__ import annotations

import warnings
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from sterna.sim.benches.expect import CLOCK_NS, expect, within
from sterna.sim.benches.settings import Settings, stall_bits
from sterna.sim.scenarios import Send


@cocotb.test()
async def frames(dut: Any) -> None:
    """Sends the scenario's good frames back to back."""
    # Here, not above: cocotbext-axi warns about names that cocotb 2 deprecates.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

    settings = Settings.load()
    manifest = settings.manifest
    clock, reset = getattr(dut, manifest.clock), getattr(dut, manifest.reset)
    reset.value = 1
    Clock(clock, CLOCK_NS, "ns").start()
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, manifest.input.prefix), clock, reset)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, manifest.output.prefix), clock, reset)
    source.set_pause_generator(stall_bits("input_stall"))
    sink.set_pause_generator(stall_bits("output_stall"))
    if manifest.load_port is not None:
        host = AxiStreamSource(AxiStreamBus.from_prefix(dut, manifest.load_port.prefix), clock, reset)
        host.set_pause_generator(stall_bits("input_stall"))
        host.send_nowait(AxiStreamFrame(manifest.read_load()))
    await ClockCycles(clock, 4)
    reset.value = 0
    await ClockCycles(clock, 2)

    received = 0

    async def exchange() -> None:
        nonlocal received
        order = [event.frame for event in settings.scenario if isinstance(event, Send)]
        for frame in order:
            await source.send(AxiStreamFrame(settings.inputs[frame].tobytes()))
        for frame in order:
            got = bytes((await sink.recv()).tdata)
            expected = settings.outputs[frame].tobytes()
            expect(got == expected, f"output frame {received}: frame {frame} owes {expected.hex()}, got {got.hex()}")
            received += 1
        await ClockCycles(clock, manifest.latency_cycles + 64)
        expect(sink.empty() and sink.idle(), "more beats left than belong to the frames that were sent")

    await within(settings.timeout_cycles, exchange(), lambda: f"{received} output frames")
