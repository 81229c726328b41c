"""Nodes as JSON and tensors, and back: the one description from which the digest and the file are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.net.nodes import Add, Conv2d, Flatten, Linear, MaxPool2d, Node, SumNode, SumPool2d, WeightNode
from sterna.net.requantize import Thresholds
from sterna.net.types import ActivationType

KINDS: Mapping[str, type[Node]] = {
    "linear": Linear,
    "conv2d": Conv2d,
    "max_pool2d": MaxPool2d,
    "sum_pool2d": SumPool2d,
    "flatten": Flatten,
    "add": Add,
}
_NAMES = {kind: name for name, kind in KINDS.items()}
_PLAIN = ("stride", "padding", "groups", "kernel", "shifts")  # the fields of nodes that are integers or tuples of them


def describe_type(type: ActivationType) -> dict[str, Any]:
    """``{"width": ..., "signed": ...}``."""
    return {"width": type.width, "signed": type.signed}


def describe_node(node: Node) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What JSON holds of a node, and its tensors by field."""
    description: dict[str, Any] = {"name": node.name, "kind": _NAMES[type(node)], "inputs": list(node.inputs)}
    tensors = {}
    for field in _PLAIN:
        value = getattr(node, field, None)
        if value is not None:
            description[field] = list(value) if isinstance(value, tuple) else value
    if isinstance(node, WeightNode):
        tensors["weights"] = node.weights
        if node.bias is not None:
            tensors["bias"] = node.bias
    if isinstance(node, SumNode) and node.requantize is not None:
        requantize = node.requantize
        description["requantize"] = {"output": describe_type(requantize.output)}
        if isinstance(requantize, Thresholds):
            description["requantize"]["kind"] = "thresholds"
            tensors["requantize.levels"] = requantize.levels
        else:
            description["requantize"]["kind"] = "shift_round"
            tensors["requantize.bias"] = requantize.bias
            tensors["requantize.shift"] = requantize.shift
    return description, tensors
