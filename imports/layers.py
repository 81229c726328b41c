"""Nodes that compute sums: weight layers, averages and additions of the original, as nodes of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.evaluate import execute
from sterna.imports.functions import Divide, Multiply, Plus, run
from sterna.imports.node import GraphNode
from sterna.imports.operators import check_values, pool_kernel, window
from sterna.imports.order import is_flat, to_own_order
from sterna.imports.values import (
    Codes,
    Pending,
    Sums,
    Value,
    as_codes,
    in_own_order,
    padded,
    pending,
    view,
    without_pads,
)
from sterna.imports.weights import Ternary, lowest_bit, ternary
from sterna.net import Add, Conv2d, Linear, MaxPool2d, SumNode, SumPool2d, WeightNode
from sterna.net.nodes import Bounds

_WIDEST = 128  # of a Pad's sides: where they are uneven, the kernel grows by them
_EXACT = 1 << 24  # float32 holds every integer below
_SUM_ERROR = 2.0**-20  # of the largest sum of magnitudes: what adding in float32, in any order, may be off


def linear(
    node: GraphNode, value: Value, weights: np.ndarray, bias: np.ndarray | None, flatten: Callable[[Codes], Codes]
) -> Pending:
    """A ``MatMul`` or ``Gemm``; ``weights`` (out, in), ``bias`` (out,) or one number; ``flatten`` turns maps."""
    if weights.ndim != 2:
        raise NodeRefused(f"its weights must be a matrix, not of the shape {weights.shape[::-1]}")
    found = ternary(weights)
    signs, codes = found.signs, as_codes(value)
    if len(view(codes)) != 1:
        raise NodeRefused(f"it multiplies maps of the shape {view(codes)}: flatten them before")
    if signs.shape[1:] != view(codes):
        raise NodeRefused(f"it has weights for {signs.shape[1]} features, and meets {view(codes)[0]}")
    if codes.order is not None:
        assert codes.shape is not None
        signs = to_own_order(signs, codes.order, (math.prod(codes.shape),))
        codes = flatten(codes)
    return _weighted(Linear(name=node.identifier, weights=signs, inputs=_source(codes)), node, codes, found, bias)


def convolution(node: GraphNode, value: Value, weights: np.ndarray, bias: np.ndarray | None) -> Pending:
    """A ``Conv``: dilation and uneven padding become zeros in the kernel."""
    if weights.ndim != 4:
        raise NodeRefused(f"only convolutions of two dimensions are understood, not of weights {weights.shape}")
    found = ternary(weights)
    inner, given = without_pads(value)
    codes = as_codes(in_own_order(inner))
    if codes.shape is None or len(codes.shape) != 3:
        raise NodeRefused("" if codes.shape is None else f"it convolves a vector of {codes.shape[0]}")
    size = (codes.shape[1] + given[0] + given[2], codes.shape[2] + given[1] + given[3])
    strides, dilations, own = window(node, weights.shape[2:], size)
    if any(own) and codes.offset:
        raise NodeRefused("it pads with 0, and 0 is no code of its inputs")
    pads = [side + more for side, more in zip(own, given, strict=True)]
    signs = _dilated(found.signs, dilations)
    padding = (max(pads[0], pads[2]), max(pads[1], pads[3]))
    check_values(*signs.shape[:2], signs.shape[2] + sum(padding), signs.shape[3] + sum(padding))
    signs = np.pad(signs, ((0, 0), (0, 0), *((side - pads[k], side - pads[k + 2]) for k, side in enumerate(padding))))
    convolved = Conv2d(
        name=node.identifier, inputs=_source(codes), weights=signs, stride=(strides[0], strides[1]), padding=padding,
        groups=node.integer("group", 1),
    )  # fmt: skip
    return _weighted(convolved, node, codes, found, bias)


def _dilated(signs: np.ndarray, dilations: list[int]) -> np.ndarray:
    """The kernel with zeros between its taps."""
    height, width = ((side - 1) * step + 1 for side, step in zip(signs.shape[2:], dilations, strict=True))
    check_values(*signs.shape[:2], height, width)
    spread = np.zeros((*signs.shape[:2], height, width), dtype=signs.dtype)
    spread[:, :, :: dilations[0], :: dilations[1]] = signs
    return spread


def _weighted(layer: WeightNode, node: GraphNode, codes: Codes, found: Ternary, bias: np.ndarray | None) -> Pending:
    flat = layer.weights.reshape(len(layer.weights), -1)
    reals = codes.reals()
    fan = int(np.count_nonzero(flat, axis=1).max())
    unit = lowest_bit(reals)
    magnitudes = found.scales.astype(np.float64)
    odd = max(scale / lowest_bit(np.array([scale])) for scale in np.unique(magnitudes))
    exact = found.exact and fan * (np.abs(reals).max() / unit) * odd < _EXACT
    slack = 0.0 if exact else _SUM_ERROR * fan * float(np.abs(reals).max()) / abs(codes.scale)
    sums = _sums(layer, node, [codes], slack)
    value = _pending(sums, layer, codes).then(Multiply(factor=(codes.scale * magnitudes)[:, None]))
    if codes.offset:
        rows = flat.sum(axis=1, dtype=np.int64)
        value = value.then(Plus(term=(codes.offset * magnitudes * rows)[:, None]))
    if bias is not None:
        if bias.size != 1 and (bias.size != len(flat) or bias.shape[-1] != len(flat)):
            raise NodeRefused(f"its bias has the shape {bias.shape}, and its sums {len(flat)} channels")
        value = value.then(Plus(term=np.broadcast_to(bias.reshape(-1), (len(flat),))[:, None]))
    return value


def padding(node: GraphNode, value: Value, constants: Mapping[str, np.ndarray]) -> Value:
    """A ``Pad`` with zeros, which is the convolution's behind it; the very same value where it pads by nothing."""
    sides = [constants[name] for name in node.inputs[1:2] if name]
    pads = tuple(int(side) for side in sides[0].ravel()) if sides else node.integers("pads", ())
    shape = (1, *view(value))
    if max(pads, default=0) > _WIDEST:
        raise NodeRefused(f"it pads by {max(pads)}, and at most {_WIDEST} is understood")
    zeros = execute(node, {**constants, node.inputs[0]: np.zeros(shape, dtype=np.float32)})
    if zeros[node.outputs[0]].any():
        raise NodeRefused("it pads with another number than 0: pad with 0")
    if not any(pads):
        return value
    before = pending(value)
    zero = np.zeros((1, 1))
    shifted = isinstance(before.source, Codes) and before.source.offset
    if before.moved or shifted or run(before.functions, zero)[0].any():
        raise NodeRefused(
            "0 is none of its inputs' codes, or something before it makes another number of 0: pad before"
        )
    return padded(value, pads)


def average(node: GraphNode, value: Value) -> Pending:
    """An ``AveragePool``, or one over the whole map: sums of windows, and a division."""
    return _average(node, as_codes(in_own_order(value)))


def mean(node: GraphNode, value: Value, axes: tuple[int, ...]) -> Pending:
    """A ``ReduceMean``: an average over the whole map, in whatever order its values stand."""
    codes = as_codes(value)
    if codes.shape is None or len(codes.shape) != 3 or len(view(codes)) != 3:
        raise NodeRefused("" if codes.shape is None else f"it averages values of the shape {view(codes)}")
    if not axes or max(axes) > 3 or min(axes) < -4:
        raise NodeRefused("it averages over other axes than the map's two")
    order = np.arange(math.prod(codes.shape)).reshape(codes.shape) if codes.order is None else codes.order
    chosen = sorted({axis % 4 - 1 for axis in axes})  # without the batch
    places = np.moveaxis(order, chosen, range(3 - len(chosen), 3)) if min(chosen) >= 0 else order
    area = math.prod(codes.shape[1:])
    rows = places.reshape(-1, area) if len(chosen) == 2 and min(chosen) >= 0 else places.reshape(1, -1)
    channels = rows[:, 0] // area
    if len(rows) != codes.shape[0] or (rows < 0).any() or (rows // area != channels[:, None]).any():
        raise NodeRefused("only a mean over the two axes of the whole map is understood")
    keep = node.integer("keepdims", 1)
    shape = tuple(1 if axis in chosen else side for axis, side in enumerate(order.shape) if keep or axis not in chosen)
    own = _average(node, replace(codes, order=None))
    return replace(own, order=None if shape == own.shape and is_flat(channels) else channels.reshape(shape))


def _average(node: GraphNode, codes: Codes) -> Pending:
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
    kernel = (value.shape[1], value.shape[2]) if node.operator == "GlobalMaxPool" else pool_kernel(node)
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
