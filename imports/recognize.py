"""Quantizers of activations, told from their nodes: which integers they give, and what one of them is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sterna.imports.errors import NodeRefused
from sterna.imports.graph import GraphNode
from sterna.imports.quantizers import rounding
from sterna.net import ActivationType

MOST_BITS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantizer:
    """A quantizer of activations: real values to integers, each worth ``scale``.

    Parameters
    ----------
    scale : float
        Positive: the real value of 1.
    low, high : int
        Smallest and largest integer.
    function : callable
        From real values, (channels, samples), to integers in the same float type.
    bipolar : bool
        Whether it gives -1 and 1 alone.
    channels : int or None
        How many channels it is made for; ``None`` for any.
    """

    scale: float
    low: int
    high: int
    function: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    bipolar: bool = False
    channels: int | None = None

    @property
    def type(self) -> ActivationType:
        """The narrowest type that holds all its integers."""
        return type_for(self.low, self.high)


def type_for(low: int, high: int) -> ActivationType:
    """The narrowest activation type that holds ``low`` to ``high`` and 0; refused where it has more than 8 bits."""
    signed = low < 0
    width = max(1, high.bit_length() + signed, (-low - 1).bit_length() + 1 if signed else 0)
    if width > MOST_BITS:
        raise NodeRefused(f"integers from {low} to {high} need {width} bits, and activations have at most {MOST_BITS}")
    return ActivationType(width, signed)


def recognize(node: GraphNode, constants: list[np.ndarray], whole: tuple[int, int] | None) -> Quantizer:
    """The quantizer of a node.

    Parameters
    ----------
    node : GraphNode
    constants : list of array
        Its inputs but the first; thresholds by the channels of the network's node.
    whole : (low, high) or None
        Range of what is integers already, behind a ``QuantizeLinear``.

    Raises
    ------
    NodeRefused
        If its integers have more than 8 bits, or its parameters differ between channels.
    """
    match node.operator:
        case "Quant" | "IntQuant":
            return _quant(node, constants)
        case "BipolarQuant":
            return _signs(_one(constants[0], "scale"))
        case "Trunc":
            return _trunc(node, constants)
        case "MultiThreshold":
            return _thresholds(node, constants)
    if whole is None:
        raise NodeRefused("a DequantizeLinear must follow a QuantizeLinear")
    zero = int(_one(constants[1], "zero point")) if len(constants) > 1 else 0
    if whole[0] > whole[1]:
        raise NodeRefused(f"no integer lies between the limits {whole[0]} and {whole[1]} before it")
    scale = _positive(constants[0])
    return Quantizer(scale=scale, low=whole[0] - zero, high=whole[1] - zero, function=lambda x: x - x.dtype.type(zero))


def _one(values: np.ndarray, what: str) -> float:
    """The number that all values are."""
    found = np.unique(values)
    if found.dtype.kind not in "fiu" or found.size != 1 or not np.isfinite(found).all():
        raise NodeRefused(f"its {what} must be one finite number for the tensor: train activations with one {what}")
    return float(found[0])


def _positive(values: np.ndarray) -> float:
    scale = _one(values, "scale")
    if scale <= 0:
        raise NodeRefused(f"its scale must be positive, not {scale:g}")
    return scale


def _integer(values: np.ndarray, what: str) -> int:
    number = _one(values, what)
    if number != round(number) or abs(number) > 1 << 16:
        raise NodeRefused(f"its {what} must be an integer, not {number:g}")
    return int(number)


def _quant(node: GraphNode, constants: list[np.ndarray]) -> Quantizer:
    zero, bits = _integer(constants[1], "zero point"), _integer(constants[2], "bit width")
    signed, narrow = bool(node.integer("signed", 1)), bool(node.integer("narrow", 0))
    if bits < 1 or bits > 2 * MOST_BITS:
        raise NodeRefused(f"its bit width is {bits}, and activations have 1 to {MOST_BITS}")
    if signed and bits == 1:
        if zero:
            raise NodeRefused("a bipolar quantizer with a zero point is not understood")
        return _signs(_one(constants[0], "scale"))
    scale = _positive(constants[0])
    low = -(1 << bits - 1) + narrow if signed else 0
    high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1 - narrow
    to_integers = rounding(node, "ROUND")

    def function(x: np.ndarray) -> np.ndarray:
        one = x.dtype.type
        return to_integers(np.clip(x / one(scale) + one(zero), one(low), one(high))) - one(zero)

    return Quantizer(scale=scale, low=low - zero, high=high - zero, function=function)


def _signs(scale: float) -> Quantizer:
    if scale == 0:
        raise NodeRefused("its scale must not be 0")
    up = 1 if scale > 0 else -1

    def function(x: np.ndarray) -> np.ndarray:
        return np.where(x >= 0, x.dtype.type(up), x.dtype.type(-up))

    return Quantizer(scale=abs(scale), low=-1, high=1, bipolar=True, function=function)


def _trunc(node: GraphNode, constants: list[np.ndarray]) -> Quantizer:
    """Both versions; what the first gives has no sign of its own, and keeps the input's scale."""
    scale, in_bits = _positive(constants[0]), _integer(constants[2], "bit width")
    if _integer(constants[1], "zero point"):
        raise NodeRefused("a Trunc with a zero point is not understood")
    if len(constants) == 4:
        bits, out_scale = _integer(constants[3], "bit width"), scale
        power, signed, narrow = in_bits - bits, True, False
    else:
        bits, out_scale = _integer(constants[4], "bit width"), _positive(constants[3])
        power = round(np.log2(out_scale / scale))
        signed, narrow = bool(node.integer("signed", 1)), bool(node.integer("narrow", 0))
    if not 1 <= bits <= MOST_BITS or abs(power) > 2 * MOST_BITS:
        raise NodeRefused(f"from {in_bits} to {bits} bits it is not understood: activations have 1 to {MOST_BITS}")
    to_integers = rounding(node, "FLOOR")
    low = -(1 << bits - 1) + narrow if signed else 0
    high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1 - narrow
    bounded = len(constants) > 4

    def function(x: np.ndarray) -> np.ndarray:
        one = x.dtype.type
        y = np.rint(x / one(scale)) / one(2.0**power)
        return to_integers(np.clip(y, one(low), one(high)) if bounded else y)

    if not bounded:  # any sign: the integers that come decide
        low, high = -(1 << bits - 1), (1 << bits) - 1
    return Quantizer(scale=out_scale, low=low, high=high, function=function)


def _thresholds(node: GraphNode, constants: list[np.ndarray]) -> Quantizer:
    levels = constants[0]
    if levels.ndim != 2 or not np.isfinite(levels).all() or not levels.shape[1]:
        raise NodeRefused(f"its thresholds must be finite, (channels, steps), not {levels.shape}")
    factor, first = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    if factor <= 0:
        raise NodeRefused(f"its out_scale must be positive, not {factor:g}")
    scale, start, step = factor, first / factor, 1
    if levels.shape[1] == 1 and first == -factor / 2:
        scale, start, step = factor / 2, -1, 2
    if start != round(start):
        raise NodeRefused(f"its out_bias {first:g} must be a multiple of its out_scale {factor:g}")
    low, high = int(start), int(start) + step * levels.shape[1]

    def function(x: np.ndarray) -> np.ndarray:
        ours = levels.astype(x.dtype)
        count = np.zeros(x.shape, dtype=x.dtype)
        for k in range(levels.shape[1]):
            count += x >= ours[:, k : k + 1]
        return count * x.dtype.type(step) + x.dtype.type(low)

    channels = len(levels) if len(levels) > 1 else None
    return Quantizer(scale=scale, low=low, high=high, function=function, bipolar=step == 2, channels=channels)
