"""QONNX's channels-last operators as ONNX's own, with a ``Transpose`` before and behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sterna.imports.node import GraphNode

DOMAIN = "qonnx.custom_op.channels_last"
_OPERATORS = {f"{DOMAIN}.{name}": name for name in ("Conv", "MaxPool", "BatchNormalization")}
_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def channels_first(nodes: Iterable[GraphNode]) -> list[GraphNode]:
    """The nodes, those of :data:`DOMAIN` replaced: their maps and kernels have the channels last.

    qonnx executes them so, too. What has several outputs stays as it is, and is not understood.
    """
    found: list[GraphNode] = []
    for node in nodes:
        if node.operator in _OPERATORS and len(node.outputs) == 1:
            found += _turned(node)
        else:
            found.append(node)
    return found


def _turned(node: GraphNode) -> list[GraphNode]:
    operator, (output,) = _OPERATORS[node.operator], node.outputs
    inputs = list(node.inputs)
    turned = []
    for index in range(min(2 if operator == "Conv" else 1, len(inputs))):
        first = f"{inputs[index]} (channels first, for {output})"
        turned.append(_transpose(f"{node.name} (input {index})", inputs[index], first, _TO_FIRST))
        inputs[index] = first
    made = f"{output} (channels first)"
    own = replace(node, operator=operator, inputs=tuple(inputs), outputs=(made,))
    return [*turned, own, _transpose(f"{node.name} (output)", made, output, _TO_LAST)]


def _transpose(name: str, source: str, output: str, perm: tuple[int, ...]) -> GraphNode:
    return GraphNode(name=name, operator="Transpose", inputs=(source,), outputs=(output,), attributes={"perm": perm})
