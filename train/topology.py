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

_FORMS: tuple[tuple[re.Pattern[str], type[Layer]], ...] = (
    (re.compile(r"(?P<outputs>\d+)"), Dense),
    (re.compile(r"(?P<outputs>\d+)C(?P<kernel>\d+)(s(?P<stride>\d+))?(p(?P<padding>\d+))?"), Conv),
    (re.compile(r"MP(?P<kernel>\d+)"), MaxPool),
    (re.compile(r"AP(?P<kernel>\d+)"), AveragePool),
    (re.compile(r"R(?P<outputs>\d+)(s(?P<stride>\d+))?"), Residual),
)


def parse_topology(text: str) -> tuple[Layer, ...]:
    """The layers of a topology, without the classes; none for an empty text.

    Raises
    ------
    ValueError
        Naming the part that is none of the forms above, or comes where it cannot.
    """
    parts = [part.strip() for part in text.split("-")] if text.strip() else []
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
            values = {name: int(value) for name, value in match.groupdict().items() if value is not None}
            for name, value in values.items():
                if value < 1 and name != "padding":
                    raise InvalidValueError(f"topology: {name} of {part} must be positive")
            return kind(**values)
    raise InvalidValueError(f"topology: {part!r} is none of 256, 20C5, 64C3s2p1, MP2, AP8, R16, R32s2")
