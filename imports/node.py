"""One node of an ONNX graph, and its attributes as what they must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError
from sterna.net.nodes import INPUT

BATCH = "batch of the model"  # attribute that reading gives a Reshape: ONNX's own names have no spaces


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphNode:
    """One node of an ONNX graph.

    Parameters
    ----------
    name : str
        Its own, or its first output's where it has none; unique.
    operator : str
        Such as ``"Quant"``: ONNX's own, or one of QONNX's quantizers in whatever domain. Others have their domain
        before the name, as ``"com.microsoft.Gelu"``.
    inputs, outputs : tuple of str
        Tensors; an input that is left out is ``""``.
    attributes : mapping
        Numbers, strings, lists of numbers, arrays; ``None`` for what is none of these, as graphs are.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def identifier(self) -> str:
        """Its name as a network's node may have it."""
        text = re.sub(r"[^A-Za-z0-9]+", "_", self.name).strip("_") or "node"
        return f"n{text}" if text[0].isdigit() or text == INPUT else text

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer; :exc:`ValueError` if it is something else."""
        value = self.attributes.get(name, default)
        if type(value) is not int:
            raise InvalidValueError(f"attribute {name} must be an integer, not {shown(value)}")
        return value

    def number(self, name: str, default: float) -> float:
        """An attribute that is a number, likewise."""
        value = self.attributes.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidValueError(f"attribute {name} must be a number, not {shown(value)}")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """An attribute that is a string, likewise."""
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise InvalidValueError(f"attribute {name} must be a string, not {shown(value)}")
        return value

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute that is a list of integers, as long as ``default`` if that has any."""
        value = self.attributes.get(name, default)
        if not isinstance(value, tuple) or not all(type(item) is int for item in value):
            raise InvalidValueError(f"attribute {name} must be integers, not {shown(value)}")
        if default and len(value) != len(default):
            raise InvalidValueError(f"attribute {name} must have {len(default)} integers, not {len(value)}")
        return value


def with_batch(node: GraphNode, batch: int = 1) -> GraphNode:
    """A ``Reshape`` that knows the batch of the file, which its target may name; other nodes as they are."""
    return replace(node, attributes={**node.attributes, BATCH: batch}) if node.operator == "Reshape" else node
