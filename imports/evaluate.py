"""Executes the original graph in numpy, node by node and in its own precision: the judge of what is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sterna.imports.errors import EvaluationError
from sterna.imports.graph import Graph
from sterna.imports.node import GraphNode
from sterna.imports.operators import OPERATORS
from sterna.imports.quantizers import QUANTIZERS
from sterna.net.checks import shown

#: What wrong shapes and types make numpy raise.
_WRONG = (ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError, AttributeError)

Watch = Callable[[str, np.ndarray], np.ndarray]


def can_execute(node: GraphNode) -> bool:
    """Whether there is such an operator here."""
    return node.operator in OPERATORS or node.operator in QUANTIZERS


def execute(node: GraphNode, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of one node.

    Raises
    ------
    :exc:`EvaluationError`
        If its operator is not understood, or its inputs do not go together.
    """
    operator = OPERATORS.get(node.operator) or QUANTIZERS.get(node.operator)
    if operator is None:
        raise EvaluationError(node.name, shown(node.operator), "this operator is not understood")
    missing = [name for name in node.inputs if name and name not in values]
    if missing:
        raise EvaluationError(node.name, node.operator, f"{shown(missing[0])} must be a constant")
    inputs = [values[name] if name else None for name in node.inputs]
    try:
        with np.errstate(all="ignore"):
            found = operator(node, inputs)
    except _WRONG as error:
        raise EvaluationError(node.name, node.operator, " ".join(str(error).split())) from None
    outputs = found if isinstance(found, tuple) else (found,)
    return {name: np.asarray(value) for name, value in zip(node.outputs, outputs, strict=False) if name}


def evaluate(graph: Graph, feeds: Mapping[str, np.ndarray], watch: Watch | None = None) -> dict[str, np.ndarray]:
    """The graph's outputs for a batch.

    Parameters
    ----------
    graph : Graph
    feeds : mapping of str to array
        The inputs, by name; the batch may be larger than the model says.
    watch : callable or None
        Is given every tensor that a node makes, by name, and gives what the nodes behind it take in its place.

    Raises
    ------
    :exc:`EvaluationError`
        If a node cannot be executed; the message names it.
    """
    values: dict[str, np.ndarray] = {**graph.constants, **feeds}
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    for index, node in enumerate(graph.nodes):
        for name, value in execute(node, values).items():
            values[name] = watch(name, value) if watch else value
        for name in node.inputs:  # a large network's tensors together would not fit
            if last.get(name) == index and name not in graph.outputs:
                values.pop(name, None)
    return {name: values[name] for name in graph.outputs}


def needed_by_outputs(graph: Graph) -> set[str]:
    """The names of the nodes that an output depends on."""
    wanted, names = set(graph.outputs), set()
    for node in reversed(graph.nodes):
        if wanted & set(filter(None, node.outputs)):
            names.add(node.name)
            wanted.update(node.inputs)
    return names


def with_constants(graph: Graph) -> Graph:
    """The same graph with all that depends on constants alone computed, and without what no output depends on.

    So of its inputs, too, only those are left that an output depends on, if any is.
    """
    constants = dict(graph.constants)
    needed = needed_by_outputs(graph)
    left = []
    for node in graph.nodes:
        if node.name not in needed:
            continue
        if node.inputs and all(not name or name in constants for name in node.inputs) and can_execute(node):
            constants |= execute(node, constants)
        else:
            left.append(node)
    read = {*graph.outputs, *(name for node in left for name in node.inputs)}
    inputs = {name: shape for name, shape in graph.inputs.items() if name in read}
    return replace(graph, nodes=tuple(left), constants=constants, inputs=inputs or graph.inputs)
