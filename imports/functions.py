"""What stands between a weight layer and the next quantizer, as functions of a channel's value.

Values have shape (channels, samples); constants are one for all channels, or one a channel as a column. In float64 they
give the function that is folded; in float32 what the original graph would compute, up to the order of its sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

Line = tuple[np.ndarray, np.ndarray]  # gain and offset of each channel, or of all


class Step(ABC):
    """One function, element by element."""

    @abstractmethod
    def apply(self, x: np.ndarray) -> np.ndarray:
        """Its values, in the precision of ``x``."""

    def after(self, line: Line) -> Line | None:
        """The straight line that it makes of one; ``None`` where it bends it."""
        return None

    def magnitude(self, largest: np.ndarray) -> np.ndarray:
        """What a magnitude before it is behind it; what it adds, included."""
        return largest


@dataclass(frozen=True, kw_only=True, eq=False)
class Multiply(Step):
    """``x * factor``."""

    factor: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x * self.factor.astype(x.dtype)

    def after(self, line: Line) -> Line:
        factor = self.factor.astype(np.float64)
        return line[0] * factor, line[1] * factor

    def magnitude(self, largest: np.ndarray) -> np.ndarray:
        return largest * np.abs(self.factor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Divide(Step):
    """``x / divisor``."""

    divisor: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x / self.divisor.astype(x.dtype)

    def after(self, line: Line) -> Line:
        divisor = self.divisor.astype(np.float64)
        return line[0] / divisor, line[1] / divisor

    def magnitude(self, largest: np.ndarray) -> np.ndarray:
        return largest / np.abs(self.divisor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plus(Step):
    """``x + term``."""

    term: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x + self.term.astype(x.dtype)

    def after(self, line: Line) -> Line:
        return line[0], line[1] + self.term.astype(np.float64)

    def magnitude(self, largest: np.ndarray) -> np.ndarray:
        return np.maximum(largest, np.abs(self.term))


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalize(Step):
    """A batch normalization: ``x * scale + (offset - mean * scale)``, ``scale = gain / sqrt(variance + epsilon)``."""

    gain: np.ndarray
    offset: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float

    def _scale_and_offset(self, dtype: np.dtype) -> Line:
        gain, offset, mean, variance = (
            values.astype(dtype) for values in (self.gain, self.offset, self.mean, self.variance)
        )
        scale = gain / np.sqrt(variance + dtype.type(self.epsilon))
        return scale, offset - mean * scale

    def apply(self, x: np.ndarray) -> np.ndarray:
        scale, offset = self._scale_and_offset(x.dtype)
        return x * scale + offset

    def after(self, line: Line) -> Line:
        scale, offset = self._scale_and_offset(np.dtype(np.float64))
        return line[0] * scale, line[1] * scale + offset

    def magnitude(self, largest: np.ndarray) -> np.ndarray:
        scale, _ = self._scale_and_offset(np.dtype(np.float64))
        return np.maximum(np.maximum(largest, np.abs(self.mean)) * np.abs(scale), np.abs(self.offset))


@dataclass(frozen=True, kw_only=True, eq=False)
class Bend(Step):
    """A function that is no straight line, such as a Relu.

    Parameters
    ----------
    function : callable
    passes : bool
        Whether it leaves values as they are over some range, as a Relu does, but for a rounding.
    """

    function: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    passes: bool = False

    def apply(self, x: np.ndarray) -> np.ndarray:
        return self.function(x).astype(x.dtype)


def clip(low: float, high: float) -> Bend:
    """``min(max(x, low), high)``."""
    return Bend(function=lambda x: np.clip(x, x.dtype.type(low), x.dtype.type(high)), passes=True)


#: Functions without parameters that may stand before a quantizer.
BENDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "Softplus": lambda x: np.logaddexp(x, np.zeros_like(x)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sign": np.sign,
    "Abs": np.abs,
}


#: Those of them that leave values as they are over some range, but for a rounding.
PASSING = {"Round"}


def line_through(steps: Sequence[Step]) -> Line | None:
    """Gain and offset of all steps together, float64; ``None`` where they are no straight line."""
    line: Line | None = (np.ones(1), np.zeros(1))
    for step in steps:
        line = step.after(line) if line else None
    return line


def straight(steps: Sequence[Step]) -> Line | None:
    """The line that all steps are where none of them bends; ``None`` if one is curved everywhere."""
    return line_through([step for step in steps if not (isinstance(step, Bend) and step.passes)])


def run(steps: Sequence[Step], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The steps' values, and what float32 rounds by: the largest magnitude on each one's way, as it is at the end."""
    largest = np.abs(x)
    with np.errstate(all="ignore"):
        for step in steps:
            x, largest = step.apply(x), step.magnitude(largest)
            largest = np.maximum(largest, np.abs(x))
    return x, largest
