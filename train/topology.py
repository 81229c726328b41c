"""The notation of topologies that papers use, such as 20C5-MP2-50C5-MP2-500, read into layers.

=========  =============================================================================================
``256``    fully connected, 256 features
``20C5``   convolution, 20 channels, 5 x 5, without padding; ``64C3s2p1`` with stride 2 and padding 1
``MP2``    largest of 2 x 2, stride 2
``AP8``    sum of 8 x 8, stride 8, rounded to 8 bits: an average without its division
``R16``    residual block: two 3 x 3 convolutions of 16 channels, padding 1, and a shortcut; ``R32s2`` with stride 2
=========  =============================================================================================

The classes follow by themselves, and so does the flattening before the first fully connected layer.
"""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass

from sterna.net.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Fully connected."""

    outputs: int


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution with a square kernel."""

    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """Largest of each window."""

    kernel: int


@dataclass(frozen=True, kw_only=True)
class AveragePool:
    """Rounded sum of each window."""

    kernel: int


@dataclass(frozen=True, kw_only=True)
class Residual:
    """Two convolutions and a shortcut."""

    outputs: int
    stride: int = 1


Layer = Dense | Conv | MaxPool | AveragePool | Residual

_LARGEST = 1 << 16  # of every number in a topology
_MOST_LAYERS = 1000

_FORMS: tuple[tuple[re.Pattern[str], type[Layer]], ...] = (
    (re.compile(r"(?P<outputs>[0-9]+)"), Dense),
    (re.compile(r"(?P<outputs>[0-9]+)C(?P<kernel>[0-9]+)(s(?P<stride>[0-9]+))?(p(?P<padding>[0-9]+))?"), Conv),
    (re.compile(r"MP(?P<kernel>[0-9]+)"), MaxPool),
    (re.compile(r"AP(?P<kernel>[0-9]+)"), AveragePool),
    (re.compile(r"R(?P<outputs>[0-9]+)(s(?P<stride>[0-9]+))?"), Residual),
)


def parse_topology(text: str) -> tuple[Layer, ...]:
    """The layers of a topology, without the classes; none for an empty text.

    Raises
    ------
    ValueError
        Naming the part that is none of the forms above, is too large, or comes where it cannot.
    """
    parts = [part.strip() for part in text.split("-")] if text.strip() else []
    if len(parts) > _MOST_LAYERS:
        raise InvalidValueError(f"topology: at most {_MOST_LAYERS} layers, not {len(parts)}")
    layers = tuple(_parse(part) for part in parts)
    dense = False
    for part, layer in zip(parts, layers, strict=True):
        if dense and not isinstance(layer, Dense):
            raise InvalidValueError(f"topology: {part} cannot follow a fully connected layer")
        dense = isinstance(layer, Dense)
    return layers


def _parse(part: str) -> Layer:
    for pattern, kind in _FORMS:
        if match := pattern.fullmatch(part):
            return kind(**{name: _number(name, text, part) for name, text in match.groupdict().items() if text})
    raise InvalidValueError(f"topology: {reprlib.repr(part)} is none of 256, 20C5, 64C3s2p1, MP2, AP8, R16, R32s2")


def _number(name: str, digits: str, part: str) -> int:
    digits = digits.lstrip("0") or "0"
    if len(digits) > len(str(_LARGEST)) or int(digits) > _LARGEST:
        raise InvalidValueError(f"topology: {name} of {reprlib.repr(part)[1:-1]} must be at most {_LARGEST}")
    if int(digits) < 1 and name != "padding":
        raise InvalidValueError(f"topology: {name} of {part} must be positive")
    return int(digits)
