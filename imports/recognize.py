"""Quantizers of activations, told from their nodes: which integers they give, and what one of them is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto

from sterna.imports.errors import NodeRefused
from sterna.imports.functions import Line
from sterna.imports.node import GraphNode
from sterna.net import ActivationType
from sterna.net.checks import shown

MOST_BITS = 8
#: Ranges of what a ``QuantizeLinear`` without a zero point may store.
_STORED: dict[int, tuple[int, int]] = {
    TensorProto.UINT8: (0, 255),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT16: (0, 65535),
    TensorProto.INT16: (-32768, 32767),
}
#: QONNX's rounding modes; written anew, since what judges (quantizers.py) must not share a mistake made here.
_ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.where(x > 0, np.ceil(x), np.floor(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.where(x > 0, np.floor(x + x.dtype.type(0.5)), np.ceil(x - x.dtype.type(0.5))),
    "HALF_DOWN": lambda x: np.where(x > 0, np.ceil(x - x.dtype.type(0.5)), np.floor(x + x.dtype.type(0.5))),
}


@dataclass(frozen=True, kw_only=True)
class Integers:
    """What a ``QuantizeLinear`` makes of real values: integers ``clip(round(x / scale) + zero, low, high)``."""

    scale: float
    zero: int
    low: int
    high: int


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
    line : (gain, offset), (1, 1) or (channels, 1) each, or None
        ``x * gain + offset`` rounds to its integers' real values, but for ties; of a bipolar one, its sign decides.
        ``None`` where its steps are not even.
    """

    scale: float
    low: int
    high: int
    function: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    bipolar: bool = False
    channels: int | None = None
    line: Line | None = (np.ones((1, 1)), np.zeros((1, 1)))

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


def recognize(node: GraphNode, constants: list[np.ndarray], whole: Integers | None) -> Quantizer:
    """The quantizer of a node.

    Parameters
    ----------
    node : GraphNode
    constants : list of array
        Its inputs but the first; thresholds by the channels of the network's node.
    whole : Integers or None
        What a ``QuantizeLinear`` before it makes.

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
    return _dequantized(constants, whole)


def _dequantized(constants: list[np.ndarray], whole: Integers) -> Quantizer:
    """A ``QuantizeLinear`` and its ``DequantizeLinear`` together."""
    zero = int(_one(constants[1], "zero point")) if len(constants) > 1 else 0
    if whole.low > whole.high:
        raise NodeRefused(f"no integer lies between the limits {whole.low} and {whole.high} before it")
    scale = _positive(constants[0])

    def function(x: np.ndarray) -> np.ndarray:
        one = x.dtype.type
        integers = np.rint(x / one(whole.scale)) + one(whole.zero)
        return np.clip(integers, one(whole.low), one(whole.high)) - one(zero)

    line = np.array([[scale / whole.scale]]), np.array([[scale * (whole.zero - zero)]])
    return Quantizer(scale=scale, low=whole.low - zero, high=whole.high - zero, function=function, line=line)


def integers(node: GraphNode, constants: list[np.ndarray]) -> Integers:
    """What a ``QuantizeLinear`` makes; without a zero point its type is that of ``output_dtype``, or unsigned 8 bits.

    Raises
    ------
    NodeRefused
        If its scale is no positive number for the tensor, or its type none of 8 or 16 bits.
    """
    if len(constants) > 1:
        start = constants[1]
        if start.size != 1 or start.dtype not in ("u1", "i1", "u2", "i2"):
            raise NodeRefused("its zero point must be one integer of 8 or 16 bits for the tensor")
        limits = np.iinfo(start.dtype)
        low, high, zero = int(limits.min), int(limits.max), int(start.ravel()[0])
    else:
        type = node.integer("output_dtype", 0) or TensorProto.UINT8
        if type not in _STORED:
            raise NodeRefused(f"output_dtype {type} is not understood: quantize to 8 or 16 bits")
        (low, high), zero = _STORED[type], 0
    return Integers(scale=_positive(constants[0]), zero=zero, low=low, high=high)


def rounding(node: GraphNode, default: str) -> Callable[[np.ndarray], np.ndarray]:
    """The rounding that a node names; refused if there is no such."""
    mode = node.text("rounding_mode", default).upper()
    if mode not in _ROUNDINGS:
        raise NodeRefused(f"rounding mode {shown(mode)} is not understood; known are {', '.join(_ROUNDINGS)}")
    return _ROUNDINGS[mode]


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

    line = np.array([[float(up)]]), np.zeros((1, 1))
    return Quantizer(scale=abs(scale), low=-1, high=1, bipolar=True, function=function, line=line)


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
    return Quantizer(scale=out_scale, low=low, high=high, function=function, line=None)  # it rounds twice


def _thresholds(node: GraphNode, constants: list[np.ndarray]) -> Quantizer:
    levels = constants[0]
    if levels.ndim != 2 or not np.isfinite(levels).all() or not levels.shape[1]:
        raise NodeRefused(f"its thresholds must be finite, (channels, steps), not {levels.shape}")
    factor, first = node.number("out_scale", 1.0), node.number("out_bias", 0.0)
    if not (np.isfinite([factor, first]).all() and factor > 0 and abs(first) < factor * 2.0**16):
        raise NodeRefused(f"its out_scale must be positive, its out_bias one of its codes, not {factor:g}, {first:g}")
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
    return Quantizer(
        scale=scale, low=low, high=high, function=function, bipolar=step == 2, channels=channels,
        line=_through(levels.astype(np.float64), scale, low, bipolar=step == 2),
    )  # fmt: skip


def _through(levels: np.ndarray, scale: float, low: int, *, bipolar: bool) -> Line | None:
    """The line through thresholds, (channels, steps), whose spacing is even: it is half-way where they are."""
    first, steps = levels[:, :1], levels.shape[1]
    if bipolar:
        return np.ones((1, 1)), -first
    spacing = (levels[:, -1:] - first) / (steps - 1) if steps > 1 else np.full_like(first, scale)
    if not (spacing > 0).all():
        return None
    return scale / spacing, scale * (low + 0.5 - first / spacing)
