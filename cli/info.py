"""``sterna info``: what a network file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sterna.cli.output import console, facts, print_json, share
from sterna.cli.target import ModelPath

if TYPE_CHECKING:
    from sterna.net import Network

__all__ = ["info"]

_SHOWN_METADATA = ("test_accuracy", "validation_accuracy", "data", "seed", "command")


def info(
    model: ModelPath, as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False
) -> None:
    """Show a network: digest, layers, types, exact accumulators, zeros and entropy."""
    from sterna.net.file import load

    figures = describe(load(model))
    if as_json:
        print_json(figures)
        return
    rows = {
        "network": figures["network_digest"],
        "input": f"{_shape(figures['input']['shape'])} {figures['input']['type']}, {_rule(figures['input'])}",
        "weights": f"{figures['weights']}, {share(figures['zeros'])} zeros",
    }
    metadata = figures["metadata"]
    rows |= {name.replace("_", " "): metadata[name] for name in _SHOWN_METADATA if name in metadata}
    table = Table("node", "kind", "output", "type", "accumulator", "weights", "zeros", "entropy")
    for node in figures["nodes"]:
        cost = node.get("cost")
        table.add_row(
            node["name"],
            node["kind"],
            _shape(node["shape"]),
            node["type"],
            f"{node['accumulator']['min']} .. {node['accumulator']['max']}" if "accumulator" in node else "",
            *((str(cost["weights"]), share(cost["zeros"]), f"{cost['entropy']:.3f} bits") if cost else ("", "", "")),
        )
    out = console()
    out.print(facts(rows))
    out.print(table)


def describe(network: Network) -> dict[str, Any]:
    """Everything about a network but its tensors."""
    from sterna.net.cost import layer_costs

    costs = {cost.name: cost for cost in layer_costs(network)}
    nodes: list[dict[str, Any]] = []
    for node in network.nodes:
        entry: dict[str, Any] = {
            "name": node.name,
            "kind": type(node).__name__,
            "inputs": list(node.inputs),
            "shape": list(network.shapes[node.name]),
            "type": str(network.types[node.name]),
        }
        if node.name in network.accumulators:
            accumulator = network.accumulators[node.name]
            entry["accumulator"] = {"min": accumulator.min, "max": accumulator.max, "width": accumulator.width}
        if node.name in costs:
            cost = costs[node.name]
            entry["cost"] = {
                "weights": cost.weights,
                "nonzeros": cost.nonzeros,
                "zeros": cost.zeros,
                "entropy": cost.entropy,
                "weight_bits": cost.weight_bits,
            }
        nodes.append(entry)
    return {
        "network_digest": network.digest,
        "input": {
            "shape": list(network.input_shape),
            "type": str(network.input_type),
            "scale": network.input_scale,
            "range": list(network.input_rule.range),
            "gain": list(network.input_rule.gain),
            "offset": list(network.input_rule.offset),
        },
        "output": {"shape": list(network.output_shape), "type": str(network.output_type)},
        "weights": network.weight_count,
        "zeros": network.zeros,
        "nodes": nodes,
        "metadata": dict(network.metadata),
    }


def _rule(entry: dict[str, Any]) -> str:
    """How real inputs become codes, as in ``scale 0.5, codes -7 .. 7 of x * 2 + -1``."""
    low, high = entry["range"]
    gain, offset = (
        f"{values[0]:g}" if len(values) == 1 else "(by channel)" for values in (entry["gain"], entry["offset"])
    )
    preprocessed = "" if (gain, offset) == ("1", "0") else f" of x * {gain} + {offset}"
    return f"scale {entry['scale']:g}, codes {low} .. {high}{preprocessed}"


def _shape(shape: list[int]) -> str:
    return " × ".join(map(str, shape))
