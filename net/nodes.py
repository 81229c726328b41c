"""The kinds of node: what each holds, which inputs it takes, and the shape and the exact range of what it computes.

Shapes are PyTorch's and ONNX's, without the batch: (features,) or (channels, height, width). There is no dilation and
no ceil mode.
"""

from __future__ import annotations

import functools
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sterna.net.checks import check_array, check_elements, check_integer, check_pair, check_size, shown
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.immutable import Immutable
from sterna.net.requantize import INT32_MAX, INT32_MIN, MAX_SHIFT, Requantization, ShiftRound, Thresholds
from sterna.net.types import AccumulatorType, ValueType
from sterna.net.windows import (
    Shape,
    check_pool,
    fewest_and_most_taps,
    pool_shape,
    window_counts,
    window_spans,
    window_sums,
)

Bounds = tuple[np.ndarray, np.ndarray]

INPUT = "input"  # the name by which nodes call the network's input
MAX_ACCUMULATOR = (1 << 62) - 1  # one bit below int64, so that no rule of net/arithmetic.py can overflow
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # names become Verilog instances and parts of tensor names


def check_name(name: object) -> str:
    """The name of a node, if it may be one; :exc:`TypeError` or :exc:`ValueError` otherwise."""
    if not isinstance(name, str):
        raise InvalidTypeError(f"name must be a string, not {shown(name)}")
    if not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"name must be made of letters, digits and underscores, and not start with a digit, not {shown(name)}"
        )
    if name == INPUT:
        raise InvalidValueError("name must not be 'input', which is the network's input")
    return name


@dataclass(frozen=True, kw_only=True, eq=False)
class Node(Immutable, ABC):
    """One operation of a network.

    Parameters
    ----------
    name : :class:`str`
        Letters, digits and underscores, not starting with a digit; unique in the network, and not ``"input"``.
    inputs : tuple of :class:`str`
        Names of the nodes, or ``"input"``, whose outputs it takes; empty for the previous node.
    """

    name: str
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        if not isinstance(self.inputs, (tuple, list)) or not all(isinstance(name, str) for name in self.inputs):
            raise InvalidTypeError(
                f"inputs of node '{self.name}' must be a tuple of node names, not {shown(self.inputs)}"
            )
        self._set("inputs", tuple(self.inputs))
        if len(self.inputs) > 1 and not isinstance(self, Add):
            raise InvalidValueError(f"node '{self.name}' takes one input, not {len(self.inputs)}")

    @abstractmethod
    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Shape of the output for inputs of these shapes; :exc:`ValueError` if the node cannot take them."""

    def resolve(self, inputs: tuple[str, ...], channels: int) -> Node:
        """The same node with its inputs named, and a requantization for the layer spread over its channels."""
        return self if self.inputs == inputs else replace(self, inputs=inputs)

    def _set(self, attribute: str, value: object) -> None:
        object.__setattr__(self, attribute, value)


@dataclass(frozen=True, kw_only=True, eq=False)
class SumNode(Node):
    """A node that computes sums, its accumulators, and may requantize them.

    Parameters
    ----------
    requantize : :class:`Thresholds`, :class:`ShiftRound` or ``None``
        ``None`` gives the accumulators themselves.
    """

    requantize: Requantization | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.requantize is not None and not isinstance(self.requantize, (Thresholds, ShiftRound)):
            raise InvalidTypeError(
                f"requantize of node '{self.name}' must be Thresholds, ShiftRound or None, not {shown(self.requantize)}"
            )

    @abstractmethod
    def channel_bounds(self, shapes: Sequence[Shape], types: Sequence[ValueType]) -> Bounds:
        """Smallest and largest accumulator of each channel, before requantization.

        int64, (channels,) each, or (1,) where they are those of every channel.
        """

    def accumulator(self, bounds: Bounds) -> AccumulatorType:
        """Range over all channels of what is requantized, with ShiftRound's bias and rounding term (rule 6).

        ``bounds`` : as :meth:`channel_bounds` gives them.
        """
        low, high = bounds
        offset = self.requantize.offset if isinstance(self.requantize, ShiftRound) else 0
        return AccumulatorType(int((low + offset).min()), int((high + offset).max()))

    def resolve(self, inputs: tuple[str, ...], channels: int) -> SumNode:
        requantize = self.requantize and self.requantize.for_channels(channels, self.name)
        if self.inputs == inputs and requantize is self.requantize:
            return self
        return replace(self, inputs=inputs, requantize=requantize)


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightNode(SumNode):
    """A node with ternary weights: :class:`Linear` or :class:`Conv2d`. It takes activation codes only.

    Parameters
    ----------
    weights : int8, -1, 0 or +1, (out, ...)
        Any integer dtype is taken; a read-only int8 copy is kept.
    bias : int32, (out,), or ``None``
        Added to the sums. Likewise a read-only copy.
    """

    weights: np.ndarray = field(repr=False)
    bias: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        what = f"weights of node '{self.name}'"
        weights = check_array(self.weights, what, dtype=np.int8, low=-1, high=1, allowed="-1, 0 or +1")
        axes = self._weight_axes()
        if weights.ndim != len(axes) or weights.size == 0:
            raise InvalidValueError(f"{what} must have shape ({', '.join(axes)}), not {weights.shape}")
        check_elements(weights.shape, what)
        self._set("weights", weights)
        if self.bias is not None:
            what = f"bias of node '{self.name}'"
            bias = check_array(self.bias, what, dtype=np.int32, low=INT32_MIN, high=INT32_MAX)
            if bias.shape != (len(weights),):
                raise InvalidValueError(f"{what} must have shape ({len(weights)},), not {bias.shape}")
            self._set("bias", bias)
        if self.requantize is not None:
            self._set("requantize", self.requantize.for_channels(len(weights), self.name))

    @staticmethod
    @abstractmethod
    def _weight_axes() -> tuple[str, ...]: ...

    def _tap_bounds(self, type: ValueType) -> Bounds:
        """Bounds of each tap's sum over the inputs; int64, (out,) or (out, kernel_h, kernel_w)."""
        positive = np.count_nonzero(self.weights > 0, axis=1)
        negative = np.count_nonzero(self.weights < 0, axis=1)
        return positive * type.min - negative * type.max, positive * type.max - negative * type.min

    def _biased(self, low: np.ndarray, high: np.ndarray) -> Bounds:
        return (low, high) if self.bias is None else (low + self.bias, high + self.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(WeightNode):
    """``acc[o] = sum_i weights[o, i] * x[i] + bias[o]`` (rule 3).

    Parameters
    ----------
    weights : int8, -1, 0 or +1, (out, in)
        Zero weights are legal anywhere, whole rows of them too.
    bias : int32, (out,), or ``None``
        Added to the sums.
    name, inputs, requantize
        As in :class:`Node` and :class:`SumNode`.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a value is not as said; the message names the node and the parameter.
    """

    @staticmethod
    def _weight_axes() -> tuple[str, ...]:
        return "out", "in"

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        out, features = self.weights.shape
        if shapes[0] != (features,):
            hint = ": put a Flatten before it" if len(shapes[0]) == 3 else ""
            raise InvalidValueError(f"node '{self.name}' takes inputs of shape ({features},), not {shapes[0]}{hint}")
        return (out,)

    def channel_bounds(self, shapes: Sequence[Shape], types: Sequence[ValueType]) -> Bounds:
        return self._biased(*self._tap_bounds(types[0]))


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv2d(WeightNode):
    """A two-dimensional cross-correlation, as torch's ``conv2d``, padded with code 0 (rule 3).

    Parameters
    ----------
    weights : int8, -1, 0 or +1, (out, in / groups, kernel_h, kernel_w)
        Output channels of one group follow each other.
    stride, padding : (vertical, horizontal), or one integer for both
        Padding is added on both sides.
    groups : :class:`int`
        Divides input and output channels.
    bias : int32, (out,), or ``None``
        Added to the sums.
    name, inputs, requantize
        As in :class:`Node` and :class:`SumNode`.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a value is not as said; the message names the node and the parameter.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("stride", check_pair(self.stride, f"stride of node '{self.name}'", low=1))
        self._set("padding", check_pair(self.padding, f"padding of node '{self.name}'", low=0))
        self._set("groups", check_size(self.groups, f"groups of node '{self.name}'", low=1))
        if len(self.weights) % self.groups:
            raise InvalidValueError(
                f"{self.groups} groups of node '{self.name}' cannot share {len(self.weights)} outputs"
            )

    @staticmethod
    def _weight_axes() -> tuple[str, ...]:
        return "out", "in / groups", "kernel_h", "kernel_w"

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return int(self.weights.shape[2]), int(self.weights.shape[3])

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        out, channels = len(self.weights), self.weights.shape[1] * self.groups
        if len(shapes[0]) != 3 or shapes[0][0] != channels:
            raise InvalidValueError(
                f"node '{self.name}' takes inputs of shape ({channels}, height, width), not {shapes[0]}"
            )
        return (out, *window_counts(self.name, shapes[0], self.kernel, self.stride, self.padding))

    def channel_bounds(self, shapes: Sequence[Shape], types: Sequence[ValueType]) -> Bounds:
        rows, columns = (
            window_spans(*axis) for axis in zip(shapes[0][1:], self.kernel, self.stride, self.padding, strict=True)
        )
        lows, highs = (window_sums(taps, rows, columns) for taps in self._tap_bounds(types[0]))
        low = functools.reduce(np.minimum, (sums.min(axis=1) for sums in lows))
        high = functools.reduce(np.maximum, (sums.max(axis=1) for sums in highs))
        return self._biased(low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool2d(Node):
    """The largest value of each window; padding counts as minus infinity (rule 4).

    Parameters
    ----------
    kernel : (vertical, horizontal), or one integer for both
        Size of the window.
    stride : the same, or ``None`` for the kernel
        Distance between windows.
    padding : the same
        At most half the kernel, so that every window meets the input.
    name, inputs
        As in :class:`Node`.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a value is not as said; the message names the node and the parameter.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for attribute, value in check_pool(self.name, self.kernel, self.stride, self.padding).items():
            self._set(attribute, value)

    @property
    def steps(self) -> tuple[int, int]:
        """``stride``, which is never ``None`` once the node is made."""
        return self.stride or self.kernel

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        return pool_shape(self.name, shapes[0], self.kernel, self.steps, self.padding)


@dataclass(frozen=True, kw_only=True, eq=False)
class SumPool2d(SumNode):
    """The sum of each window; padding counts as code 0 (rule 4). An average without its division.

    Parameters
    ----------
    kernel : (vertical, horizontal), or one integer for both
        Size of the window.
    stride : the same, or ``None`` for the kernel
        Distance between windows.
    padding : the same
        At most half the kernel.
    name, inputs, requantize
        As in :class:`Node` and :class:`SumNode`.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a value is not as said; the message names the node and the parameter.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for attribute, value in check_pool(self.name, self.kernel, self.stride, self.padding).items():
            self._set(attribute, value)

    @property
    def steps(self) -> tuple[int, int]:
        """``stride``, which is never ``None`` once the node is made."""
        return self.stride or self.kernel

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        return pool_shape(self.name, shapes[0], self.kernel, self.steps, self.padding)

    def channel_bounds(self, shapes: Sequence[Shape], types: Sequence[ValueType]) -> Bounds:
        rows, columns = (
            fewest_and_most_taps(*axis)
            for axis in zip(shapes[0][1:], self.kernel, self.steps, self.padding, strict=True)
        )
        counts = [rows[0] * columns[0], rows[1] * columns[1]]
        low = min(count * types[0].min for count in counts)
        high = max(count * types[0].max for count in counts)
        return _uniform_bounds(self.name, low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """(channels, height, width) to (features,), channel-major: (c, y, x) to (c * height + y) * width + x (rule 5)."""

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        return (math.prod(shapes[0]),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(SumNode):
    """``acc = sum_i x_i << shifts[i]`` over inputs of one shape (rule 5).

    Parameters
    ----------
    shifts : tuple of :class:`int`, 0 to 31
        One an input.
    name, inputs, requantize
        As in :class:`Node` and :class:`SumNode`; at least two inputs, always named.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If a value is not as said; the message names the node and the parameter.
    """

    shifts: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        what = f"shifts of node '{self.name}'"
        if not isinstance(self.shifts, (tuple, list)):
            raise InvalidTypeError(f"{what} must be a tuple of integers, not {shown(self.shifts)}")
        self._set("shifts", tuple(check_integer(shift, what, low=0, high=MAX_SHIFT) for shift in self.shifts))
        if len(self.inputs) < 2:
            raise InvalidValueError(f"node '{self.name}' must name at least two inputs, not {len(self.inputs)}")
        if len(self.shifts) != len(self.inputs):
            raise InvalidValueError(
                f"node '{self.name}' must have one shift an input, not {len(self.shifts)} for {len(self.inputs)}"
            )

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        for name, shape in zip(self.inputs, shapes, strict=True):
            if shape != shapes[0]:
                raise InvalidValueError(
                    f"node '{self.name}' adds inputs of one shape, but '{self.inputs[0]}' has {shapes[0]} "
                    f"and '{name}' {shape}"
                )
        return shapes[0]

    def channel_bounds(self, shapes: Sequence[Shape], types: Sequence[ValueType]) -> Bounds:
        low = sum(type.min << shift for type, shift in zip(types, self.shifts, strict=True))
        high = sum(type.max << shift for type, shift in zip(types, self.shifts, strict=True))
        return _uniform_bounds(self.name, low, high)


def _uniform_bounds(name: str, low: int, high: int) -> Bounds:
    if low < -MAX_ACCUMULATOR or high > MAX_ACCUMULATOR:
        raise InvalidValueError(f"accumulators of node '{name}' must stay below 2^62, not reach from {low} to {high}")
    return np.array([low], dtype=np.int64), np.array([high], dtype=np.int64)
