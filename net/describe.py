"""Input and nodes as JSON and tensors, and back: the one description from which digest and file are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.net.checks import naming, shown
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.inputs import InputRule
from sterna.net.nodes import Add, Conv2d, Flatten, Linear, MaxPool2d, Node, SumNode, SumPool2d, WeightNode, check_name
from sterna.net.requantize import Requantization, ShiftRound, Thresholds
from sterna.net.types import ActivationType

KINDS: Mapping[str, type[Node]] = {
    "linear": Linear,
    "conv2d": Conv2d,
    "max_pool2d": MaxPool2d,
    "sum_pool2d": SumPool2d,
    "flatten": Flatten,
    "add": Add,
}
_KIND_NAMES = {kind: name for name, kind in KINDS.items()}
_PLAIN = ("stride", "padding", "groups", "kernel", "shifts")  # the fields of nodes that are integers or tuples of them
_PREPROCESSING = ("range", "gain", "offset")  # the input's fields since version 3
_REQUANTIZE_TENSORS = {"thresholds": ("levels",), "shift_round": ("bias", "shift")}


def describe_type(type: ActivationType) -> dict[str, Any]:
    """What JSON holds of an activation type."""
    return {"width": type.width, "signed": type.signed}


def build_type(entry: object, what: str) -> ActivationType:
    """:func:`describe_type` undone; :exc:`TypeError` or :exc:`ValueError` naming ``what`` if it cannot be."""
    entry = check_entry(entry, what, ("width", "signed"))
    with naming(what):
        return ActivationType(**entry)


def describe_input(rule: InputRule) -> dict[str, Any]:
    """What JSON holds of the input; range, gain and offset only where they change anything."""
    description = {"shape": list(rule.shape), "type": describe_type(rule.type), "scale": rule.scale}
    if not rule.is_plain:
        description |= {field: list(getattr(rule, field)) for field in _PREPROCESSING}
    return description


def build_input(entry: object, *, preprocessed: bool) -> dict[str, Any]:
    """:func:`describe_input` undone, as arguments of :class:`~sterna.net.Network`.

    Parameters
    ----------
    entry : JSON
        The input's description.
    preprocessed : :class:`bool`
        Whether it has range, gain and offset.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a field is missing, unknown or wrong; the message names it.
    """
    fields = check_entry(entry, "input", ("shape", "type", "scale", *(_PREPROCESSING if preprocessed else ())))
    fields["type"] = build_type(fields["type"], "type of the input")
    for field in _PREPROCESSING:
        if field in fields and not isinstance(fields[field], list):
            raise InvalidTypeError(f"{field} of the input must be a list of numbers, not {shown(fields[field])}")
    return {f"input_{field}": value for field, value in fields.items()}


def describe_node(node: Node) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What JSON holds of a node, and its tensors by field."""
    description: dict[str, Any] = {"name": node.name, "kind": _KIND_NAMES[type(node)], "inputs": list(node.inputs)}
    tensors = {}
    for field in _plain_fields(type(node)):
        value = getattr(node, field)
        description[field] = list(value) if isinstance(value, tuple) else value
    if isinstance(node, WeightNode):
        tensors["weights"] = node.weights
        if node.bias is not None:
            tensors["bias"] = node.bias
    if isinstance(node, SumNode) and node.requantize is not None:
        kind = "thresholds" if isinstance(node.requantize, Thresholds) else "shift_round"
        description["requantize"] = {"kind": kind, "output": describe_type(node.requantize.output)}
        for field in _REQUANTIZE_TENSORS[kind]:
            tensors[f"requantize.{field}"] = getattr(node.requantize, field)
    return description, tensors


def build_node(entry: object, tensors: Mapping[str, np.ndarray], place: str) -> Node:
    """:func:`describe_node` undone.

    Parameters
    ----------
    entry : JSON
        The node's description.
    tensors : arrays by field
        The node's tensors.
    place : :class:`str`
        What to call the entry in messages while its name is not known.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a field is missing, unknown or wrong; the message names the node and the field.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InvalidTypeError(f"{place} must be an object with a name")
    with naming(place):
        name = check_name(entry["name"])
    if not isinstance(entry.get("kind"), str) or entry["kind"] not in KINDS:
        given = shown(entry.get("kind"))
        raise InvalidValueError(f"kind of node '{name}' must be one of {', '.join(KINDS)}, not {given}")
    kind = KINDS[entry["kind"]]
    takes_requantize = issubclass(kind, SumNode)
    wanted = ("name", "kind", "inputs", *_plain_fields(kind))
    fields = check_entry(entry, f"node '{name}'", wanted, optional=("requantize",) if takes_requantize else ())
    del fields["kind"]
    left = dict(tensors)
    if issubclass(kind, WeightNode):
        fields["weights"] = _take(left, "weights", name)
        fields["bias"] = left.pop("bias", None)
    if "requantize" in fields:
        fields["requantize"] = _build_requantize(fields["requantize"], left, name)
    if left:
        raise InvalidValueError(f"node '{name}' has an unknown tensor {shown(min(left))}")
    return kind(**fields)


def check_entry(entry: object, what: str, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """A copy of a JSON object that has the wanted fields and no unknown ones.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If it is no object, or a field is missing or unknown; the message names ``what`` and the field.
    """
    if not isinstance(entry, dict):
        raise InvalidTypeError(f"{what} must be an object, not {shown(entry)}")
    for field in wanted:
        if field not in entry:
            raise InvalidValueError(f"{what} lacks the field '{field}'")
    for field in entry:
        if field not in wanted and field not in optional:
            raise InvalidValueError(f"{what} has an unknown field {shown(field)}")
    return dict(entry)


def _build_requantize(entry: object, tensors: dict[str, np.ndarray], name: str) -> Requantization:
    what = f"requantize of node '{name}'"
    fields = check_entry(entry, what, ("kind", "output"))
    if fields["kind"] not in ("thresholds", "shift_round"):
        raise InvalidValueError(f"kind of {what} must be thresholds or shift_round, not {shown(fields['kind'])}")
    output = build_type(fields["output"], f"output of {what}")
    arrays = {field: _take(tensors, f"requantize.{field}", name) for field in _REQUANTIZE_TENSORS[fields["kind"]]}
    with naming(what):
        if fields["kind"] == "thresholds":
            return Thresholds(output=output, **arrays)
        for field, array in arrays.items():
            if array.ndim != 1:  # one for the layer would be spread over as many channels as the header likes
                raise InvalidValueError(f"{field} must have shape (channels,), not {array.shape}")
        return ShiftRound(output=output, **arrays)


def _plain_fields(kind: type[Node]) -> list[str]:
    names = {field.name for field in dataclasses.fields(kind)}
    return [field for field in _PLAIN if field in names]


def _take(tensors: dict[str, np.ndarray], field: str, name: str) -> np.ndarray:
    if field not in tensors:
        raise InvalidValueError(f"node '{name}' lacks the tensor '{field}'")
    return tensors.pop(field)
