"""The operators of QONNX and ONNX that quantize, as the qonnx package executes them, in the input's own precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sterna.imports.node import GraphNode
from sterna.imports.operators import Arrays, Operator, optional
from sterna.imports.tensors import element_type
from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError

#: QONNX's rounding modes.
ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.fix,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + x.dtype.type(0.5)),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - x.dtype.type(0.5)),
}


def rounding(node: GraphNode, default: str) -> Callable[[np.ndarray], np.ndarray]:
    """The rounding that a node names; :exc:`ValueError` if there is no such."""
    mode = node.text("rounding_mode", default).upper()
    if mode not in ROUNDINGS:
        raise InvalidValueError(f"rounding mode {shown(mode)} is not understood; known are {', '.join(ROUNDINGS)}")
    return ROUNDINGS[mode]


def _limits(bits: np.ndarray, signed: int, narrow: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest integer of so many bits."""
    bits = np.asarray(bits, dtype=np.float64)
    if signed:
        low, high = -(2 ** (bits - 1)) + bool(narrow), 2 ** (bits - 1) - 1
    else:
        low, high = 0 * bits, 2**bits - 1 - bool(narrow)
    return low.astype(dtype), high.astype(dtype)


def _quant(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x, scale, zero, bits = inputs[:4]
    signed, narrow = node.integer("signed", 1), node.integer("narrow", 0)
    y = x / scale + zero
    if signed and np.all(bits == 1):
        y = np.where(y >= 0, y.dtype.type(1), y.dtype.type(-1))
    else:
        low, high = _limits(bits, signed, narrow, y.dtype)
        y = rounding(node, "ROUND")(np.maximum(np.minimum(y, high), low))
    return (y - zero) * scale


def _bipolar(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x, scale = inputs[:2]
    return np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1)) * scale


def _trunc(node: GraphNode, inputs: Arrays) -> np.ndarray:
    """Both versions: with the input's width and the output's, or with the output's scale and width."""
    x, scale, zero, in_bits = inputs[:4]
    y = np.rint(x / scale + zero)
    if len(inputs) == 5:
        power = np.float32(2.0) ** np.asarray(in_bits - inputs[4], dtype=np.float32)
        return (rounding(node, "FLOOR")(y / power) - zero) * scale
    out_scale, out_bits = inputs[4:6]
    power = np.exp2(np.rint(np.log2(out_scale / scale)))
    low, high = _limits(out_bits, node.integer("signed", 1), node.integer("narrow", 0), y.dtype)
    y = rounding(node, "FLOOR")(np.maximum(np.minimum(y / power, high), low))
    return (y - zero / power) * out_scale


def _multi_threshold(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x, levels = inputs[:2]
    axis = channel_axis(node, x.ndim)
    if levels.ndim != 2 or len(levels) not in (1, x.shape[axis]):
        raise InvalidValueError(f"thresholds of the shape {levels.shape} do not go with {x.shape[axis]} channels")
    along = (-1, *[1] * (x.ndim - 1 - axis))
    count = np.zeros(x.shape, dtype=np.min_scalar_type(levels.shape[1]))
    for k in range(levels.shape[1]):
        count += x >= levels[:, k].reshape(along)
    scale, offset = x.dtype.type(node.number("out_scale", 1.0)), x.dtype.type(node.number("out_bias", 0.0))
    return count.astype(x.dtype) * scale + offset


def channel_axis(node: GraphNode, axes: int) -> int:
    """The axis of a ``MultiThreshold``'s channels."""
    layout = node.text("data_layout", "") or {2: "NC", 3: "NWC", 4: "NCHW"}.get(axes, "")
    return layout.index("C") if "C" in layout else 1


def _quantize_linear(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x, scale = inputs[:2]
    zero = optional(inputs, 2)
    if zero is None:
        zero = np.zeros(1, dtype=element_type(node.integer("output_dtype", 0) or 2))  # 2: uint8
    limits = np.iinfo(zero.dtype)
    shape = _along(node, scale, x.ndim)
    y = np.rint(x / scale.reshape(shape)) + zero.reshape(shape).astype(x.dtype)
    return np.clip(y, limits.min, limits.max).astype(zero.dtype)


def _dequantize_linear(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x, scale = inputs[:2]
    zero = optional(inputs, 2)
    shape = _along(node, scale, x.ndim)
    shift = 0 if zero is None else zero.reshape(shape).astype(np.int64)
    return (x.astype(np.int64) - shift).astype(scale.dtype) * scale.reshape(shape)


def _along(node: GraphNode, scale: np.ndarray, axes: int) -> tuple[int, ...]:
    """The shape of one scale for all, or of one an entry of the node's axis."""
    if scale.size == 1:
        return (1,) * axes
    axis = node.integer("axis", 1) % max(axes, 1)
    return tuple(scale.size if k == axis else 1 for k in range(axes))


QUANTIZERS: dict[str, Operator] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "MultiThreshold": _multi_threshold,
    "QuantizeLinear": _quantize_linear,
    "DequantizeLinear": _dequantize_linear,
}
