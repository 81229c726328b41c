"""What the network's codes mean in the original: its tensors' values, and real inputs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from sterna.imports.functions import Bend, Step, line_through, run
from sterna.imports.levels import FLOAT32_ERROR, Levels
from sterna.imports.recognize import Quantizer
from sterna.imports.values import Codes
from sterna.net import ActivationType, Network

BIT = ActivationType(1, False)  # of bipolar values that need no 0


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
        """The node's values in the tensor's."""
        flat = values.reshape(len(values), -1)
        return (flat if self.order is None else flat[:, self.order.ravel()]).reshape(len(values), *shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class InputRule:
    """How real inputs become codes: ``steps``, then the quantizer; neither where codes come with a scale alone."""

    steps: tuple[Step, ...] = ()
    quantizer: Quantizer | None = None
    codes: Codes
    rounded: bool = False  # among the steps, as in QuantizeLinear
    order: np.ndarray | None = None  # of the original's input

    def quantize(self, x: np.ndarray, off: int = 0) -> np.ndarray:
        """Codes of real inputs, (batch, ...), int64; ``off`` of -1 or 1 as if float32 had rounded them down or up."""
        assert self.codes.shape is not None
        x = to_own_order(x, self.order, self.codes.shape)
        flat = np.moveaxis(x.astype(np.float64), 1, 0)
        values = flat.reshape(len(flat), -1)
        if self.quantizer is None:
            codes = np.clip(np.rint(values / self.codes.scale), self.codes.low, self.codes.high)
        else:
            before, largest = run(self.steps, values)
            integers = self.quantizer.function(before + off * FLOAT32_ERROR * largest)
            codes = (integers + 1) // 2 if self.codes.type == BIT and self.quantizer.bipolar else integers
        return np.moveaxis(codes.reshape(flat.shape), 0, 1).astype(np.int64)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Real inputs of the original whose codes are about equally frequent, float32, away from where they round."""
        assert self.codes.shape is not None
        drawn = self._draw(rng, (count, *self.codes.shape))
        if self.order is None:
            return drawn
        return drawn.reshape(count, -1)[:, self.order.ravel()].reshape(count, *self.order.shape)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        codes = rng.integers(self.codes.low, self.codes.high + 1, shape)
        reals = self.codes.scale * (codes + rng.uniform(-0.4, 0.4, shape)) + self.codes.offset
        if self.quantizer is None:
            return np.asarray(self.codes.scale * codes, dtype=np.float32)
        straight = list(itertools.takewhile(lambda step: not isinstance(step, Bend), self.steps))
        line = line_through(straight)
        assert line is not None
        if self.rounded:
            reals = reals / self.quantizer.scale
        gain, offset = (part.reshape(-1, *[1] * (len(shape) - 2)) for part in line)
        with np.errstate(all="ignore"):  # the check refuses what is not finite
            return ((reals - offset) / gain).astype(np.float32)


def with_preprocessing(network: Network, rule: InputRule, inputs: np.ndarray) -> tuple[Network, bool]:
    """The network with what stands before the input's quantizer as its own preprocessing, where that is a line.

    Parameters
    ----------
    network : Network
    rule : InputRule
    inputs : float32, (batch, ...)
        Of the original.

    Returns
    -------
    tuple of Network and bool
        The second: whether :meth:`Network.quantize` gives the original's codes for all inputs. A function that is no
        line, or another rounding, is not in the network's rule (docs/arithmetic.md, rule 2).
    """
    line = line_through(rule.steps)
    if line is not None:
        factor = rule.codes.scale if rule.rounded else 1.0  # rounded values are codes already
        gain, offset = (factor * np.ravel(part) for part in line)
        if {gain.size, offset.size} <= {1, network.input_shape[0]}:
            network = network.with_preprocessing(gain, offset)
    codes = network.quantize(to_own_order(inputs, rule.order, network.input_shape))
    return network, bool(np.array_equal(codes, rule.quantize(inputs)))


def to_own_order(tensor: np.ndarray, order: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor's values, (batch, ...), where ``order`` says; (batch, \\*shape)."""
    flat = tensor.reshape(len(tensor), -1)
    if order is None:
        return flat.reshape(len(tensor), *shape)
    own = np.empty_like(flat)
    own[:, order.ravel()] = flat
    return own.reshape(len(tensor), *shape)
