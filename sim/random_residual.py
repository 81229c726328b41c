"""Residual networks drawn from a seed: branches that part and meet again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sterna.net import (
    ActivationType,
    Add,
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
from sterna.net.nodes import INPUT, SumNode
from sterna.sim.random_networks import random_weights

Maps = tuple[int, int, int]


def random_residual_network(rng: np.random.Generator, *, most_nodes: int = 8) -> Network:
    """Convolutions, pools and additions over maps of up to 9 x 9, or dense layers and additions.

    An addition has two or three branches: the value that they part from, a convolution of it, one with another behind,
    a pool, or another addition. Branches come as accumulators or codes, shifted, the same one twice too.

    Parameters
    ----------
    rng : :class:`numpy.random.Generator`
        Its state decides everything.
    most_nodes : :class:`int`
        Nodes at most; 4 or more.
    """
    if rng.random() < 0.2:
        drawing = _Drawing(rng, (int(rng.integers(1, 17)),), most_nodes)
    else:
        drawing = _Drawing(
            rng, (int(rng.integers(1, 5)), int(rng.integers(1, 10)), int(rng.integers(1, 10))), most_nodes
        )
    value = INPUT
    if rng.random() < 0.7:
        value = drawing.codes(value)
    while drawing.left > 3 or value == INPUT:
        value = drawing.addition(value)
        if drawing.left > 1 and drawing.gives_codes(value) and rng.random() < 0.5:
            value = drawing.codes(value)
    return drawing.network(value)


class _Drawing:
    """Nodes so far; the shape of each value, and each channel's mean and deviation, about."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], most_nodes: int) -> None:
        self._rng = rng
        self._most = most_nodes
        self._nodes: list[Node] = []
        self._type = self._any_type()
        self._shapes = {INPUT: shape}
        self._moments = {INPUT: _moments(self._type, shape[0])}

    @property
    def left(self) -> int:
        """Nodes that may still be drawn."""
        return self._most - len(self._nodes)

    def codes(self, value: str, shape: tuple[int, ...] | None = None) -> str:
        """A convolution or dense layer whose results are codes; of a given shape, or any."""
        return self._sums(value, shape or self._any_shape(value), requantized=True)

    def addition(self, value: str, shape: tuple[int, ...] | None = None, *, depth: int = 0) -> str:
        """Branches from a value, and their sum; of a given shape, or any."""
        rng = self._rng
        shape = shape or (self._shapes[value] if rng.random() < 0.6 else self._any_shape(value))
        branches = [self._branch(value, shape, depth=depth)]
        for _ in range(1 + (self.left > 3 and rng.random() < 0.2)):
            if shape == self._shapes[value] and rng.random() < 0.5:
                branches.append(value)
            else:
                branches.append(self._branch(value, shape, depth=depth))
        if rng.integers(2):
            branches.reverse()
        last = depth == 0 and self.left < 4 and rng.random() < 0.3
        shifts = rng.integers(0, 4, len(branches))
        means, deviations = zip(*(self._moments[name] for name in branches), strict=True)
        mean = sum(each * 2.0**shift for each, shift in zip(means, shifts, strict=True))
        deviation = sum(each * 2.0**shift for each, shift in zip(deviations, shifts, strict=True))
        return self._add(
            Add(name=f"add{len(self._nodes)}", inputs=tuple(branches), shifts=tuple(shifts.tolist())),
            mean,
            deviation,
            requantized=not last,
        )

    def network(self, value: str) -> Network:
        """The network; a map most often goes into a dense layer."""
        if len(self._shapes[value]) == 3 and self.gives_codes(value) and self._rng.random() < 0.5:
            pixels = int(np.prod(self._shapes[value][1:]))
            spread = [np.repeat(each, pixels) for each in self._moments[value]]
            flat = self._add(Flatten(name="flatten", inputs=(value,)), *spread)
            self._sums(flat, (int(self._rng.integers(1, 9)),), requantized=False)
        shape = self._shapes[INPUT]
        return Network(input_shape=shape, input_type=self._type, input_scale=1.0, nodes=self._nodes)

    def _branch(self, value: str, shape: tuple[int, ...], *, depth: int) -> str:
        """A way from a value to one of a shape."""
        rng = self._rng
        drawn = rng.random()
        if self.left > 4 and drawn < 0.2 and depth < 2 and shape == self._shapes[value]:
            return self.addition(value, shape, depth=depth + 1) if rng.integers(2) else value
        if self.left > 3 and drawn < 0.5:
            between = self.codes(value, (int(rng.integers(1, 7)), *shape[1:]))
            return self._sums(between, shape, requantized=bool(rng.integers(2)))
        if drawn < 0.65 and len(shape) == 3 and shape[0] == self._shapes[value][0]:
            return self._pool(value, shape)
        return self._sums(value, shape, requantized=bool(rng.integers(2)))

    def _sums(self, value: str, shape: tuple[int, ...], *, requantized: bool) -> str:
        """A layer with weights from a value to one of a shape, whose sides it divides by its strides."""
        rng = self._rng
        before, (mean, deviation) = self._shapes[value], self._moments[value]
        name = f"layer{len(self._nodes)}"
        node: Linear | Conv2d
        if len(before) == 1:
            weights = random_weights(rng, rows=shape[0], columns=before[0], zeros=float(rng.choice([0.3, 0.6, 0.9])))
            node = Linear(name=name, inputs=(value,), weights=weights)
        else:
            stride = [1 if after == side else 2 for side, after in zip(before[1:], shape[1:], strict=True)]
            half = [int(rng.integers(0, 3)) for _ in stride]
            kernel = [2 * pad + 1 for pad in half]
            weights = random_weights(rng, rows=shape[0], columns=before[0] * kernel[0] * kernel[1], zeros=0.6)
            node = Conv2d(
                name=name,
                inputs=(value,),
                weights=weights.reshape(shape[0], before[0], kernel[0], kernel[1]),
                stride=(stride[0], stride[1]),
                padding=(half[0], half[1]),
            )
        by_channel = weights.reshape(shape[0], before[0], -1)
        return self._add(
            node,
            by_channel.sum(axis=2) @ mean,
            np.sqrt((by_channel != 0).sum(axis=2) @ deviation**2),
            requantized=requantized,
        )

    def _pool(self, value: str, shape: tuple[int, ...]) -> str:
        """A pool to maps of a shape: windows of 1 or 3, which overlap or not, and padding that fits them."""
        before, (mean, deviation) = self._shapes[value], self._moments[value]
        half = [int(self._rng.integers(0, 2)) for _ in before[1:]]
        stride = [1 if after == side else 2 for side, after in zip(before[1:], shape[1:], strict=True)]
        window, padding, steps = (2 * half[0] + 1, 2 * half[1] + 1), (half[0], half[1]), (stride[0], stride[1])
        name = f"pool{len(self._nodes)}"
        if self._rng.integers(2):
            node = MaxPool2d(name=name, inputs=(value,), kernel=window, stride=steps, padding=padding)
            return self._add(node, mean, deviation)
        taps = window[0] * window[1]
        sums = SumPool2d(name=name, inputs=(value,), kernel=window, stride=steps, padding=padding)
        return self._add(sums, taps * mean, np.sqrt(taps) * deviation, requantized=bool(self._rng.integers(2)))

    def _add(self, node: Node, mean: np.ndarray, deviation: np.ndarray, *, requantized: bool = False) -> str:
        """One more node, whose values have these moments before they are requantized."""
        self._shapes[node.name] = shape = node.output_shape([self._shapes[name] for name in node.inputs])
        self._moments[node.name] = mean, deviation
        if requantized and isinstance(node, SumNode):
            requantize = self._requantize(mean, deviation)
            node = replace(node, requantize=requantize)
            self._moments[node.name] = _moments(requantize.output, shape[0])
        self._nodes.append(node)
        return node.name

    def gives_codes(self, value: str) -> bool:
        """Whether a value may go into a layer with weights."""
        node = next(node for node in self._nodes if node.name == value)
        return getattr(node, "requantize", None) is not None or isinstance(node, MaxPool2d)

    def _any_shape(self, value: str) -> tuple[int, ...]:
        channels, *sides = self._shapes[value]
        strides: Sequence[int] = [int(self._rng.choice([1, 1, 2])) for _ in sides]
        drawn = channels if self._rng.integers(2) else int(self._rng.integers(1, 7))
        return (drawn, *(-(-side // stride) for side, stride in zip(sides, strides, strict=True)))

    def _any_type(self) -> ActivationType:
        return ActivationType(width=int(self._rng.integers(1, 7)), signed=bool(self._rng.integers(2)))

    def _requantize(self, mean: np.ndarray, deviation: np.ndarray) -> Requantization:
        """Of each channel's sums, so that few are the same for all inputs."""
        rng, output = self._rng, self._any_type()
        count = (1 << output.width) - 1
        if rng.integers(2):
            levels = mean[:, None] + deviation[:, None] * rng.normal(0, 1.2, (len(mean), count))
            return Thresholds(output=output, levels=np.sort(levels.astype(np.int64), axis=1))
        shift = np.maximum(np.log2((4 * deviation + 1) / count), 0).astype(np.int64)
        middle = (output.min + output.max + 1) // 2
        return ShiftRound(output=output, bias=(middle << shift) - mean.astype(np.int64), shift=shift)


def _moments(type_: ActivationType, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of channels of random codes."""
    every = np.ones(channels)
    return every * (type_.min + type_.max) / 2, every * (type_.max - type_.min) / 3.5
