"""Nodes that compute sums: weight layers, averages and additions of the original, as nodes of a network."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Divide, Multiply, Plus
from sterna.imports.graph import GraphNode
from sterna.imports.operators import check_values, pool_kernel, window
from sterna.imports.values import Codes, Pending, Sums, Value, as_codes, in_own_order, pending, view
from sterna.imports.weights import lowest_bit, ternary
from sterna.net import Add, Conv2d, Linear, MaxPool2d, SumNode, SumPool2d, WeightNode
from sterna.net.nodes import Bounds

_EXACT = 1 << 24  # float32 holds every integer below
_SUM_ERROR = 2.0**-20  # of the largest sum of magnitudes: what adding in float32, in any order, may be off


def linear(
    node: GraphNode, value: Value, weights: np.ndarray, bias: np.ndarray | None, flatten: Callable[[Codes], Codes]
) -> Pending:
    """A ``MatMul`` or ``Gemm``; ``weights`` (out, in), ``bias`` (out,) or one number; ``flatten`` turns maps."""
    if weights.ndim != 2:
        raise NodeRefused(f"its weights must be a matrix, not of the shape {weights.shape}")
    signs, scales = ternary(weights)
    codes = as_codes(value)
    if len(view(codes)) != 1:
        raise NodeRefused(f"it multiplies maps of the shape {view(codes)}: flatten them before")
    if signs.shape[1:] != view(codes):
        raise NodeRefused(f"it has weights for {signs.shape[1]} features, and meets {view(codes)[0]}")
    if codes.order is not None:
        moved = np.empty_like(signs)
        moved[:, codes.order] = signs
        signs, codes = moved, flatten(codes)
    return _weighted(Linear(name=node.identifier, weights=signs, inputs=_source(codes)), node, codes, scales, bias)


def convolution(node: GraphNode, value: Value, weights: np.ndarray, bias: np.ndarray | None) -> Pending:
    """A ``Conv``: dilation and uneven padding become zeros in the kernel."""
    if weights.ndim != 4:
        raise NodeRefused(f"only convolutions of two dimensions are understood, not of weights {weights.shape}")
    signs, scales = ternary(weights)
    codes = as_codes(in_own_order(value))
    if codes.shape is None or len(codes.shape) != 3:
        raise NodeRefused("" if codes.shape is None else f"it convolves a vector of {codes.shape[0]}")
    strides, dilations, pads = window(node, signs.shape[2:], codes.shape[1:])
    if any(pads) and codes.offset:
        raise NodeRefused("it pads with 0, and 0 is no code of its inputs")
    signs = _dilated(signs, dilations)
    padding = (max(pads[0], pads[2]), max(pads[1], pads[3]))
    check_values(*signs.shape[:2], signs.shape[2] + sum(padding), signs.shape[3] + sum(padding))
    signs = np.pad(signs, ((0, 0), (0, 0), *((side - pads[k], side - pads[k + 2]) for k, side in enumerate(padding))))
    convolved = Conv2d(
        name=node.identifier, inputs=_source(codes), weights=signs, stride=(strides[0], strides[1]), padding=padding,
        groups=node.integer("group", 1),
    )  # fmt: skip
    return _weighted(convolved, node, codes, scales, bias)


def _dilated(signs: np.ndarray, dilations: list[int]) -> np.ndarray:
    """The kernel with zeros between its taps."""
    height, width = ((side - 1) * step + 1 for side, step in zip(signs.shape[2:], dilations, strict=True))
    check_values(*signs.shape[:2], height, width)
    spread = np.zeros((*signs.shape[:2], height, width), dtype=signs.dtype)
    spread[:, :, :: dilations[0], :: dilations[1]] = signs
    return spread


def _weighted(layer: WeightNode, node: GraphNode, codes: Codes, scales: np.ndarray, bias: np.ndarray | None) -> Pending:
    flat = layer.weights.reshape(len(layer.weights), -1)
    reals = codes.reals()
    fan = int(np.count_nonzero(flat, axis=1).max())
    unit = lowest_bit(reals)
    magnitudes = scales.astype(np.float64)
    odd = max(scale / lowest_bit(np.array([scale])) for scale in np.unique(magnitudes))
    exact = fan * (np.abs(reals).max() / unit) * odd < _EXACT
    slack = 0.0 if exact else _SUM_ERROR * fan * float(np.abs(reals).max()) / abs(codes.scale)
    sums = _sums(layer, node, [codes], slack)
    value = _pending(sums, layer, codes).then(Multiply(factor=(codes.scale * magnitudes)[:, None]))
    if codes.offset:
        rows = flat.sum(axis=1, dtype=np.int64)
        value = value.then(Plus(term=(codes.offset * magnitudes * rows)[:, None]))
    if bias is not None:
        value = value.then(Plus(term=np.broadcast_to(bias.reshape(-1), (len(flat),))[:, None]))
    return value


def average(node: GraphNode, value: Value) -> Pending:
    """An ``AveragePool``, or one over the whole map: sums of windows, and a division."""
    codes = as_codes(in_own_order(value))
    if codes.shape is None or len(codes.shape) != 3:
        raise NodeRefused("" if codes.shape is None else "it averages a vector")
    if node.operator == "AveragePool":
        kernel = pool_kernel(node)
        strides, dilations, pads = window(node, kernel, codes.shape[1:])
        if any(pads) and (not node.integer("count_include_pad", 0) or codes.offset):
            raise NodeRefused("windows at the border have other numbers of values: average with count_include_pad")
    else:
        kernel = (codes.shape[1], codes.shape[2])
        strides, dilations, pads = [1, 1], [1, 1], [0, 0, 0, 0]
    _plain_window(dilations, pads)
    count = math.prod(kernel)
    pool = SumPool2d(
        name=node.identifier,
        inputs=_source(codes),
        kernel=kernel,
        stride=(strides[0], strides[1]),
        padding=(pads[0], pads[1]),
    )
    reals = codes.reals()
    exact = count * np.abs(reals).max() / lowest_bit(reals) < _EXACT
    slack = 0.0 if exact else _SUM_ERROR * count * float(np.abs(reals).max()) / abs(codes.scale)
    sums = _sums(pool, node, [codes], slack)
    total = _pending(sums, pool, codes).then(Multiply(factor=np.array([[codes.scale]])))
    if codes.offset:
        total = total.then(Plus(term=np.array([[codes.offset * count]])))
    return total.then(Divide(divisor=np.array([[float(count)]])))


def maximum(node: GraphNode, value: Value) -> tuple[MaxPool2d, Pending]:
    """A ``MaxPool``, which commutes with what rises."""
    if value.shape is None or len(value.shape) != 3:
        raise NodeRefused("" if value.shape is None else "it pools a vector")
    in_own_order(value)
    kernel = pool_kernel(node)
    strides, dilations, pads = window(node, kernel, value.shape[1:])
    _plain_window(dilations, pads)
    pool = MaxPool2d(name=node.identifier, kernel=kernel, stride=(strides[0], strides[1]), padding=(pads[0], pads[1]))
    return pool, pending(value).then(pool, shape=pool.output_shape([value.shape]))


def _plain_window(dilations: list[int], pads: list[int]) -> None:
    if dilations != [1, 1]:
        raise NodeRefused("pools with dilation are not understood")
    if pads[:2] != pads[2:]:
        raise NodeRefused(f"pools must be padded alike on both sides, not by {pads}")


def addition(node: GraphNode, first: Value, second: Value) -> Pending:
    """The sum of two branches, whose scales differ by a power of two."""
    left, right = as_codes(first), as_codes(second)
    if left.shape is not None and right.shape is not None and left.shape != right.shape:
        raise NodeRefused(f"it adds shapes {left.shape} and {right.shape}: branches must have one shape")
    orders = [None if codes.order is None else codes.order.tolist() for codes in (left, right)]
    if orders[0] != orders[1]:
        raise NodeRefused("it adds branches whose values stand in different orders")
    if min(left.scale, right.scale) <= 0:
        raise NodeRefused("a branch has a negative scale; keep it positive")
    ratio, exponent = np.frexp(left.scale / right.scale)
    if ratio != 0.5:
        raise NodeRefused(
            f"it adds scales {left.scale:g} and {right.scale:g}: their ratio must be a power of two; share one "
            "quantizer, or train with power-of-two scales"
        )
    power = int(exponent) - 1
    shifts = (max(power, 0), max(-power, 0))
    inputs = (*_source(left), *_source(right))
    added = Add(name=node.identifier, inputs=inputs, shifts=shifts)
    scale = min(left.scale, right.scale)
    reach = max(float(np.abs(codes.reals()).max()) for codes in (left, right))
    exact = 2 * reach / min(lowest_bit(left.reals()), lowest_bit(right.reals())) < _EXACT
    sums = _sums(added, node, [left, right], 0.0 if exact else 2 * _SUM_ERROR * reach / scale)
    return Pending(source=sums, shape=left.shape if right.shape else None, order=left.order).then(
        Multiply(factor=np.array([[scale]])), Plus(term=np.array([[left.offset + right.offset]]))
    )


def _source(codes: Codes) -> tuple[str, ...]:
    return (codes.node or "refused",)


def _sums(layer: SumNode, node: GraphNode, codes: list[Codes], slack: float) -> Sums:
    """The sums of a layer; without bounds behind what is refused."""
    bounds: Bounds | None = None
    shapes = [source.shape for source in codes if source.shape is not None]
    if len(shapes) == len(codes):
        shape = layer.output_shape(shapes)
        low, high = layer.channel_bounds(shapes, [source.type for source in codes])
        bounds = np.broadcast_to(low, shape[:1]), np.broadcast_to(high, shape[:1])
    return Sums(node=layer, label=node.name, bounds=bounds, slack=slack)


def _pending(sums: Sums, layer: SumNode, codes: Codes) -> Pending:
    """A layer's sums as a value."""
    shape = None if codes.shape is None else layer.output_shape([codes.shape])
    return Pending(source=sums, shape=shape)
