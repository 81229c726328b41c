"""What the quantizers compute: pure functions, without gradients or state.

Shapes are any unless given; dtype and device are kept. The integer rules that these meet are in docs/arithmetic.md.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ternarize(weight: Tensor, threshold: Tensor | float) -> Tensor:
    """Q(w) = sign(w) where |w| >= threshold, else 0: values in {-1, 0, +1}.

    A weight of exactly 0 stays 0, even at threshold 0. ``threshold`` broadcasts against ``weight``.
    """
    return (weight >= threshold).to(weight.dtype) - (weight <= -threshold).to(weight.dtype)


def round_half_up(x: Tensor) -> Tensor:
    """floor(x + 1/2): what an adder and an arithmetic shift compute, so that both requantizations can meet it."""
    return (x + 0.5).floor_()


def activation_code(x: Tensor, step: Tensor | float, width: int) -> Tensor:
    """k-bit uniform quantization on a clipped ReLU: clamp(round_half_up(x * (1 / step)), 0, 2^width - 1).

    The result holds integers: the code itself, not the real value ``code * step``.
    """
    return nearest_code(x * (1 / step), width)


def nearest_code(scaled: Tensor, width: int) -> Tensor:
    """clamp(round_half_up(scaled), 0, 2^width - 1). In place after the sum: on large maps, passes over memory cost."""
    return (scaled + 0.5).floor_().clamp_(0, 2**width - 1)


def input_code(x: Tensor, scale: float, width: int) -> Tensor:
    """The network's input rule: clamp(round_half_even(x / scale), 0, 2^width - 1), integers.

    In float64, as the rule is computed where the network is used: in float32, 8 / (16 / 15) would be below 7.5.
    """
    return torch.round(x.double() / scale).clamp(0, 2**width - 1).to(x.dtype)


def threshold_for_zeros(magnitude: Tensor, zeros: int) -> Tensor:
    """Smallest representable threshold at which at least ``zeros`` of the values fall below it.

    Parameters
    ----------
    magnitude : float, any shape; not negative.
    zeros : 0 to ``magnitude.numel()``.
    """
    if zeros <= 0:
        return magnitude.new_zeros(())
    kth = magnitude.flatten().kthvalue(zeros).values
    return torch.nextafter(kth, torch.full_like(kth, torch.inf))
