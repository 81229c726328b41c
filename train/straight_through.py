"""Autograd functions: forward as in :mod:`sterna.train.functional`, backward such that training gets through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sterna.train import functional


class TernarizeSTE(torch.autograd.Function):
    """:func:`functional.ternarize`, whose gradient passes straight to the latent weights.

    The threshold's gradient takes the step at |w| = threshold as a ramp as wide as the threshold (from half of it to
    one and a half times it): only weights in that window move when the threshold moves (our choice).
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(weight, threshold)
        return functional.ternarize(weight, threshold)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        (gradient,) = gradients
        weight, threshold = ctx.saved_tensors
        threshold_gradient = None
        if ctx.needs_input_grad[1]:
            # In place on one array: for a small network this is a good part of a step's time.
            near = weight.abs().sub_(threshold).abs_().lt_(threshold / 2)
            slope = near.mul_(weight.sign()).flatten() @ gradient.flatten()
            threshold_gradient = (-slope / threshold.clamp_min(torch.finfo(weight.dtype).tiny)).reshape(threshold.shape)
        return gradient, threshold_gradient


class ActivationCodeSTE(torch.autograd.Function):
    """:func:`functional.activation_code`; gradients where x is not clipped, and LSQ's gradient for the step.

    Source: Esser et al., "Learned Step Size Quantization", ICLR 2020, eq. 3, written for codes instead of code times
    step: inside the range d(code)/d(step) = -x / step^2.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, width: int) -> Tensor:
        scaled = x * (1 / step)  # kept instead of x: its range is known without asking the device for the step
        ctx.save_for_backward(scaled, step)
        ctx.width = width
        return functional.nearest_code(scaled, width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,) = gradients
        scaled, step = ctx.saved_tensors
        inner = torch.ops.aten.hardtanh_backward(gradient, scaled, -0.5, 2**ctx.width - 0.5).mul_(1 / step)
        step_gradient = -(inner * scaled).sum().reshape(step.shape) if ctx.needs_input_grad[1] else None
        return inner, step_gradient, None


class RoundSTE(torch.autograd.Function):
    """Round half up; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return functional.round_half_up(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def ternarize(weight: Tensor, threshold: Tensor) -> Tensor:
    """Ternary weights with gradients for the latent weights and the threshold (0-d)."""
    result: Tensor = TernarizeSTE.apply(weight, threshold)
    return result


def activation_code(x: Tensor, step: Tensor, width: int) -> Tensor:
    """Activation codes with gradients for ``x`` and the step (0-d)."""
    result: Tensor = ActivationCodeSTE.apply(x, step, width)
    return result


def round_half_up(x: Tensor) -> Tensor:
    """Rounded values with an identity gradient."""
    result: Tensor = RoundSTE.apply(x)
    return result
