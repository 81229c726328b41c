"""What the network's codes mean in the original: its tensors' values, and real inputs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from sterna.imports.functions import Bend, Line, Step, line_through, run, straight
from sterna.imports.levels import FLOAT32_ERROR, Levels
from sterna.imports.order import PADDED, to_own_order
from sterna.imports.recognize import Quantizer
from sterna.imports.values import Codes
from sterna.net import ActivationType

BIT = ActivationType(1, False)  # of bipolar values that need no 0
_BEYOND = 2.0**20  # of a code's step: beyond the range of every type
_BETWEEN = np.sort([*np.arange(16) / 16, 0.5 - 1 / 64, 0.5 + 1 / 64])  # of a code's step: where a grid looks


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """A tensor of the original graph, and the node of the network whose codes it must have.

    Parameters
    ----------
    tensor, node : str
    scale, offset : float64, (1,) or (channels,)
        Real values are ``scale * code + offset``.
    folded : str or None
        The node whose levels ties may move; ``None`` without levels.
    levels : Levels or None
    order : int64 or None
        As of :class:`~sterna.imports.values.Codes`.
    """

    tensor: str
    node: str
    scale: np.ndarray
    offset: np.ndarray
    folded: str | None = None
    levels: Levels | None = None
    order: np.ndarray | None = None

    def to_ours(self, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The tensor's values, (batch, ...), in the node's shape and order, (batch, \\*shape)."""
        return to_own_order(tensor, self.order, shape)

    def to_theirs(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The node's values in the tensor's; where it is padded, code 0's."""
        flat = values.reshape(len(values), -1)
        if self.order is None:
            return flat.reshape(len(values), *shape)
        places = self.order.ravel()
        theirs = flat[:, places]
        theirs[:, places == PADDED] = self.offset[0]
        return theirs.reshape(len(values), *shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class InputRule:
    """How real inputs become codes: ``steps``, then the quantizer; neither where codes come with a scale alone."""

    steps: tuple[Step, ...] = ()
    quantizer: Quantizer | None = None
    codes: Codes
    order: np.ndarray | None = None  # of the original's input

    def quantize(self, x: np.ndarray, off: int = 0) -> np.ndarray:
        """Codes of real inputs, (batch, ...), int64; ``off`` of -1 or 1 as if float32 had rounded them down or up."""
        assert self.codes.shape is not None
        x = to_own_order(x, self.order, self.codes.shape)
        flat = np.moveaxis(x.astype(np.float64), 1, 0)
        codes = self.by_channel(flat.reshape(len(flat), -1), off)
        return np.moveaxis(codes.reshape(flat.shape), 0, 1).astype(np.int64)

    def by_channel(self, values: np.ndarray, off: int = 0) -> np.ndarray:
        """The same of real values as float64, (channels, samples); codes as floats."""
        if self.quantizer is None:
            codes = np.rint((values - self.codes.offset) / self.codes.scale)
            return np.clip(codes, self.codes.low, self.codes.high)
        before, largest = run(self.steps, values)
        integers = self.quantizer.function(before + off * FLOAT32_ERROR * largest)
        return (integers + 1) // 2 if self.codes.type == BIT and self.quantizer.bipolar else integers

    def line(self) -> Line | None:
        """Gain and offset, (1, 1) or (channels, 1) each, that make real values of a code's of inputs, but for ties.

        ``None`` if there is no such line. Of a bipolar quantizer, the sign decides.
        """
        if self.quantizer is None:
            return np.ones((1, 1)), np.zeros((1, 1))
        before, last = straight(self.steps), self.quantizer.line
        if before is None or last is None:
            return None
        gain, offset = (np.atleast_2d(part) for part in before)
        return gain * last[0], offset * last[0] + last[1]

    def grid(self, line: Line) -> np.ndarray:
        """Real inputs at every code, at every tie and between, and beyond both ends: float32, (channels, samples)."""
        codes = np.arange(self.codes.low - 2, self.codes.high + 3)
        steps = np.concatenate([(codes[:, None] + _BETWEEN).ravel(), [-_BEYOND, _BEYOND]])
        gain, offset = line
        with np.errstate(all="ignore"):  # a gain of 0 gives one code
            reals = (steps * self.codes.scale + self.codes.offset - offset) / np.where(gain == 0, 1, gain)
        return np.nan_to_num(reals.astype(np.float32))

    def reached(self) -> tuple[int, int]:
        """The smallest and largest code that real inputs become: a Relu before the quantizer leaves some out."""
        codes, line = self.codes, self.line()
        if line is None or self.quantizer is None or self.quantizer.bipolar:
            return codes.low, codes.high
        channels = self.quantizer.channels or len(line[0])
        reals = self.grid(line)[:, -2:].astype(np.float64)  # beyond both ends: what is a line rises or falls
        found = self.by_channel(np.broadcast_to(reals, (max(channels, len(reals)), reals.shape[1])))
        if not np.isfinite(found).all() or found.min() >= found.max():
            return codes.low, codes.high
        return max(codes.low, int(found.min())), min(codes.high, int(found.max()))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Real inputs of the original whose codes are about equally frequent, float32, away from where they round."""
        assert self.codes.shape is not None
        drawn = self._draw(rng, (count, *self.codes.shape))
        if self.order is None:
            return drawn
        return drawn.reshape(count, -1)[:, self.order.ravel()].reshape(count, *self.order.shape)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        codes = rng.integers(self.codes.low, self.codes.high + 1, shape)
        if self.quantizer is None:
            return np.asarray(self.codes.scale * codes + self.codes.offset, dtype=np.float32)
        reals = self.codes.scale * (codes + rng.uniform(-0.4, 0.4, shape)) + self.codes.offset
        line = self.line() or line_through(list(itertools.takewhile(lambda s: not isinstance(s, Bend), self.steps)))
        assert line is not None
        gain, offset = (part.reshape(-1, *[1] * (len(shape) - 2)) for part in line)
        with np.errstate(all="ignore"):  # the check refuses what is not finite
            return ((reals - offset) / np.where(gain == 0, 1, gain)).astype(np.float32)
