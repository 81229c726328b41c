"""Nodes that compute the same twice, as exporters write a quantizer once for each layer that reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from sterna.imports.graph import Graph
from sterna.imports.node import GraphNode


def without_repeats(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """The graph with each node once that has the same operator, attributes and inputs as one before it.

    Returns
    -------
    tuple of Graph and dict
        The second: for each tensor that is left out, the one that holds the same values.
    """
    same: dict[str, str] = {}
    constants = {name: _content(array) for name, array in graph.constants.items()}
    seen: dict[Hashable, GraphNode] = {}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(same.get(name, name) for name in node.inputs)
        first = seen.setdefault(
            (
                node.operator,
                tuple(constants.get(name, name) for name in inputs),
                tuple(sorted((name, _content(value)) for name, value in node.attributes.items())),
                tuple(map(bool, node.outputs)),
            ),
            node,
        )
        if first is node:
            nodes.append(replace(node, inputs=inputs))
        else:
            same |= {name: other for name, other in zip(node.outputs, first.outputs, strict=True) if name}
    outputs = tuple(same.get(name, name) for name in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs), same


def _content(value: Any) -> str:
    """What tells a constant or an attribute from others."""
    if not isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value!r}"
    return f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
