"""Networks and frames drawn from a seed, for regressions: small, and rich in corners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sterna.net import (
    ActivationType,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Node,
    Requantization,
    ShiftRound,
    SumPool2d,
    Thresholds,
)
from sterna.net.errors import InvalidValueError

# Shares of zeros, with few of those that leave little to compute.
_ZEROS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_ZEROS_ODDS = (0.1, 0.15, 0.15, 0.15, 0.15, 0.15, 0.08, 0.05, 0.02)


def random_dense_network(
    rng: np.random.Generator,
    *,
    sizes: Sequence[int] | None = None,
    zeros: float | None = None,
    types: Sequence[ActivationType] | None = None,
    kinds: Sequence[type[Thresholds] | type[ShiftRound] | None] | None = None,
) -> Network:
    """A chain of dense layers. What is not given is drawn.

    Half of the layers have an empty row, half a row without a zero.

    Parameters
    ----------
    rng : :class:`numpy.random.Generator`
        Its state decides everything.
    sizes : sequence of :class:`int`
        Features of the input and of each layer's output.
    zeros : :class:`float`
        Share of zero weights.
    types : sequence of :class:`~sterna.net.ActivationType`
        Type of the input and of each requantized output.
    kinds : sequence of requantization classes or ``None``
        One a layer; all but the last must have one.
    """
    if sizes is None:
        sizes = [1 if rng.random() < 0.05 else int(rng.integers(2, 33)) for _ in range(rng.integers(2, 6))]
    layers = len(sizes) - 1
    if types is None:
        types = [ActivationType(width=int(rng.integers(1, 9)), signed=bool(rng.integers(2))) for _ in sizes]
    if kinds is None:
        kinds = [(Thresholds, ShiftRound)[int(rng.integers(2))] for _ in range(layers)]
        kinds = [*kinds[:-1], (None, None, kinds[-1])[int(rng.integers(3))]]
    nodes = []
    for k in range(layers):
        share = float(rng.choice(_ZEROS, p=_ZEROS_ODDS)) if zeros is None else zeros
        weights = random_weights(rng, rows=sizes[k + 1], columns=sizes[k], zeros=share)
        if zeros is None and rng.integers(2):
            weights[rng.integers(len(weights))] = 0
        if zeros is None and rng.integers(2):
            weights[rng.integers(len(weights))] = rng.choice([-1, 1], sizes[k])
        bias = rng.integers(-20, 21, sizes[k + 1]) if rng.integers(2) else None
        kind = kinds[k]
        requantize = None if kind is None else _requantize(rng, kind, weights, bias, types[k], types[k + 1])
        nodes.append(Linear(name=f"fc{k + 1}", weights=weights, bias=bias, requantize=requantize))
    return Network(input_shape=(sizes[0],), input_type=types[0], input_scale=1.0, nodes=nodes)


def random_map_network(rng: np.random.Generator, *, most_nodes: int = 8, by_pixel: bool = False) -> Network:
    """A chain of convolutions and pools over maps of up to 12 x 12, and most often dense layers behind them.

    Kernels of 1 to 5, strides, paddings, groups (depthwise too), requantizations and types are drawn; half of the
    convolutions have a channel without weights. About half of the pools overlap or have padding.

    Parameters
    ----------
    rng : :class:`numpy.random.Generator`
        Its state decides everything.
    most_nodes : :class:`int`
        Nodes at most; 4 or more.
    by_pixel : :class:`bool`
        One that bit-serial and unrolled units can compute: of one input channel, no pools of sums, and dense at the
        end.
    """
    shape = (int(rng.integers(1, 5)), int(rng.integers(3, 13)), int(rng.integers(3, 13)))
    shape = (1, *shape[1:]) if by_pixel else shape
    input_type = type_ = _random_type(rng)
    input_shape = shape
    nodes: list[Node] = []
    dense = bool(rng.random() < 0.8) or by_pixel
    for k in range(int(rng.integers(1, most_nodes - 2 * dense))):
        node: Node
        if k and rng.random() < 0.4:
            node, type_ = _random_pool(rng, f"pool{k}", shape, type_, maxima=by_pixel)
        else:
            node, type_ = _random_conv(rng, f"conv{k}", shape, type_)
        nodes.append(node)
        channels, height, width = node.output_shape([shape])
        shape = (channels, height, width)
    if not dense:
        return Network(input_shape=input_shape, input_type=input_type, input_scale=1.0, nodes=nodes)
    nodes.append(Flatten(name="flatten"))
    weights = random_weights(rng, rows=int(rng.integers(1, 9)), columns=int(np.prod(shape)), zeros=0.6)
    nodes.append(Linear(name="fc", weights=weights))
    return Network(input_shape=input_shape, input_type=input_type, input_scale=1.0, nodes=nodes)


def _random_type(rng: np.random.Generator) -> ActivationType:
    return ActivationType(width=int(rng.integers(1, 9)), signed=bool(rng.integers(2)))


def _random_conv(
    rng: np.random.Generator, name: str, shape: tuple[int, int, int], input_type: ActivationType
) -> tuple[Conv2d, ActivationType]:
    """A convolution that a map of some shape can go through, and the type of its output."""
    channels, *size = shape
    padding = [int(rng.integers(0, 3)) for _ in range(2)]
    kernel = [int(rng.integers(1, min(5, side + 2 * pad) + 1)) for side, pad in zip(size, padding, strict=True)]
    stride = [int(rng.choice([1, 1, 2])) for _ in range(2)]
    groups = channels if rng.random() < 0.2 else 1
    rows = groups * int(rng.integers(1, 3)) if groups > 1 else int(rng.integers(1, 9))
    columns = channels // groups * kernel[0] * kernel[1]
    weights = random_weights(rng, rows=rows, columns=columns, zeros=float(rng.choice(_ZEROS, p=_ZEROS_ODDS)))
    if rng.integers(2):
        weights[rng.integers(rows)] = 0
    bias = rng.integers(-20, 21, rows) if rng.integers(2) else None
    output, kind = _random_type(rng), (Thresholds, ShiftRound)[int(rng.integers(2))]
    node = Conv2d(
        name=name,
        weights=weights.reshape(rows, channels // groups, *kernel),
        stride=(stride[0], stride[1]),
        padding=(padding[0], padding[1]),
        groups=groups,
        bias=bias,
        requantize=_requantize(rng, kind, weights, bias, input_type, output),
    )
    return node, output


def _random_pool(
    rng: np.random.Generator, name: str, shape: tuple[int, int, int], input_type: ActivationType, *, maxima: bool
) -> tuple[MaxPool2d | SumPool2d, ActivationType]:
    """A pool that a map of some shape can go through, and the type of its output."""
    channels, *size = shape
    kernel, steps, padding = np.transpose([_random_windows(rng, side) for side in size]).tolist()
    window: dict[str, Any] = {"kernel": tuple(kernel), "stride": tuple(steps), "padding": tuple(padding)}
    if rng.integers(2) or maxima:
        return MaxPool2d(name=name, **window), input_type
    output = _random_type(rng)
    ones = np.ones((channels, kernel[0] * kernel[1]), np.int8)
    requantize = _requantize(rng, (Thresholds, ShiftRound)[int(rng.integers(2))], ones, None, input_type, output)
    return SumPool2d(name=name, **window, requantize=requantize), output


def _random_windows(rng: np.random.Generator, side: int) -> tuple[int, int, int]:
    """Kernel, stride and padding along one axis of a map; half of them overlap or have padding."""
    if rng.integers(2):
        kernel = side if rng.random() < 0.2 else int(rng.integers(1, min(3, side) + 1))
        return kernel, kernel + int(rng.integers(2)), 0
    kernel = int(rng.integers(1, min(5, side + 1) + 1))
    return kernel, int(rng.integers(1, kernel + 1)), int(rng.integers(int(kernel > side), kernel // 2 + 1))


def random_weights(rng: np.random.Generator, *, rows: int, columns: int, zeros: float) -> np.ndarray:
    """Ternary weights, int8, (rows, columns); each is zero with probability ``zeros``."""
    signs = rng.choice([-1, 1], (rows, columns))
    return (signs * (rng.random((rows, columns)) >= zeros)).astype(np.int8)


def _requantize(
    rng: np.random.Generator,
    kind: type[Thresholds] | type[ShiftRound],
    weights: np.ndarray,
    bias: np.ndarray | None,
    input_type: ActivationType,
    output: ActivationType,
) -> Requantization:
    """Thresholds or shifts that spread usual sums over the output's range, and some that do not."""
    rows = len(weights)
    nonzeros = np.count_nonzero(weights, axis=1)
    spread = np.maximum(2, np.sqrt(nonzeros) * (input_type.max - input_type.min) / 2).astype(np.int64)
    center = weights.sum(axis=1, dtype=np.int64) * ((input_type.max + input_type.min) // 2) + (
        0 if bias is None else bias
    )
    if kind is Thresholds:
        count = (1 << output.width) - 1
        levels = center[:, None] + rng.integers(-2, 3, (rows, count)) * spread[:, None]
        levels += rng.integers(-spread, spread + 1, (count, rows)).T
        # Levels that are always, or never, reached.
        levels[:, 0] = np.where(rng.random(rows) < 0.1, -(2**31), levels[:, 0])
        levels[:, -1] = np.where(rng.random(rows) < 0.1, 2**31 - 1, levels[:, -1])
        return Thresholds(output=output, levels=np.sort(levels, axis=1))
    codes = output.max - output.min
    shift = np.clip(np.ceil(np.log2(4 * spread / max(codes, 1))).astype(np.int64) + rng.integers(-1, 2, rows), 0, 31)
    middle = (output.max + output.min) // 2
    return ShiftRound(output=output, bias=(middle << shift) - center + rng.integers(-3, 4, rows), shift=shift)


def random_frames(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """Frames of random codes, int64, (count, \\*input shape)."""
    low, high = network.input_type.min, network.input_type.max
    return rng.integers(low, high + 1, (count, *network.input_shape))


def extreme_frames(network: Network) -> np.ndarray:
    """Frames that drive the first layer's every accumulator to its largest and its smallest value, and constant frames.

    int64, (2 * rows + 2, features); the first node must be a :class:`~sterna.net.Linear`.
    """
    node = network.nodes[0]
    if not isinstance(node, Linear):
        raise InvalidValueError(f"the first node must be a Linear, not a {type(node).__name__}")
    low, high = network.input_type.min, network.input_type.max
    largest = np.where(node.weights > 0, high, low).astype(np.int64)
    smallest = np.where(node.weights > 0, low, high).astype(np.int64)
    constant = np.stack([np.full(node.weights.shape[1], value, dtype=np.int64) for value in (low, high)])
    return np.concatenate([largest, smallest, constant])
