"""Layers of a ternary network. Between layers flow activation *codes*: floats that hold integers.

Normalization comes behind every hidden layer, so no real scale is lost by leaving it out of the codes, and every
accumulator is an exact integer in float32 (below 2^24) and in float64. Under bfloat16 autocast, in training only, sums
are rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sterna.net.requantize import MAX_SHIFT
from sterna.train import straight_through
from sterna.train.quantizers import ActivationQuantizer, WeightQuantizer


class TernaryLayer(nn.Module):
    """Latent weights and their quantizer; base of the layers that multiply by ternary weights.

    Parameters
    ----------
    shape : of the weights, (outputs, ...).
    quantizer : from latent weights to those of the forward pass.
    positions : places of the feature map at which every weight is used for one input: its lane cycles.
    """

    def __init__(self, *, shape: tuple[int, ...], quantizer: WeightQuantizer, positions: int = 1):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.quantizer = quantizer
        self.positions = positions
        quantizer.initialize(self.weight)

    def ternary(self) -> Tensor:
        """The weights that hardware gets: the latent weights' shape, in {-1, 0, +1}."""
        return self.quantizer.ternary(self.weight)


class TernaryLinear(TernaryLayer):
    """acc = Q(W) x, without bias; (batch, inputs) to (batch, outputs).

    Parameters
    ----------
    inputs, outputs : number of features.
    quantizer : of weights of shape (outputs, inputs).
    """

    def __init__(self, *, inputs: int, outputs: int, quantizer: WeightQuantizer):
        super().__init__(shape=(outputs, inputs), quantizer=quantizer)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.quantizer(self.weight))


class TernaryConv2d(TernaryLayer):
    """acc = Q(W) * x, a cross-correlation without bias, padded with code 0; (batch, channels, height, width).

    Parameters
    ----------
    inputs, outputs : number of channels.
    kernel, stride, padding : the same along both axes.
    quantizer : of weights of shape (outputs, inputs, kernel, kernel).
    positions : pixels of the output.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        quantizer: WeightQuantizer,
        positions: int = 1,
    ):
        super().__init__(shape=(outputs, inputs, kernel, kernel), quantizer=quantizer, positions=positions)
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.quantizer(self.weight), stride=self.stride, padding=self.padding)


class HiddenLayer(nn.Module):
    """Accumulate, normalize, quantize: codes to codes.

    ``requantize`` is the part that export folds: accumulators to codes, channel by channel.
    """

    def __init__(self, *, linear: TernaryLayer, normalize: nn.Module, activation: ActivationQuantizer):
        super().__init__()
        self.linear = linear
        self.normalize = normalize
        self.activation = activation

    def requantize(self, acc: Tensor) -> Tensor:
        code: Tensor = self.activation(self.normalize(acc))
        return code

    def forward(self, x: Tensor) -> Tensor:
        return self.requantize(self.linear(x))


class AddLayer(nn.Module):
    """Add branches at power-of-two ratios, normalize, quantize: acc = sum_i x_i * 2^shift_i.

    Branches are accumulators or codes; the shifts bring their deviations as close to each other as powers of two can,
    follow them while the layer trains, and move only when a ratio has left its power of two by 3/4 of an octave.
    The smallest shift is 0. ``freeze`` holds them.

    Parameters
    ----------
    branches : how many.
    normalize : with a positive gain: no weights are at hand whose signs could be turned.
    activation : of the codes.
    momentum : weight of a new batch in the running deviations.
    """

    HYSTERESIS = 0.75  # octaves; above 0.5

    shifts: Tensor
    running_variance: Tensor
    started: Tensor

    def __init__(self, *, branches: int, normalize: nn.Module, activation: ActivationQuantizer, momentum: float = 0.1):
        super().__init__()
        self.normalize = normalize
        self.activation = activation
        self.frozen = False
        self._momentum = momentum
        self.register_buffer("shifts", torch.zeros(branches))
        self.register_buffer("running_variance", torch.ones(branches))
        self.register_buffer("started", torch.tensor(False))

    def requantize(self, acc: Tensor) -> Tensor:
        code: Tensor = self.activation(self.normalize(acc))
        return code

    def add(self, branches: Sequence[Tensor]) -> Tensor:
        """The accumulators."""
        powers = torch.exp2(self.shifts).tolist()
        acc = branches[0] * powers[0]
        for branch, power in zip(branches[1:], powers[1:], strict=True):
            acc = acc + branch * power
        return acc

    def forward(self, *branches: Tensor) -> Tensor:
        if self.training and not self.frozen:
            self._follow(branches)
        return self.requantize(self.add(branches))

    @torch.no_grad()
    def _follow(self, branches: Sequence[Tensor]) -> None:
        variances = torch.stack([branch.float().var() for branch in branches]).to(self.running_variance)
        self.running_variance.lerp_(variances, self._momentum if self.started else 1.0)
        octaves = -0.5 * torch.log2(self.running_variance + 1e-12)
        wanted = octaves - octaves.min()
        moved = (wanted - self.shifts).abs() > self.HYSTERESIS
        shifts = torch.where(moved | ~self.started, torch.round(wanted), self.shifts)
        self.shifts.copy_(shifts.clamp(0, MAX_SHIFT))  # the widest branch wants 0, and gets it
        self.started.fill_(True)


class SumPool(nn.Module):
    """Sum over windows that do not overlap, rounded back to codes by a shift: an average without its division.

    Parameters
    ----------
    kernel : side of the window.
    input_width : bits of the codes that come in.
    width : bits of the codes that leave; the shift is the smallest that cannot saturate.
    """

    def __init__(self, *, kernel: int, input_width: int, width: int = 8):
        super().__init__()
        self.kernel = kernel
        self.width = width
        largest = kernel * kernel * (2**input_width - 1)
        self.shift = max(0, math.ceil(math.log2((largest + 1) / 2**width)))

    def forward(self, x: Tensor) -> Tensor:
        acc = F.avg_pool2d(x, self.kernel, divisor_override=1)
        code = straight_through.round_half_up(acc * 2.0**-self.shift)
        return code.clamp(max=2**self.width - 1)


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
