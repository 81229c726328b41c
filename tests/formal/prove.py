"""Proofs by Yosys' own SAT solver: no other tool is needed.

A specification is a module with assertions and assumptions. One with registers comes from ``clocked()``: they start at
their initial values, those of memories' read ports at any, and are never reset.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Assert, ClockDomain, Module, Signal, Value, ValueLike

from sterna.flow.toolchain import Tool, find_tool

SUCCESSES = ("no model found: SUCCESS!", "Induction step proven: SUCCESS!")
FAILURES = ("model found: FAIL!", "model found for base case: FAIL!")
PREPARE = "read_rtlil spec.il; prep -top spec -flatten; memory_map; async2sync; chformal -lower; opt -full"


class RefutedError(AssertionError):
    """There are inputs for which an assertion does not hold; the message shows them."""


def clocked() -> tuple[Module, Signal]:
    """A module whose registers are never reset, and its clock, which is one of its inputs."""
    m = Module()
    m.domains.sync = domain = ClockDomain(reset_less=True)
    return m, domain.clk


def past(m: Module, value: ValueLike, cycles: int = 1) -> Value:
    """``value`` some cycles ago, 0 before the first."""
    value = Value.cast(value)
    for _ in range(cycles):
        later = Signal(value.shape())
        m.d.sync += later.eq(value)
        value = later
    return value


def stays(m: Module, stream: Any, ready: Value) -> None:
    """What is offered and not taken is offered again."""
    waits = past(m, stream.valid & ~ready)
    payload = past(m, stream.payload)
    with m.If(waits):
        m.d.comb += Assert(stream.valid & (Value.cast(stream.payload) == payload))


def prove_always(spec: Module, inputs: list[Signal]) -> None:
    """Proves a specification without registers, for all inputs."""
    _run(spec, inputs, "")


def prove_bounded(spec: Module, inputs: list[Signal], *, cycles: int) -> None:
    """Proves a specification for all inputs of so many cycles from the initial state."""
    _run(spec, inputs, f"-set-init-def -seq {cycles}")


def prove_inductive(spec: Module, inputs: list[Signal], *, cycles: int) -> None:
    """Proves a specification for ever: what held for up to so many cycles, in any state, holds in the next."""
    _run(spec, inputs, f"-set-init-def -tempinduct-def -tempinduct -maxsteps {cycles} -seq 1")


def _run(spec: Module, inputs: list[Signal], options: str) -> None:
    text = rtlil.convert(spec, name="spec", ports=inputs, platform="formal", emit_src=False)
    solve = f"sat -verify -prove-asserts -set-assumes -set-def-inputs -show-ports {options} spec"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "spec.il").write_text(text)
        command = [*find_tool(Tool.YOSYS), "-Q", "-p", f"{PREPARE}; {solve}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    if any(failure in output for failure in FAILURES):
        raise RefutedError(output[output.rfind("SAT proof finished") :][-4000:])
    if done.returncode or not any(success in output for success in SUCCESSES):
        raise RuntimeError(output[-4000:])
    checks = re.findall(r"^Import proof for assert: .* when (.*)\.$", output, re.M)
    if not checks or "1'0" in checks:
        raise ValueError("an assertion is never checked" if checks else "the specification asserts nothing")
