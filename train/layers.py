"""Layers of a ternary network. Between layers flow activation *codes*: floats that hold integers.

Normalization comes behind every hidden layer, so no real scale is lost by leaving it out of the codes, and every
accumulator is an exact integer in float32 (below 2^24) and in float64. Under bfloat16 autocast, in training only, sums
are rounded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sterna.train import straight_through
from sterna.train.quantizers import ActivationQuantizer, TernaryQuantizer


class TernaryLinear(nn.Module):
    """acc = Q(W) x, without bias.

    Parameters
    ----------
    inputs, outputs : number of features.
    quantizer : from latent to ternary weights; shape (outputs, inputs).
    """

    def __init__(self, *, inputs: int, outputs: int, quantizer: TernaryQuantizer):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.normal_(self.weight, std=inputs**-0.5)
        self.quantizer = quantizer

    def ternary(self) -> Tensor:
        """The weights used in the forward pass: (outputs, inputs), in {-1, 0, +1}."""
        weight: Tensor = self.quantizer(self.weight)
        return weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.ternary())


class HiddenLayer(nn.Module):
    """Accumulate, normalize, quantize: (batch, inputs) codes to (batch, outputs) codes.

    ``requantize`` is the part that export folds: accumulators to codes, channel by channel.
    """

    def __init__(self, *, linear: TernaryLinear, normalize: nn.Module, activation: ActivationQuantizer):
        super().__init__()
        self.linear = linear
        self.normalize = normalize
        self.activation = activation

    def requantize(self, acc: Tensor) -> Tensor:
        code: Tensor = self.activation(self.normalize(acc))
        return code

    def forward(self, x: Tensor) -> Tensor:
        return self.requantize(self.linear(x))


class ScoreLayer(nn.Module):
    """Scores (acc + bias) * scale: integer biases per class, one real scale.

    Parameters
    ----------
    linear : the last ternary layer.
    classes : number of its outputs.
    scale_per_class : a scale of each class's own. It exists to be compared with; export refuses it where scales differ.
    """

    def __init__(self, *, linear: TernaryLinear, classes: int, scale_per_class: bool = False):
        super().__init__()
        self.linear = linear
        self.bias = nn.Parameter(torch.zeros(classes))
        self.log_scale = nn.Parameter(torch.zeros(classes if scale_per_class else ()))

    @torch.no_grad()
    def start(self, acc: Tensor) -> None:
        """Choose the scale such that the scores of ``acc`` have deviation 1."""
        self.log_scale.fill_(float(-torch.log(acc.std() + 1e-6)))

    def scale(self) -> Tensor:
        """Real value of one integer step: 0-d, or (classes,)."""
        return torch.exp(self.log_scale)

    def score(self, acc: Tensor) -> Tensor:
        # The bias is learned as a real score, so that its rate does not depend on the accumulators' size.
        return (acc + straight_through.round_half_up(self.bias / self.scale().detach())) * self.scale()

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.linear(x))
