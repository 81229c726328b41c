"""Nodes that are functions of each value by itself, told from their operators and constants."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import BENDS, Bend, Divide, Multiply, Normalize, Plus, Step, clip
from sterna.imports.graph import GraphNode
from sterna.imports.operators import OPERATORS
from sterna.imports.values import Pending, Value, view

Range = tuple[int, int]
Constants = Mapping[str, np.ndarray]


def functions_of(node: GraphNode, value: Pending, constants: Constants) -> tuple[list[Step], Range | None]:
    """The functions that a node is, and the range of its values where they are integers.

    Parameters
    ----------
    node : GraphNode
    value : Pending
        Its one input that is no constant.
    constants : mapping of str to array

    Raises
    ------
    NodeRefused
        If it is no such function, or its constants differ within a channel.
    """
    operator = node.operator
    if operator in ("Add", "Sub", "Mul", "Div"):
        first = node.inputs[0] in constants
        other = per_channel(constants[node.inputs[0 if first else 1]], value)
        return _arithmetic(operator, other, constant_first=first), None
    if operator == "BatchNormalization":
        gain, offset, mean, variance = (
            per_channel(_by_channel(part, value), value) for part in other_inputs(node, constants)[:4]
        )
        epsilon = node.number("epsilon", 1e-5)
        if (variance.astype(np.float64) + epsilon <= 0).any():
            raise NodeRefused("a variance is not positive")
        return [Normalize(gain=gain, offset=offset, mean=mean, variance=variance, epsilon=epsilon)], None
    if operator == "QuantizeLinear":
        return _to_integers(other_inputs(node, constants))
    if operator == "Clip":
        low, high = _limits(node, constants)
        whole = value.whole and (max(value.whole[0], _whole(low)), min(value.whole[1], _whole(high)))
        return [clip(low, high)], whole
    if operator in BENDS:
        return [Bend(function=BENDS[operator])], None
    if operator == "Neg":
        return [Multiply(factor=np.array([[-1.0]]))], None
    if operator in ("LeakyRelu", "HardSigmoid"):
        return [Bend(function=lambda x: OPERATORS[operator](node, [x]))], None
    raise NodeRefused("it is not understood between a layer and a quantizer")


def other_inputs(node: GraphNode, constants: Constants) -> list[np.ndarray]:
    """The inputs behind the first; refused unless they are constants."""
    names = [name for name in node.inputs[1:] if name]
    missing = [name for name in names if name not in constants]
    if missing:
        raise NodeRefused(f"'{missing[0]}' must be a constant, and depends on the input")
    return [constants[name] for name in names]


def _arithmetic(operator: str, other: np.ndarray, *, constant_first: bool) -> list[Step]:
    if operator == "Mul":
        return [Multiply(factor=other)]
    if operator == "Add":
        return [Plus(term=other)]
    if operator == "Sub":
        return [Multiply(factor=np.array([[-1.0]])), Plus(term=other)] if constant_first else [Plus(term=-other)]
    if constant_first or not other.all():
        raise NodeRefused("it divides by the values, or by 0")
    return [Divide(divisor=other)]


def _to_integers(constants: list[np.ndarray]) -> tuple[list[Step], Range]:
    """A ``QuantizeLinear``: its integers as numbers, and their range."""
    scale = constants[0]
    zero = constants[1] if len(constants) > 1 else np.zeros(1, dtype=np.uint8)
    if scale.size != 1 or zero.size != 1 or zero.dtype.kind not in "iu" or not scale.ravel()[0] > 0:
        raise NodeRefused("its scale and zero point must be one positive number and one integer for the tensor")
    limits, start = np.iinfo(zero.dtype), int(zero.ravel()[0])

    def function(x: np.ndarray) -> np.ndarray:
        one = x.dtype.type
        return np.clip(np.rint(x) + one(start), one(limits.min), one(limits.max))

    return [Divide(divisor=scale.reshape(1, 1)), Bend(function=function)], (int(limits.min), int(limits.max))


def _limits(node: GraphNode, constants: Constants) -> tuple[float, float]:
    """Of a ``Clip``, whose older form has them as attributes."""
    limits = []
    for index, name, open_end in ((1, "min", -math.inf), (2, "max", math.inf)):
        given = node.inputs[index] if index < len(node.inputs) else ""
        if given and (given not in constants or constants[given].size != 1):
            raise NodeRefused("its limits must be one constant each")
        limits.append(float(constants[given].ravel()[0]) if given else node.number(name, open_end))
    return limits[0], limits[1]


def _whole(limit: float) -> int:
    """A limit of integers, which are 32 bits at most."""
    return int(np.clip(limit, -(2**31), 2**31))


def _by_channel(parameter: np.ndarray, value: Pending) -> np.ndarray:
    """A parameter of a normalization, (channels,), as a constant of the tensor's axes."""
    return parameter.reshape(1, -1, *[1] * (len(view(value)) - 1))


def per_channel(constant: np.ndarray, value: Value) -> np.ndarray:
    """A constant that meets a value's tensor, by the value's own channels: (1, 1), or (channels, 1).

    Raises
    ------
    NodeRefused
        If it differs within a channel, does not go with the tensor, or is not finite.
    """
    if constant.dtype.kind not in "fiub" or not np.isfinite(constant.astype(np.float64)).all():
        raise NodeRefused("a constant is no finite number")
    if constant.size == 1:
        return constant.reshape(1, 1)
    tensor = (1, *view(value))
    assert value.shape is not None
    try:
        spread = np.broadcast_to(constant, tensor)
    except ValueError:
        raise NodeRefused(f"a constant of the shape {constant.shape} does not go with values of {tensor[1:]}") from None
    own = np.empty(spread.size, dtype=constant.dtype)
    own[slice(None) if value.order is None else value.order.ravel()] = spread.ravel()
    own = own.reshape(value.shape[0], -1)
    if (own != own[:, :1]).any():
        raise NodeRefused(f"a constant of the shape {constant.shape} is neither one number nor one a channel")
    return own[:, :1]
