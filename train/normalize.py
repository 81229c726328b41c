"""Normalizations that hardware can take in where torch's own cannot be folded."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sterna.net.errors import InvalidValueError
from sterna.train import straight_through

SHIFT_MAX = 31  # docs/arithmetic.md, ShiftRound


class PositiveBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization whose gain is |weight|: for sums that have no weights of their own whose signs could turn."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight.abs(),
            self.bias,
            self.training,
            self.momentum if self.momentum is not None else 0.1,
            self.eps,
        )


class PowerOfTwoNorm(nn.Module):
    """z = step * 2^-shift * (acc + bias): one integer shift a layer, one integer bias a channel.

    The real gain that is learned, ``gain / sigma`` with sigma the layer's deviation around its channels' means, is
    rounded to the next power of two; the bias takes in the channel's mean and learned offset and is rounded to an
    integer. Both roundings are in the forward pass, in training too, and pass gradients straight through. One sigma for
    the layer (running, not the batch's) lets the shift follow the share of zeros; it moves only when the gain has left
    its power of two by 3/4 of an octave, since a layer whose gain lies between two shifts would flip for ever. While
    ``frozen`` it does not move at all: late in training a jump costs more than the better fit gains.

    Parameters
    ----------
    channels : number of channels.
    step : the step of the activation quantizer behind, positive.
    momentum : weight of a new batch in the running statistics.
    """

    EPSILON = 1e-5  # added to sigma squared
    HYSTERESIS = 0.75  # octaves; above 0.5

    running_mean: Tensor
    running_variance: Tensor
    shift: Tensor
    started: Tensor

    def __init__(self, *, channels: int, step: float, momentum: float = 0.1):
        super().__init__()
        if not step > 0:
            raise InvalidValueError(f"step must be positive, not {step}")
        self.step = float(step)
        self.frozen = False
        self._momentum = momentum
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_variance", torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, acc: Tensor) -> Tensor:
        """acc : float holding integers, (batch, channels, ...). Returns the same shape."""
        acc = acc.to(self.running_mean.dtype)  # under autocast: sums in bfloat16 are no integers to count on
        each = (-1, *[1] * (acc.dim() - 2))  # a channel's value, at every place
        if self.training:
            mean = acc.mean(dim=[d for d in range(acc.dim()) if d != 1])
            self._update(mean.detach(), (acc.detach() - mean.detach().view(each)).square().mean())
        else:
            mean = self.running_mean
        gain = torch.exp(self.log_gain) / torch.sqrt(self.running_variance + self.EPSILON)
        if self.training and not self.frozen:
            self._move_shift(-torch.log2(gain.detach() / self.step))
        power = self.step * torch.exp2(-self.shift)
        # The power of two in value (exactly: ties at half a code must stay ties), log_gain's gradient.
        gain = power + (gain - gain.detach()) * (power / gain.detach())
        bias = straight_through.round_half_up(self.offset / gain.detach() - mean)
        return gain * (acc + bias.view(each))

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        weight = self._momentum if self.started else 1.0
        self.running_mean.lerp_(mean, weight)
        self.running_variance.lerp_(variance, weight)

    @torch.no_grad()
    def _move_shift(self, wanted: Tensor) -> None:
        if not self.started or (wanted - self.shift).abs() > self.HYSTERESIS:
            self.shift.copy_(torch.round(wanted).clamp(0, SHIFT_MAX))
        self.started.fill_(True)
