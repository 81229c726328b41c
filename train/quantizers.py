"""Quantizers with state, as modules around the straight-through functions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from enum import Enum
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sterna.net.errors import InvalidValueError
from sterna.train import functional, straight_through


class ThresholdBasis(Enum):
    """What a threshold factor t is relative to: threshold = t * basis of |W|."""

    MEAN = "mean"
    MAX = "max"


class WeightQuantizer(nn.Module, ABC):
    """From latent weights to those of the forward pass; base of what methods make.

    ``refusal`` says why export cannot take what the quantizer makes, in words that follow the layer's name; ``None``
    where it can.
    """

    refusal: ClassVar[str | None] = None

    @torch.no_grad()
    def initialize(self, weight: Tensor) -> None:
        """Draw latent weights, in place: normal, with the deviation 1 / sqrt(inputs)."""
        weight.normal_(std=weight[0].numel() ** -0.5)

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Weights of the forward pass, of the same shape."""

    def ternary(self, weight: Tensor) -> Tensor:
        """The weights that hardware gets, in {-1, 0, +1}: the signs of the forward pass, unless said otherwise."""
        return torch.sign(self(weight))


class TernaryQuantizer(WeightQuantizer):
    """Latent weights to {-1, 0, +1} at threshold = t * basis(|W|), under a pruning mask.

    The factor t is one per layer, kept as its logarithm so that it stays positive. It counts until :meth:`fix` sets
    thresholds, one a row; :meth:`prune` makes zeros that no gradient brings back.

    Parameters
    ----------
    shape : shape of the weights, (rows, ...).
    basis : what t is relative to. The mean (the default of the recipes) is steady; the maximum follows one weight.
    factor : t at the start, positive.
    """

    log_factor: nn.Parameter
    mask: Tensor
    threshold_fixed: Tensor
    fixed: Tensor

    def __init__(self, *, shape: tuple[int, ...], basis: ThresholdBasis = ThresholdBasis.MEAN, factor: float = 0.7):
        super().__init__()
        if not factor > 0:
            raise InvalidValueError(f"factor must be positive, not {factor}")
        self._basis = basis
        self.log_factor = nn.Parameter(torch.tensor(math.log(factor)))
        self.register_buffer("mask", torch.ones(shape))
        self.register_buffer("threshold_fixed", torch.zeros(shape[0], *[1] * (len(shape) - 1)))
        self.register_buffer("fixed", torch.tensor(False))
        self._is_fixed = False  # as the buffer says, without asking the device at every step
        self.register_load_state_dict_post_hook(_reread)

    def threshold(self, weight: Tensor) -> Tensor:
        """The threshold in the latent weights' unit: 0-d while it is learned, (rows, 1, ...) once it is fixed.

        Its gradient reaches t only, not the basis.
        """
        if self._is_fixed:
            return self.threshold_fixed
        return torch.exp(self.log_factor) * self._scale(weight)

    def forward(self, weight: Tensor) -> Tensor:
        masked = weight * self.mask if self._is_fixed else weight
        return straight_through.ternarize(masked, self.threshold(weight))

    @torch.no_grad()
    def fix(self, threshold: Tensor) -> None:
        """Set constant thresholds, broadcast to (rows, 1, ...)."""
        self.threshold_fixed.copy_(threshold.expand_as(self.threshold_fixed))
        self.fixed.fill_(True)
        self._is_fixed = True

    @torch.no_grad()
    def prune(self, weight: Tensor, *, keep: float = 1.0) -> None:
        """Mask for good whatever quantizes to zero, and fix the thresholds at ``keep`` times their present values."""
        threshold = self.threshold(weight)
        self.mask.copy_((functional.ternarize(weight * self.mask, threshold) != 0).to(weight.dtype))
        self.fix(threshold * keep)

    def _scale(self, weight: Tensor) -> Tensor:
        magnitude = weight.detach().abs()
        return magnitude.mean() if self._basis is ThresholdBasis.MEAN else magnitude.max()


def _reread(quantizer: nn.Module, _keys: Any) -> None:
    assert isinstance(quantizer, TernaryQuantizer)
    quantizer._is_fixed = bool(quantizer.fixed)


class ActivationQuantizer(nn.Module):
    """Real values to unsigned codes of ``width`` bits: a clipped ReLU with 2^width - 1 steps, rounding half up.

    Behind a normalization with a learned gain a fixed step loses nothing; a learned one (LSQ) is for layers without.

    Parameters
    ----------
    width : 1 to 8 bits.
    step : real value of code 1, positive.
    learned : train the step.
    """

    step: Tensor

    def __init__(self, *, width: int, step: float, learned: bool = False):
        super().__init__()
        if not 1 <= width <= 8:
            raise InvalidValueError(f"width must be 1 to 8 bits, not {width}")
        if not step > 0:
            raise InvalidValueError(f"step must be positive, not {step}")
        self.width = width
        if learned:
            self.step = nn.Parameter(torch.tensor(float(step)))
        else:
            self.register_buffer("step", torch.tensor(float(step)))

    def forward(self, x: Tensor) -> Tensor:
        return straight_through.activation_code(x, self.step, self.width)


class InputQuantizer(nn.Module):
    """Input values to codes, the rule of the network's file: clamp(round_half_even(x / scale), 0, 2^width - 1).

    Parameters
    ----------
    width : 1 to 8 bits.
    scale : real value of code 1, positive.
    mean, deviation : a normalization before quantizing, per channel. It exists to be compared with: a ternary network
        cannot take it in, so export refuses it.
    """

    mean: Tensor | None
    deviation: Tensor | None

    def __init__(self, *, width: int, scale: float, mean: Tensor | None = None, deviation: Tensor | None = None):
        super().__init__()
        if not 1 <= width <= 8:
            raise InvalidValueError(f"width must be 1 to 8 bits, not {width}")
        if not scale > 0:
            raise InvalidValueError(f"scale must be positive, not {scale}")
        self.width = width
        self.scale = float(scale)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is not None:
            x = x - self.mean
        if self.deviation is not None:
            x = x / self.deviation
        return functional.input_code(x, self.scale, self.width)
