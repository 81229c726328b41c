"""Nodes that are functions of each value by itself, told from their operators and constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import BENDS, PASSING, Bend, Divide, Multiply, Normalize, Plus, Step, clip
from sterna.imports.node import GraphNode
from sterna.imports.order import to_own_order
from sterna.imports.recognize import Integers
from sterna.imports.values import Pending, Value, view
from sterna.net.checks import shown

_INTEGERS = 1 << 31  # beyond all that a QuantizeLinear makes
Constants = Mapping[str, np.ndarray]
Function = Callable[[np.ndarray], np.ndarray]


def _leaky(node: GraphNode) -> Function:
    alpha = node.number("alpha", 0.01)
    return lambda x: np.where(x < 0, x.dtype.type(alpha) * x, x)


def _elu(node: GraphNode) -> Function:
    alpha = node.number("alpha", 1.0)
    return lambda x: np.where(x < 0, x.dtype.type(alpha) * (np.exp(np.minimum(x, 0)) - 1), x)


def _hard_sigmoid(node: GraphNode) -> Function:
    alpha, beta = node.number("alpha", 0.2), node.number("beta", 0.5)
    return lambda x: np.clip(x.dtype.type(alpha) * x + x.dtype.type(beta), 0, 1)


#: Functions with parameters of the node; written anew, since what judges (operators.py) must not share a mistake here.
SLOPES: Mapping[str, Callable[[GraphNode], Function]] = {
    "LeakyRelu": _leaky,
    "Elu": _elu,
    "HardSigmoid": _hard_sigmoid,
}


def functions_of(node: GraphNode, value: Pending, constants: Constants) -> list[Step]:
    """The functions that a node is.

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
    if operator in ("Add", "Sub", "Mul", "Div", "Sum", "Max", "Min"):
        first = node.inputs[0] in constants
        if len(node.inputs) != 2:
            raise NodeRefused("only two inputs of it are understood")
        other = per_channel(constants[node.inputs[0 if first else 1]], value)
        return _arithmetic(operator, other, constant_first=first)
    if operator == "BatchNormalization":
        return [_normalization(node, value, constants)]
    if operator in ("Clip", "Relu"):
        return [clip(*limits(node, constants))]
    if operator in BENDS:
        return [Bend(function=BENDS[operator], passes=operator in PASSING)]
    if operator == "Neg":
        return [Multiply(factor=np.array([[-1.0]]))]
    if operator == "PRelu":
        slope = per_channel(other_inputs(node, constants)[0], value)
        return [Bend(function=lambda x: np.where(x < 0, x * slope.astype(x.dtype), x))]
    if operator in SLOPES:
        return [Bend(function=SLOPES[operator](node))]
    raise NodeRefused("it is not understood between a layer and a quantizer")


def _normalization(node: GraphNode, value: Pending, constants: Constants) -> Normalize:
    if node.integer("training_mode", 0) or any(node.outputs[1:]):
        raise NodeRefused("it normalizes by the batch itself: export the model in evaluation mode")
    gain, offset, mean, variance = (
        per_channel(_by_channel(part, value), value) for part in other_inputs(node, constants)[:4]
    )
    epsilon = node.number("epsilon", 1e-5)
    if (variance.astype(np.float64) + epsilon <= 0).any():
        raise NodeRefused("a variance is not positive")
    return Normalize(gain=gain, offset=offset, mean=mean, variance=variance, epsilon=epsilon)


def other_inputs(node: GraphNode, constants: Constants) -> list[np.ndarray]:
    """The inputs behind the first; refused unless they are constants."""
    names = [name for name in node.inputs[1:] if name]
    missing = [name for name in names if name not in constants]
    if missing:
        raise NodeRefused(f"{shown(missing[0])} must be a constant, and depends on the input")
    return [constants[name] for name in names]


def _arithmetic(operator: str, other: np.ndarray, *, constant_first: bool) -> list[Step]:
    if operator == "Mul":
        return [Multiply(factor=other)]
    if operator in ("Add", "Sum"):
        return [Plus(term=other)]
    if operator in ("Max", "Min"):
        bound = np.maximum if operator == "Max" else np.minimum
        return [Bend(function=lambda x: bound(x, other.astype(x.dtype)), passes=True)]
    if operator == "Sub":
        return [Multiply(factor=np.array([[-1.0]])), Plus(term=other)] if constant_first else [Plus(term=-other)]
    if constant_first or not other.all():
        raise NodeRefused("it divides by the values, or by 0")
    return [Divide(divisor=other)]


def limits(node: GraphNode, constants: Constants) -> tuple[float, float]:
    """Between which values a ``Relu`` or ``Clip`` leaves what it takes; an older ``Clip`` has them as attributes."""
    if node.operator == "Relu":
        return 0.0, math.inf
    found = []
    for index, name, open_end in ((1, "min", -math.inf), (2, "max", math.inf)):
        given = node.inputs[index] if index < len(node.inputs) else ""
        if given and (given not in constants or constants[given].size != 1):
            raise NodeRefused("its limits must be one constant each")
        found.append(float(constants[given].ravel()[0]) if given else node.number(name, open_end))
    if any(math.isnan(limit) for limit in found):
        raise NodeRefused("its limits must be numbers")
    return found[0], found[1]


def narrowed(node: GraphNode, whole: Integers, constants: Constants) -> Integers:
    """The integers of a ``QuantizeLinear`` behind a ``Relu`` or ``Clip`` of them."""
    low, high = (int(np.clip(limit, -_INTEGERS, _INTEGERS)) for limit in limits(node, constants))
    return replace(whole, low=max(whole.low, low), high=min(whole.high, high))


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
    own = to_own_order(spread[None], value.order, (math.prod(value.shape),)).reshape(value.shape[0], -1)
    if (own != own[:, :1]).any():
        raise NodeRefused(f"a constant of the shape {constant.shape} is neither one number nor one a channel")
    return own[:, :1]
