"""Writes an accelerator as NAME.v, and what others must know about it as NAME.json."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import verilog

from sterna.hw.config import AcceleratorConfig
from sterna.hw.emit.accelerator import Accelerator, byte_width
from sterna.hw.graph.cycles import Timing, compute_timing
from sterna.hw.graph.plan import AcceleratorPlan, plan_accelerator
from sterna.net import Linear, Network, entropy
from sterna.net.container import write_text
from sterna.net.errors import ToolError

SCHEMA = "sterna-accelerator-2"


def generate(network: Network, directory: str | os.PathLike[str], *, config: AcceleratorConfig | None = None) -> Path:
    """Emits an accelerator.

    The same network and configuration give the same bytes, from any folder. Both files are written beside their
    places and renamed, so that a failure leaves nothing half-written.

    Parameters
    ----------
    network : Network
    directory : path
        Made if it is not there.
    config : AcceleratorConfig, optional

    Returns
    -------
    Path
        The description, ``directory/NAME.json``; the Verilog is beside it.

    Raises
    ------
    UnsupportedError, ValueError
        If there is no hardware for the network, or the configuration does not fit it.
    ToolError
        If Amaranth finds no Yosys, or it fails.
    OSError
        If the folder cannot be written.
    """
    plan = plan_accelerator(network, config or AcceleratorConfig())
    text = emit_verilog(plan)
    description = describe(plan, verilog_sha256=hashlib.sha256(text.encode()).hexdigest())
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{plan.name}.v", text)
    path = folder / f"{plan.name}.json"
    write_text(path, json.dumps(description, indent=1) + "\n")
    return path


def emit_verilog(plan: AcceleratorPlan) -> str:
    """Verilog of an accelerator."""
    try:
        text = verilog.convert(Accelerator(plan), name=plan.name, emit_src=False, strip_internal_attrs=True)
    except verilog.YosysError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "it says nothing")
        raise ToolError(f"the Yosys that Amaranth writes Verilog with failed: {reason.strip()}") from error
    header = (
        f"// {plan.name}: made by `sterna generate` {importlib.metadata.version('sterna')} from the network\n"
        f"// {plan.network.digest}\n"
    )
    return header + text


def describe(plan: AcceleratorPlan, *, verilog_sha256: str) -> dict[str, Any]:
    """What NAME.json says (docs/hardware.md)."""
    first = plan.units[0]
    element = first.layer.input_type
    output = plan.output_shape
    input_lane = byte_width(element.width)
    timing = compute_timing(plan)
    return {
        "schema": SCHEMA,
        "name": plan.name,
        "network_digest": plan.network.digest,
        "verilog_sha256": verilog_sha256,
        "config": plan.config.as_json(),
        "tools": {tool: importlib.metadata.version(tool) for tool in ("sterna", "amaranth")},
        "clock": "clk",
        "reset": "rst",
        "input": {
            "prefix": "s_axis",
            "shape": list(plan.network.input_shape),
            "element_width": element.width,
            "signed": element.signed,
            "bytes_per_element": input_lane // 8,
            "elements_per_beat": first.elements,
            "beats": first.beats,
            "tdata_width": input_lane * first.elements,
        },
        "output": {
            "prefix": "m_axis",
            "shape": [1] if plan.config.argmax else list(plan.network.output_shape),
            "element_width": output.width,
            "signed": output.signed,
            "bytes_per_element": byte_width(output.width) // 8,
            "elements_per_beat": 1,
            "beats": plan.output_beats,
            "tdata_width": byte_width(output.width),
            "argmax": plan.config.argmax,
        },
        "units": [_describe_unit(plan, k, timing) for k in range(len(plan.units))],
        "timing": {
            "latency_cycles": timing.latency,
            "interval_cycles": _number(timing.interval),
            "period_cycles": timing.period_cycles,
            "period_frames": timing.period_frames,
            "settled_frames": timing.settled_frames,
            "largest_gap_cycles": timing.largest_gap,
        },
        "weights": _describe_weights(plan),
    }


def _describe_unit(plan: AcceleratorPlan, k: int, timing: Timing) -> dict[str, Any]:
    unit, name = plan.units[k], plan.unit_names[k]
    schedule, shape = unit.schedule, unit.tables.output_shape
    return {
        "name": name,
        "node": unit.name,
        "kind": "dense",
        "lanes": schedule.lanes,
        "cycles": schedule.steps,
        "interval_cycles": _number(timing.unit_intervals[k]),
        "rows": unit.results,
        "columns": unit.layer.weights.shape[1],
        "nonzeros": schedule.nonzeros,
        "utilization": schedule.utilization,
        "index_bits": schedule.bits,
        "word": {
            "run_width": schedule.format.run_width,
            "escape_width": schedule.format.escape_width,
            "step_width": schedule.format.width,
        },
        "escapes": [len(group) for group in schedule.escapes] if schedule.format.escape_width else [],
        "requantizer": type(unit.tables).__name__.removesuffix("Tables").lower(),
        "table_bits": unit.tables.bits,
        "fifo_depth": unit.fifo_depth,
        "channel_order": plan.channel_order(k),
        "constant_channels": {str(c): v for c, v in sorted(unit.layer.constants.items())},
        "unused_channels": list(unit.layer.unused),
        "output": {"element_width": shape.width, "signed": shape.signed},
        "trace": {"transfer": [name, "transfer"], "payload": [name, "o__payload"]},
    }


def _number(interval: Fraction) -> int | float:
    """An interval as JSON has it: whole where it is, else as near as a float comes."""
    return interval.numerator if interval.denominator == 1 else float(interval)


def _describe_weights(plan: AcceleratorPlan) -> dict[str, Any]:
    """Figures of the whole network; the entropy is that of the network's own weights, layer by layer."""
    arrays = [node.weights for node in plan.network.nodes if isinstance(node, Linear)]
    bound = float(sum(entropy(array) * array.size for array in arrays))
    bits = sum(unit.schedule.bits for unit in plan.units)
    return {
        "count": sum(array.size for array in arrays),
        "nonzeros": int(sum(np.count_nonzero(array) for array in arrays)),
        "index_bits": bits,
        "entropy_bits": bound,
        "bits_over_entropy": bits / bound if bound else None,
        "table_bits": sum(unit.tables.bits for unit in plan.units),
    }
