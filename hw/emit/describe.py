"""What NAME.json says of an accelerator."""

from __future__ import annotations

import hashlib
import importlib.metadata
from fractions import Fraction
from typing import Any

import numpy as np

from sterna.hw.emit.accelerator import byte_width
from sterna.hw.emit.loading import load_design
from sterna.hw.graph.plan import AcceleratorPlan
from sterna.hw.graph.stream import StreamType
from sterna.hw.graph.timing import Timing, compute_timing
from sterna.hw.parts.load_port import LOAD_WIDTH
from sterna.net import WeightNode, entropy

SCHEMA = "sterna-accelerator-3"


def describe(plan: AcceleratorPlan, *, verilog_sha256: str, load: bytes = b"") -> dict[str, Any]:
    """What NAME.json says (docs/hardware.md).

    Parameters
    ----------
    plan : AcceleratorPlan
    verilog_sha256 : str
        Of the Verilog's UTF-8 text, in hexadecimal: readers refuse a pair of files that do not belong together.
    load : bytes
        What is loaded: of the file beside it, likewise.
    """
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
        "input": {"prefix": "s_axis", **_describe_port(plan.input, plan.network.input_shape)},
        "output": {
            "prefix": "m_axis",
            **_describe_port(plan.output, (1,) if plan.config.argmax else plan.network.output_shape),
            "argmax": plan.config.argmax,
        },
        **({"load": _describe_load(plan, load)} if plan.images else {}),
        "units": [_describe_unit(plan, k, timing) for k, unit in enumerate(plan.units) if unit.nodes],
        "buffers": [_describe_buffer(plan, k) for k, unit in enumerate(plan.units) if plan.is_buffer(k)],
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


def _describe_port(stream: StreamType, shape: tuple[int, ...]) -> dict[str, Any]:
    lane = byte_width(stream.element.width)
    return {
        "shape": list(shape),
        "element_width": stream.element.width,
        "signed": stream.element.signed,
        "bytes_per_element": lane // 8,
        "elements_per_beat": stream.elements,
        "beats": stream.beats,
        "tdata_width": lane * stream.elements,
    }


def _describe_load(plan: AcceleratorPlan, load: bytes) -> dict[str, Any]:
    """The load port, and where the words of each memory lie in the stream.

    ``keeps``: the words before stay in use until all are there. ``design``: for :func:`load_stream`.
    """
    return {
        "prefix": "load_axis",
        "tdata_width": LOAD_WIDTH,
        "bytes": len(load),
        "sha256": hashlib.sha256(load).hexdigest(),
        "keeps": plan.halved,
        "design": load_design(plan).hex(),
        "memories": [
            {
                "unit": plan.unit_names[number],
                "words": len(image.words),
                "width": image.width,
                "bytes_per_word": image.word_bytes,
            }
            for number, image in plan.images
        ],
    }


def _describe_unit(plan: AcceleratorPlan, k: int, timing: Timing) -> dict[str, Any]:
    """What is said of every unit, and what its kind adds."""
    unit, name = plan.units[k], plan.unit_names[k]
    inputs = [_origin(plan, number) for number in plan.sources[k]]
    return {
        "name": name,
        "node": unit.name,
        "nodes": list(unit.nodes),
        "inputs": inputs,
        "lanes": unit.lanes,
        "cycles": unit.work.steps,
        "beats": unit.work.beats,
        "results": unit.work.results,
        "interval_cycles": _number(timing.unit_intervals[k]),
        "memory_bits": sum(memory.bits for memory in unit.memories),
        **unit.describe(),
        "channel_order": plan.channel_order(k),
        "output": {
            "element_width": unit.output.element.width,
            "signed": unit.output.element.signed,
            "shape": list(unit.output.shape),
            "elements_per_beat": unit.output.elements,
            **({"by_pixel": True} if unit.output.by_pixel else {}),
        },
        "trace": {"transfer": [name, "transfer"], "payload": [name, "o__payload"]},
    }


def _describe_buffer(plan: AcceleratorPlan, k: int) -> dict[str, Any]:
    """A buffer, and the units that it stands between."""
    (number,) = plan.sources[k]
    (reader,) = (name for name, before in zip(plan.unit_names, plan.sources, strict=True) if k in before)
    (memory,) = plan.units[k].memories
    return {
        "name": plan.unit_names[k],
        "from": _origin(plan, number),
        "to": reader,
        "depth": memory.depth,
        "width": memory.width,
        "memory_bits": memory.bits,
    }


def _origin(plan: AcceleratorPlan, number: int) -> str:
    """The unit that a stream comes from, through a buffer, or the input."""
    if number < 0:
        return "input"
    return _origin(plan, plan.sources[number][0]) if plan.is_buffer(number) else plan.unit_names[number]


def _number(interval: Fraction) -> int | float:
    """An interval as JSON has it: whole where it is, else as near as a float comes."""
    return interval.numerator if interval.denominator == 1 else float(interval)


def _describe_weights(plan: AcceleratorPlan) -> dict[str, Any]:
    """Figures of the whole network; the entropy is that of the network's own weights, layer by layer."""
    arrays = [node.weights for node in plan.network.nodes if isinstance(node, WeightNode)]
    bound = float(sum(entropy(array) * array.size for array in arrays))
    described = [unit.describe() for unit in plan.units]
    bits = sum(fields.get("index_bits", 0) for fields in described)
    stored = all("index_bits" in fields for fields in described if "nonzeros" in fields)  # else some are adders
    return {
        "count": sum(array.size for array in arrays),
        "nonzeros": int(sum(np.count_nonzero(array) for array in arrays)),
        "index_bits": bits,
        "entropy_bits": bound,
        "bits_over_entropy": bits / bound if bound and stored else None,
        "table_bits": sum(fields.get("table_bits", 0) for fields in described),
    }
