"""A Relu or Clip behind a quantizer: the codes that are left are codes again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Bend, run, straight
from sterna.imports.neighbors import Neighbors
from sterna.imports.node import GraphNode
from sterna.imports.recognize import Quantizer
from sterna.imports.steps import limits
from sterna.imports.values import Codes, Value

_NEAR = 1e-6  # of a code's step: what float32 may have rounded a limit by
_MOST = 1 << 20  # of a code's step: beyond every code


def with_clamps(
    quantizer: Quantizer, tensor: str, near: Neighbors, constants: Mapping[str, np.ndarray]
) -> tuple[Quantizer, list[GraphNode]]:
    """A quantizer together with each Relu and Clip behind it that nothing else reads past, and these nodes.

    Parameters
    ----------
    quantizer : Quantizer
    tensor : str
        What it makes.
    near : Neighbors
    constants : mapping of str to array
    """
    taken: list[GraphNode] = []
    while not quantizer.bipolar:
        node = near.only_consumer(tensor)
        narrowed = None if node is None else _narrowed(quantizer, node, tensor, constants)
        if node is None or narrowed is None:
            break
        quantizer, tensor = narrowed, node.outputs[0]
        taken.append(node)
    return quantizer, taken


def _narrowed(
    quantizer: Quantizer, node: GraphNode, tensor: str, constants: Mapping[str, np.ndarray]
) -> Quantizer | None:
    """A quantizer with a node behind it; ``None`` where these make no such codes."""
    if node.operator not in ("Relu", "Clip") or node.inputs[0] != tensor or len(node.outputs) != 1:
        return None
    try:
        ends = np.clip(np.array(limits(node, constants)) / quantizer.scale, -_MOST, _MOST)
    except NodeRefused:
        return None
    low, high = (int(end) for end in np.rint(ends))
    if (np.abs(ends - (low, high)) > _NEAR).any():
        return None
    low, high = max(low, quantizer.low), min(high, quantizer.high)
    if low >= high:
        return None
    whole = quantizer.function

    def function(x: np.ndarray) -> np.ndarray:
        return np.clip(whole(x), x.dtype.type(low), x.dtype.type(high))

    return replace(quantizer, low=low, high=high, function=function)


def clamping(value: Value) -> Quantizer | None:
    """What makes codes of a value that is a Relu or Clip of codes; ``None`` if it is none, or makes other values."""
    if isinstance(value, Codes) or not isinstance(value.source, Codes) or value.moved or value.whole is not None:
        return None
    if value.source.node is None or not any(isinstance(step, Bend) for step in value.steps):
        return None
    line = straight(value.functions)
    if line is None or any(part.size != 1 for part in line):
        return None
    scale = abs(value.source.scale * float(line[0].ravel()[0]))
    values = run(value.functions, value.source.reals()[None])[0] / scale if scale else np.full(1, np.nan)
    codes = np.rint(values)
    if not np.isfinite(codes).all() or (np.abs(values - codes) > _NEAR * np.maximum(np.abs(codes), 1)).any():
        return None
    low, high = int(codes.min()), int(codes.max())
    if low >= high:
        return None

    def function(x: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(x / x.dtype.type(scale)), x.dtype.type(low), x.dtype.type(high))

    return Quantizer(scale=scale, low=low, high=high, function=function)
