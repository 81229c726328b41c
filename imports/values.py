"""What a tensor of the original graph is, while the graph is folded: codes, or a function of an exact sum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Step, line_through
from sterna.imports.order import PADDED, is_flat
from sterna.imports.recognize import Integers
from sterna.net import ActivationType, Node, SumNode
from sterna.net.nodes import Bounds, Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """The codes of a node of the network: real values are ``scale * code + offset``.

    Parameters
    ----------
    node : str or None
        Name of the node, or ``"input"``; ``None`` behind what is refused.
    type : ActivationType
    shape : tuple of int, or None behind what is refused
    scale, offset : float
        ``offset`` is -scale / 2 for bipolar values, whose codes are 0 and 1; else mostly 0.
    low, high : int
        Smallest and largest code that comes.
    order : int64 or None
        Of the original's tensor, without the batch: the index of each of its values among the node's, flattened, or
        :data:`~sterna.imports.order.PADDED` for a value that is 0 and none of the node's. ``None`` where the tensor has
        the node's own shape and order.
    """

    node: str | None
    type: ActivationType
    shape: Shape | None
    scale: float
    offset: float
    low: int
    high: int
    order: np.ndarray | None = None

    def reals(self) -> np.ndarray:
        """What its codes are worth, from low to high, float64."""
        return np.arange(self.low, self.high + 1) * np.float64(self.scale) + self.offset


@dataclass(frozen=True, kw_only=True, eq=False)
class Reals:
    """The input before it is quantized."""

    shape: Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """A node of the network that is not made yet, and its sums.

    Parameters
    ----------
    node : SumNode
        Without requantization.
    label : str
        The original node, for messages.
    bounds : (low, high), or None behind what is refused
        Of its accumulators, int64, (channels,) each.
    slack : float
        By how much of an accumulator's step the float32 sum of the original may be off; 0 where it is exact.
    """

    node: SumNode
    label: str
    bounds: Bounds | None
    slack: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Lost:
    """What a refused node would have given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pending:
    """A function of sums, codes or the input, which a quantizer may end.

    Parameters
    ----------
    source : Sums, Codes, Reals or Lost
    shape : tuple of int, or None behind what is refused
    steps : tuple of Step or Node
        Functions of each value, and pools that are to stand behind the quantizer.
    whole : Integers or None
        What a ``QuantizeLinear`` made of the values, which the steps give before it.
    order : int64 or None
        As of :class:`Codes`.
    """

    source: Sums | Codes | Reals | Lost
    shape: Shape | None
    steps: tuple[Step | Node, ...] = ()
    whole: Integers | None = None
    order: np.ndarray | None = None

    def then(self, *steps: Step | Node, shape: Shape | None = None) -> Pending:
        """With more steps."""
        return replace(self, steps=(*self.steps, *steps), shape=shape or self.shape)

    @property
    def functions(self) -> tuple[Step, ...]:
        """The steps that are functions."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    @property
    def moved(self) -> tuple[Node, ...]:
        """The steps that are nodes."""
        return tuple(step for step in self.steps if isinstance(step, Node))


Value = Codes | Pending


def pending(value: Value) -> Pending:
    """A value that steps can be put behind."""
    return value if isinstance(value, Pending) else Pending(source=value, shape=value.shape, order=value.order)


def view(value: Value) -> tuple[int, ...]:
    """The shape of the original's tensor, without the batch; refused behind what is refused."""
    if value.shape is None:
        raise NodeRefused("")
    return value.shape if value.order is None else value.order.shape


def reordered(value: Value, change: Callable[[np.ndarray], np.ndarray]) -> Value:
    """A value whose tensor has another shape or order: ``change`` makes it of what stands for a batch of one."""
    before = value.order
    if before is None:
        shape = view(value)
        before = np.arange(math.prod(shape)).reshape(shape)
    order = change(before[None])
    if order.shape[:1] != (1,) or order.size != before.size or not order.size:
        raise NodeRefused("it moves values between the inputs of a batch")
    order = order[0]
    same = order.shape == value.shape and np.array_equal(order.ravel(), np.arange(order.size))
    return replace(value, order=None if same else order)


def in_own_order(value: Value) -> Value:
    """Refuses values that stand in another order than a node of the network has."""
    if value.order is None:
        return value
    if (value.order == PADDED).any():
        raise NodeRefused("a Pad is before it, and only convolutions take its zeros: give the padding to this node")
    if is_flat(value.order):
        raise NodeRefused(
            f"its inputs are {view(value)}, reshaped from {value.shape}, and a network's maps keep their shape: leave "
            "out the Reshape"
        )
    raise NodeRefused(f"its inputs are {view(value)} in another order: convert the model to channels first")


def padded(value: Value, pads: tuple[int, ...]) -> Value:
    """A value whose tensor has zeros around it: ``pads`` before each axis, the batch first, then behind each."""
    axes = len(view(value)) + 1
    if len(pads) != 2 * axes or min(pads) < 0 or pads[0] or pads[axes]:
        raise NodeRefused(f"its pads {list(pads)} do not go with values of {view(value)}, or cut or pad the batch")
    before = value.order
    if before is None:
        before = np.arange(math.prod(view(value))).reshape(view(value))
    sides = [(pads[axis], pads[axis + axes]) for axis in range(1, axes)]
    return replace(value, order=np.pad(before, sides, constant_values=PADDED))


def without_pads(value: Value) -> tuple[Value, tuple[int, int, int, int]]:
    """A map without the zeros around it, and how many there are: top, left, bottom, right."""
    order = value.order
    if order is None or order.ndim != 3 or not (order == PADDED).any():
        return value, (0, 0, 0, 0)
    real = np.argwhere(order[0] != PADDED)
    if not len(real):
        return value, (0, 0, 0, 0)
    (top, left), (bottom, right) = real.min(axis=0), real.max(axis=0) + 1
    inner = replace(value, order=order[:, top:bottom, left:right])
    pads = int(top), int(left), int(order.shape[1] - bottom), int(order.shape[2] - right)
    return reordered(inner, lambda same: same), pads


def as_codes(value: Value) -> Codes:
    """The codes that a weight layer, a pool or an addition takes; steps that are a straight line become their scale.

    Raises
    ------
    NodeRefused
        If the values are no codes.
    """
    if isinstance(value, Codes):
        return value
    if value.whole is not None:
        raise NodeRefused("its inputs are integers of a QuantizeLinear: put a DequantizeLinear before it")
    if isinstance(value.source, Codes) and not value.moved:
        line = line_through(value.functions)
        if line and all(part.size == 1 for part in line):
            gain, offset = (float(part.ravel()[0]) for part in line)
            codes = value.source
            if not gain:
                raise NodeRefused("its inputs are multiplied by 0, so that nothing is left of them")
            return replace(codes, scale=codes.scale * gain, offset=codes.offset * gain + offset, order=value.order)
        if line:
            raise NodeRefused("its inputs are scaled differently in each channel; scale them alike, or quantize again")
    if isinstance(value.source, Lost):
        raise NodeRefused("")
    if isinstance(value.source, Reals):
        raise NodeRefused("the model does not quantize its input: give --input-type and --input-scale")
    if isinstance(value.source, Codes) and not value.moved:
        raise NodeRefused(
            "what stands behind the quantizer of its inputs makes other values than its codes: quantize again, or clip "
            "at a multiple of the scale"
        )
    raise NodeRefused("its inputs are not quantized: put a quantizer before it")
