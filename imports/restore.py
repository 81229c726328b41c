"""The network that :func:`~sterna.imports.export.to_qonnx` was given, read back from its model (docs/import.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from sterna.imports.export import DIGEST_KEY, NETWORK_KEY, to_qonnx
from sterna.net import Network, Node
from sterna.net.arithmetic import rounding_term
from sterna.net.checks import check_elements, check_integer, shown
from sterna.net.describe import build_input, build_node, check_entry
from sterna.net.errors import InvalidTypeError, InvalidValueError

_PLAIN_INPUT = 3  # fields of an input without preprocessing


def restore_network(model: onnx.ModelProto) -> Network | None:
    """The very network that a model was exported of, with its names, types, requantizations and metadata.

    The graph decides: the network is exported again, and unless that gives the same graph, node by node and number by
    number, there is nothing to restore. So a model that somebody has changed is one like any other's.

    Returns
    -------
    :class:`~sterna.net.Network` or ``None``
        ``None`` if the model is not from Sterna, or was changed since.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if NETWORK_KEY not in properties or not model.graph.input:
        return None
    sides = model.graph.input[0].type.tensor_type.shape.dim
    try:
        network = _build(json.loads(properties[NETWORK_KEY]), model.graph)
        if network.digest != properties.get(DIGEST_KEY) or not sides:
            return None
        again = to_qonnx(network, batch=sides[0].dim_value)
    except (ValueError, TypeError, RecursionError):  # what JSON, arrays and the checks of net/ say of a changed model
        return None
    return network if again.graph == model.graph else None


def _build(header: object, graph: onnx.GraphProto) -> Network:
    fields = check_entry(header, "the header", ("input", "nodes", "metadata"))
    if not isinstance(fields["nodes"], list) or not isinstance(fields["input"], dict):
        raise InvalidTypeError("the header must have an input, and a list of nodes")
    constants = {tensor.name: tensor for tensor in graph.initializer}
    return Network(
        **build_input(fields["input"], preprocessed=len(fields["input"]) > _PLAIN_INPUT),
        nodes=[_build_node(entry, constants) for entry in fields["nodes"]],
        metadata=fields["metadata"],
    )


def _build_node(entry: object, constants: Mapping[str, onnx.TensorProto]) -> Node:
    if not isinstance(entry, dict) or not isinstance(entry.get("rounded_levels"), list):
        raise InvalidTypeError("a node must be an object with rounded_levels")
    entry = dict(entry)
    rounded = entry.pop("rounded_levels")
    name = entry.get("name")
    found = {
        field: _read(constants[f"{name}.{field}"])
        for field in ("weights", "bias", "levels", "offset", "step")
        if f"{name}.{field}" in constants
    }
    tensors = {}
    if "weights" in found:
        weights = _integers(found["weights"])
        tensors["weights"] = weights.T if weights.ndim == 2 else weights
    if "bias" in found:
        tensors["bias"] = _integers(found["bias"]).reshape(-1)
    if "levels" in found:
        tensors["requantize.levels"] = _exact_levels(_integers(found["levels"]), rounded)
    if "offset" in found and "step" in found:
        with np.errstate(divide="ignore", invalid="ignore"):  # of a changed step, which is no integer then
            shift = _integers(-np.log2(found["step"].reshape(-1)))
        tensors["requantize.bias"] = _integers(found["offset"]).reshape(-1) - rounding_term(shift)
        tensors["requantize.shift"] = shift
    return build_node(entry, tensors, "a node")


def _exact_levels(levels: np.ndarray, rounded: list[Any]) -> np.ndarray:
    """Levels with those put in that float32 rounds: [channel, k, level] each."""
    if levels.ndim != 2:
        raise InvalidValueError(f"levels must have two axes, not {levels.ndim}")
    levels = levels.copy()
    for triple in rounded:
        if not isinstance(triple, list) or len(triple) != levels.ndim + 1:
            raise InvalidTypeError(f"a rounded level must be a channel, its place and the level, not {shown(triple)}")
        highs = (levels.shape[0] - 1, levels.shape[1] - 1, (1 << 31) - 1)
        lows = (0, 0, -(1 << 31))
        channel, k, level = (
            check_integer(number, "a rounded level", low=low, high=high)
            for number, low, high in zip(triple, lows, highs, strict=True)
        )
        levels[channel, k] = level
    return levels


def _read(tensor: onnx.TensorProto) -> np.ndarray:
    """A constant of float32 that the model itself holds; :exc:`ValueError` for any other."""
    if tensor.data_type != onnx.TensorProto.FLOAT or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise InvalidValueError(f"{shown(tensor.name)} must be float32 in the model itself")
    check_elements(tensor.dims, shown(tensor.name))
    return numpy_helper.to_array(tensor)


def _integers(array: np.ndarray) -> np.ndarray:
    """The same as int64; :exc:`ValueError` if a number is no integer up to 2^31."""
    if not (np.isfinite(array).all() and (np.abs(array) <= 1 << 31).all() and (array == np.rint(array)).all()):
        raise InvalidValueError("must be integers up to 2^31")
    return array.astype(np.int64)
