"""ONNX's own operators in numpy, as far as quantized networks use them: float32 stays float32."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from sterna.imports.node import BATCH, GraphNode
from sterna.imports.tensors import element_type
from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError

MAX_VALUES = 1 << 27  # of one tensor for all inputs that are evaluated at a time: half a GiB in float32
MAX_SIDE = 1 << 12  # of kernels, and what moves them

Arrays = list[Any]  # of arrays, or None for an input that is left out
Operator = Callable[[GraphNode, Arrays], Any]


def check_values(*sizes: int) -> None:
    """:exc:`ValueError` before an array of such sizes is made that is larger than any network's."""
    if math.prod(sizes) > MAX_VALUES:
        raise InvalidValueError(f"it makes a tensor of the shape {sizes}, of more than {MAX_VALUES} values")


def optional(inputs: Arrays, index: int) -> Any:
    """An input that may be left out."""
    return inputs[index] if index < len(inputs) else None


def window(node: GraphNode, kernel: tuple[int, int], size: tuple[int, int]) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations, and padding (top, left, bottom, right) of a convolution or pool on a map of that size."""
    strides = list(node.integers("strides", (1, 1)))
    dilations = list(node.integers("dilations", (1, 1)))
    pads = list(node.integers("pads", (0, 0, 0, 0)))
    auto = node.text("auto_pad", "NOTSET")
    if min(*strides, *dilations, *kernel) < 1 or min(pads) < 0:
        raise InvalidValueError("kernel, strides and dilations must be positive, pads not negative")
    if max(*strides, *dilations, *kernel, *pads) > MAX_SIDE:
        raise InvalidValueError(f"kernel, strides, dilations and pads must be at most {MAX_SIDE}")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in (0, 1):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max((-(-size[axis] // strides[axis]) - 1) * strides[axis] + reach - size[axis], 0)
            less, more = total // 2, total - total // 2
            pads[axis], pads[axis + 2] = (less, more) if auto == "SAME_UPPER" else (more, less)
    elif auto not in ("NOTSET", "VALID"):
        raise InvalidValueError(f"auto_pad {shown(auto)} is not understood")
    return strides, dilations, pads


def windows(
    x: np.ndarray, kernel: tuple[int, int], strides: list[int], dilations: list[int], pads: list[int], fill: float
) -> np.ndarray:
    """(batch, channels, height, width, kernel_h, kernel_w), a view of the padded map."""
    check_values(*x.shape[:2], x.shape[2] + pads[0] + pads[2], x.shape[3] + pads[1] + pads[3])
    padded = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=fill)
    reach = tuple((side - 1) * step + 1 for side, step in zip(kernel, dilations, strict=True))
    view = sliding_window_view(padded, reach, axis=(2, 3))
    return view[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def _conv(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x, weights, groups = inputs[0], inputs[1], node.integer("group", 1)
    if x.ndim != 4 or weights.ndim != 4 or groups < 1 or len(weights) % groups:
        raise InvalidValueError("only convolutions of two dimensions are understood")
    if x.shape[1] != weights.shape[1] * groups:
        raise InvalidValueError(f"weights for {weights.shape[1] * groups} channels meet {x.shape[1]}")
    kernel = weights.shape[2:]
    view = windows(x, kernel, *window(node, kernel, x.shape[2:]), 0)
    batch, _, height, width = view.shape[:4]
    check_values(x.shape[1] * math.prod(kernel), batch, height, width)
    columns = view.transpose(1, 4, 5, 0, 2, 3).reshape(groups, -1, batch * height * width)
    out = weights.reshape(groups, len(weights) // groups, -1) @ columns
    out = out.reshape(len(weights), batch, height, width).transpose(1, 0, 2, 3)
    bias = optional(inputs, 2)
    return out if bias is None else out + bias.reshape(1, -1, 1, 1)


def _gemm(node: GraphNode, inputs: Arrays) -> np.ndarray:
    a = inputs[0].T if node.integer("transA", 0) else inputs[0]
    b = inputs[1].T if node.integer("transB", 0) else inputs[1]
    out = a @ b
    if node.number("alpha", 1.0) != 1:
        out = out * np.float32(node.number("alpha", 1.0))
    bias = optional(inputs, 2)
    if bias is None:
        return out
    return out + (bias if node.number("beta", 1.0) == 1 else bias * np.float32(node.number("beta", 1.0)))


def _matmul(node: GraphNode, inputs: Arrays) -> np.ndarray:
    if min(inputs[0].ndim, inputs[1].ndim) < 1:
        raise InvalidValueError("a product of matrices needs matrices")
    check_values(*inputs[0].shape[:-1], *inputs[1].shape[-1:])
    return inputs[0] @ inputs[1]


def _batch_norm(node: GraphNode, inputs: Arrays) -> np.ndarray:
    """As ONNX Runtime computes it: one gain and one offset a channel."""
    x, gain, offset, mean, variance = inputs[:5]
    if node.integer("training_mode", 0) or any(node.outputs[1:]):
        raise InvalidValueError("only a normalization in evaluation mode is understood")
    scale = gain / np.sqrt(variance + np.float32(node.number("epsilon", 1e-5)))
    shape = (1, -1, *[1] * (x.ndim - 2))
    return x * scale.reshape(shape) + (offset - mean * scale).reshape(shape)


def _max_pool(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = _map(inputs[0])
    kernel = pool_kernel(node)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    view = windows(x, kernel, *window(node, kernel, x.shape[2:]), lowest)
    taps = [view[..., row, column] for row, column in np.ndindex(*kernel)]
    return functools.reduce(np.maximum, taps, np.full_like(taps[0], lowest))


def _average_pool(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = _map(inputs[0])
    kernel = pool_kernel(node)
    place = window(node, kernel, x.shape[2:])
    sums = windows(x, kernel, *place, 0).sum(axis=(4, 5), dtype=x.dtype)
    if node.integer("count_include_pad", 0):
        return sums / x.dtype.type(math.prod(kernel))
    return sums / windows(np.ones_like(x), kernel, *place, 0).sum(axis=(4, 5), dtype=x.dtype)


def pool_kernel(node: GraphNode) -> tuple[int, int]:
    """The window of a pool of two dimensions; :exc:`ValueError` if it has none, or rounds its size up."""
    if node.integer("ceil_mode", 0):
        raise InvalidValueError("pools with ceil_mode are not understood: pad the map instead")
    height, width = node.integers("kernel_shape", (0, 0))
    return height, width


def _map(x: np.ndarray) -> np.ndarray:
    if x.ndim != 4:
        raise InvalidValueError("only pools of two dimensions are understood")
    return x


def _mean(node: GraphNode, inputs: Arrays) -> np.ndarray:
    axes = optional(inputs, 1)
    chosen = node.integers("axes", ()) if axes is None else tuple(int(axis) for axis in axes)
    return inputs[0].mean(axis=chosen or None, keepdims=bool(node.integer("keepdims", 1)), dtype=inputs[0].dtype)


def shape_part(node: GraphNode, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes that a ``Shape`` gives."""
    return shape[node.integer("start", 0) : node.integer("end", len(shape))]


def _reshape(node: GraphNode, inputs: Arrays) -> np.ndarray:
    """A target that names the model's own batch takes any batch."""
    batch = node.integer(BATCH, 1)
    x, target = inputs[0], [int(side) for side in inputs[1]]
    zero_is_zero = node.integer("allowzero", 0)
    target = [x.shape[k] if side == 0 and not zero_is_zero else side for k, side in enumerate(target)]
    rest = target[1:]
    if target[:1] == [batch] and x.ndim and len(x) != batch and (-1 in rest or math.prod(rest) * len(x) == x.size):
        target[0] = len(x)
    return x.reshape(target)


def _flatten(node: GraphNode, inputs: Arrays) -> np.ndarray:
    axis = node.integer("axis", 1)
    return inputs[0].reshape(math.prod(inputs[0].shape[:axis]), -1)


def _transpose(node: GraphNode, inputs: Arrays) -> np.ndarray:
    return inputs[0].transpose(node.integers("perm", ()) or None)


def _axes(node: GraphNode, inputs: Arrays) -> tuple[int, ...]:
    axes = optional(inputs, 1)
    return node.integers("axes", ()) if axes is None else tuple(int(axis) for axis in np.atleast_1d(axes))


def _slice(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = inputs[0]
    if len(inputs) < 3:
        starts, ends = node.integers("starts", ()), node.integers("ends", ())
        axes: Sequence[int] = node.integers("axes", ()) or range(len(starts))
        steps: Sequence[int] = (1,) * len(starts)
    else:
        starts, ends = inputs[1].tolist(), inputs[2].tolist()
        axes = range(len(starts)) if optional(inputs, 3) is None else inputs[3].tolist()
        steps = (1,) * len(starts) if optional(inputs, 4) is None else inputs[4].tolist()
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return x[tuple(cut)]


def _cast(node: GraphNode, inputs: Arrays) -> np.ndarray:
    return inputs[0].astype(element_type(node.integer("to", 1)))


def _filled(node: GraphNode, inputs: Arrays) -> np.ndarray:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    sizes = [int(side) for side in inputs[0]]
    check_values(*sizes)
    return np.full(sizes, value.ravel()[0], dtype=value.dtype)


def _expand(node: GraphNode, inputs: Arrays) -> np.ndarray:
    sizes = np.broadcast_shapes(inputs[0].shape, tuple(int(side) for side in inputs[1]))
    check_values(*sizes)
    return np.broadcast_to(inputs[0], sizes)


def _pad(node: GraphNode, inputs: Arrays) -> np.ndarray:
    pads = node.integers("pads", ()) if len(inputs) < 2 else tuple(int(side) for side in inputs[1])
    if node.text("mode", "constant") != "constant" or optional(inputs, 3) is not None or min(pads, default=0) < 0:
        raise InvalidValueError("only padding with a constant on all axes is understood")
    half = len(pads) // 2
    value = node.number("value", 0.0) if optional(inputs, 2) is None else float(inputs[2])
    check_values(*(side + pads[k] + pads[k + half] for k, side in enumerate(inputs[0].shape)))
    return np.pad(inputs[0], [(pads[k], pads[k + half]) for k in range(half)], constant_values=value)


def _clip(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = inputs[0]
    low, high = optional(inputs, 1), optional(inputs, 2)
    if low is None and "min" in node.attributes:
        low = x.dtype.type(node.number("min", 0))
    if high is None and "max" in node.attributes:
        high = x.dtype.type(node.number("max", 0))
    return x if low is None and high is None else np.clip(x, low, high)


def _softmax(node: GraphNode, inputs: Arrays) -> np.ndarray:
    axis = node.integer("axis", -1)
    powers = np.exp(inputs[0] - inputs[0].max(axis=axis, keepdims=True))
    share = powers / powers.sum(axis=axis, keepdims=True)
    return np.log(share) if node.operator == "LogSoftmax" else share


def _arg_max(node: GraphNode, inputs: Arrays) -> np.ndarray:
    axis, keep = node.integer("axis", 0), node.integer("keepdims", 1)
    return np.argmax(inputs[0], axis=axis, keepdims=bool(keep))


def _top_k(node: GraphNode, inputs: Arrays) -> tuple[np.ndarray, np.ndarray]:
    axis, count = node.integer("axis", -1), int(np.asarray(inputs[1]).ravel()[0])
    order = np.argsort(-inputs[0], axis=axis, kind="stable")
    chosen = np.take(order, np.arange(count), axis=axis)
    return np.take_along_axis(inputs[0], chosen, axis=axis), chosen.astype(np.int64)


def _leaky(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = inputs[0]
    return np.where(x < 0, x * x.dtype.type(node.number("alpha", 0.01)), x)


def _hard_sigmoid(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = inputs[0]
    alpha, beta = x.dtype.type(node.number("alpha", 0.2)), x.dtype.type(node.number("beta", 0.5))
    return np.clip(x * alpha + beta, x.dtype.type(0), x.dtype.type(1))


def _elu(node: GraphNode, inputs: Arrays) -> np.ndarray:
    x = inputs[0]
    return np.where(x < 0, x.dtype.type(node.number("alpha", 1.0)) * (np.exp(x) - 1), x).astype(x.dtype)


def _same(node: GraphNode, inputs: Arrays) -> np.ndarray:
    return np.asarray(inputs[0])


def _dropout(node: GraphNode, inputs: Arrays) -> np.ndarray:
    if optional(inputs, 2) is not None and np.any(inputs[2]):
        raise InvalidValueError("it drops values at random: export the model in evaluation mode")
    return np.asarray(inputs[0])


def _divide(node: GraphNode, inputs: Arrays) -> np.ndarray:
    if inputs[0].dtype.kind in "iu":
        return np.trunc(inputs[0] / inputs[1]).astype(inputs[0].dtype)
    return inputs[0] / inputs[1]


#: The fewest inputs of operators that take more than one, those of quantizers too.
FEWEST_INPUTS = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Pow", "Reshape", "TopK", "Expand"), 2),
    **dict.fromkeys(("PRelu", "Max", "Min", "Sum", "CastLike"), 2),
    **dict.fromkeys(("BipolarQuant", "MultiThreshold", "QuantizeLinear", "DequantizeLinear", "Gather"), 2),
    **{"Quant": 4, "IntQuant": 4, "Trunc": 5, "BatchNormalization": 5},
}

OPERATORS: dict[str, Operator] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalMaxPool": lambda node, inputs: _map(inputs[0]).max(axis=(2, 3), keepdims=True),
    "GlobalAveragePool": lambda node, inputs: inputs[0].mean(axis=(2, 3), keepdims=True, dtype=inputs[0].dtype),
    "ReduceMean": _mean,
    "Add": lambda node, inputs: inputs[0] + inputs[1],
    "Sub": lambda node, inputs: inputs[0] - inputs[1],
    "Mul": lambda node, inputs: inputs[0] * inputs[1],
    "Div": _divide,
    "Pow": lambda node, inputs: np.power(inputs[0], inputs[1]).astype(inputs[0].dtype),
    "Exp": lambda node, inputs: np.exp(inputs[0]),
    "Log": lambda node, inputs: np.log(inputs[0]),
    "Sum": lambda node, inputs: functools.reduce(np.add, inputs),
    "Sqrt": lambda node, inputs: np.sqrt(inputs[0]),
    "Reciprocal": lambda node, inputs: 1 / inputs[0],
    "Neg": lambda node, inputs: -inputs[0],
    "Abs": lambda node, inputs: np.abs(inputs[0]),
    "Sign": lambda node, inputs: np.sign(inputs[0]),
    "Floor": lambda node, inputs: np.floor(inputs[0]),
    "Ceil": lambda node, inputs: np.ceil(inputs[0]),
    "Round": lambda node, inputs: np.rint(inputs[0]),
    "Max": lambda node, inputs: functools.reduce(np.maximum, inputs),
    "Min": lambda node, inputs: functools.reduce(np.minimum, inputs),
    "Relu": lambda node, inputs: np.maximum(inputs[0], inputs[0].dtype.type(0)),
    "LeakyRelu": _leaky,
    "Sigmoid": lambda node, inputs: 1 / (1 + np.exp(-inputs[0])),
    "Tanh": lambda node, inputs: np.tanh(inputs[0]),
    "Elu": _elu,
    "Softplus": lambda node, inputs: np.log1p(np.exp(-np.abs(inputs[0]))) + np.maximum(inputs[0], 0),
    "Softsign": lambda node, inputs: inputs[0] / (1 + np.abs(inputs[0])),
    "PRelu": lambda node, inputs: np.where(inputs[0] < 0, inputs[0] * inputs[1], inputs[0]),
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Identity": _same,
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": lambda node, inputs: inputs[0].astype(inputs[1].dtype),
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "ArgMax": _arg_max,
    "TopK": _top_k,
    "Shape": lambda node, inputs: np.array(shape_part(node, inputs[0].shape), dtype=np.int64),
    "Gather": lambda node, inputs: np.take(inputs[0], inputs[1].astype(np.int64), axis=node.integer("axis", 0)),
    "Unsqueeze": lambda node, inputs: np.expand_dims(inputs[0], _axes(node, inputs)),
    "Squeeze": lambda node, inputs: np.squeeze(inputs[0], _axes(node, inputs) or None),
    "Concat": lambda node, inputs: np.concatenate(inputs, axis=node.integer("axis", 0)),
    "Slice": _slice,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "Pad": _pad,
}
