"""The input of a graph: its shape in the network's order, and the type that an annotation gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sterna.imports.errors import EvaluationError, NodeRefused
from sterna.imports.evaluate import execute
from sterna.imports.graph import Graph
from sterna.imports.neighbors import WEIGHTS, Neighbors
from sterna.net import ActivationType
from sterna.net.checks import shown
from sterna.net.nodes import Shape

MAX_INPUT = 1 << 19  # values of an input: 400 x 400 pixels in three colors
SHAPES = {"Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"}
_MAPS = {"Conv", "MaxPool", "GlobalMaxPool", "AveragePool", "GlobalAveragePool"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """The one input of a graph.

    Parameters
    ----------
    name : str
    sizes : tuple of int
        Its shape in the model, without the batch.
    shape : tuple of int
        Its shape in the network: (features,) or (channels, height, width).
    order : int64 of the shape ``sizes``, or None
        The index of each of its values in the network's order; ``None`` where both are the same.
    channels_last : bool
        Whether the model's is (height, width, channels).
    """

    name: str
    sizes: Shape
    shape: Shape
    order: np.ndarray | None = None
    channels_last: bool = False


def find_entry(graph: Graph, near: Neighbors) -> Entry:
    """The input that a network can have.

    Raises
    ------
    NodeRefused
        If there are several inputs, or its shape is open, too large, or none of a network's.
    """
    (name, batched), *others = graph.inputs.items()
    if others:
        names = ", ".join(map(shown, list(graph.inputs)[:4]))
        raise NodeRefused(f"the model has {1 + len(others)} inputs ({names}), and a network has one")
    sizes = batched[1:]
    told = f"(batch{''.join(f', {side}' for side in sizes)})"
    if not sizes:
        raise NodeRefused(f"its shape is {told}: it must be (batch, features) or (batch, channels, height, width)")
    if math.prod(sizes) > MAX_INPUT:
        raise NodeRefused(f"its shape {told} has more than {MAX_INPUT} values, too many to prove an import on")
    if 0 in sizes:
        open_ended = told.replace(" 0", " ?")
        raise NodeRefused(f"its shape {open_ended} has open sizes: export the model with fixed ones, but the batch")
    if len(sizes) == 3 and _turns_to_channels_first(near, name):
        turned = (sizes[2], *sizes[:2])
        order = np.arange(math.prod(sizes)).reshape(turned).transpose(1, 2, 0)
        return Entry(name=name, sizes=sizes, shape=turned, order=order, channels_last=True)
    shape = _first_shape(graph, near, name, sizes) or sizes
    if len(shape) not in (1, 3):
        shape = (math.prod(sizes),)
    places = None if shape == sizes else np.arange(math.prod(sizes)).reshape(sizes)
    return Entry(name=name, sizes=sizes, shape=shape, order=places)


def _turns_to_channels_first(near: Neighbors, name: str) -> bool:
    """Whether the input is turned to channels first before its first layer."""
    waiting, seen = [name], {name}
    while waiting:
        for node in near.consumers(waiting.pop()):
            if node.operator == "Transpose":
                return node.integers("perm", ()) == (0, 3, 1, 2)
            if node.operator not in WEIGHTS:
                fresh = set(node.outputs) - seen
                seen |= fresh
                waiting.extend(fresh)
    return False


def _first_shape(graph: Graph, near: Neighbors, name: str, sizes: Shape) -> Shape | None:
    """The shape of a map that the first layer takes, where the input was reshaped to it and not turned."""
    waiting = [(name, np.arange(math.prod(sizes)).reshape(1, *sizes))]
    seen = {name}
    while waiting:
        tensor, places = waiting.pop(0)
        for node in near.consumers(tensor):
            if node.operator in _MAPS:
                turned = (places.ravel() != np.arange(places.size)).any()
                return None if turned or places.ndim != 4 else places.shape[1:]
            if node.operator in WEIGHTS or node.outputs[0] in seen:
                continue
            moved = places
            if node.operator in SHAPES:
                known = {**graph.constants, tensor: places}
                if not all(other in known for other in node.inputs):
                    continue
                try:
                    moved = execute(node, known)[node.outputs[0]]
                except EvaluationError:
                    continue  # the fold says what is wrong with it
            seen.add(node.outputs[0])
            waiting.append((node.outputs[0], moved))
    return None


@dataclass(frozen=True, kw_only=True)
class GivenType:
    """Codes that come from outside: real values are ``scale * code + offset``, codes are ``low`` to ``high``."""

    type: ActivationType
    scale: float = 1.0
    offset: float = 0.0
    low: int
    high: int
    bipolar: bool = False


def given(type: ActivationType, scale: float) -> GivenType:
    """All codes of a type."""
    return GivenType(type=type, scale=scale, low=type.min, high=type.max)


def annotated(datatypes: Mapping[str, str], tensor: str, *, zero: bool) -> GivenType | None:
    """The type that a ``finn_datatype`` such as INT4, UINT8 or BIPOLAR names; ``zero``: whether 0 must be a code."""
    datatype = datatypes.get(tensor, "")
    if datatype == "BIPOLAR":
        if zero:
            return GivenType(type=ActivationType(2, True), low=-1, high=1, bipolar=True)
        return GivenType(type=ActivationType(1, False), scale=2.0, offset=-1.0, low=0, high=1, bipolar=True)
    if datatype == "BINARY":
        return given(ActivationType(1, False), 1.0)
    if datatype == "TERNARY":
        return GivenType(type=ActivationType(2, True), low=-1, high=1)
    signed = datatype.startswith("INT")
    digits = datatype.removeprefix("INT" if signed else "UINT")
    if digits == datatype or not digits.isdigit() or not 1 <= int(digits[:3]) <= 8:
        return None
    return given(ActivationType(int(digits), signed), 1.0)
