"""Waits until the Verilog harness is done, and fails on the fault that it found."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from sterna.sim.benches.expect import CLOCK_NS, expect, within
from sterna.sim.harness import Fault


@cocotb.test()
async def stream(dut: Any) -> None:
    """Clocks the harness until ``done``; ``+timeout=CYCLES`` bounds it."""
    limit = int(cocotb.plusargs["timeout"])
    # "gpi": the clock is made outside Python, which then sleeps until done rises.
    # It starts low: an edge at time 0 would come before what a netlist's registers hold at power-up.
    Clock(dut.clk, CLOCK_NS, "ns", impl="gpi").start(start_high=False)
    await within(limit, RisingEdge(dut.done), lambda: f"{dut.ended.value.to_unsigned()} output frames")
    fault = Fault(dut.fault.value.to_unsigned())
    frame, cycle = dut.fault_frame.value.to_unsigned(), dut.fault_cycle.value.to_unsigned()
    expect(fault is Fault.NONE, f"cycle {cycle}, output frame {frame}: {fault.meaning}")
