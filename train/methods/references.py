"""Methods to compare with: TWN, TTQ and float. Their zeros cannot be asked for; TTQ and float cannot be exported."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sterna.train import straight_through
from sterna.train.methods.base import Method, MethodOptions, Stage, check_positive
from sterna.train.quantizers import TernaryQuantizer, WeightQuantizer


@dataclass(frozen=True, kw_only=True)
class TwnOptions(MethodOptions):
    """Keys of ``[method.twn]``.

    Parameters
    ----------
    factor : the threshold over mean |W|. The paper's 0.7 leaves about half the weights zero; "Unrolling Ternary
        Neural Networks" (Tridgell et al., 2019) raises it to 1.4 for more zeros.
    """

    factor: float = 0.7

    def __post_init__(self) -> None:
        check_positive(self, "factor")


class Twn(Method):
    """Ternary Weight Networks: threshold = factor * mean |W| of the layer, straight-through gradient.

    The paper's scale a layer is left out: the normalization behind the layer would divide it out again.

    Source: Li, Liu et al., "Ternary Weight Networks", 2016, section 2.
    """

    name = "twn"
    options_type = TwnOptions
    controlled = False

    def stages(self) -> tuple[Stage, ...]:
        return one_stage(self)

    def quantizer(self, shape: tuple[int, ...]) -> TernaryQuantizer:
        quantizer = TernaryQuantizer(shape=shape, factor=self._options.factor)
        quantizer.log_factor.requires_grad_(False)
        return quantizer


@dataclass(frozen=True, kw_only=True)
class TtqOptions(MethodOptions):
    """Keys of ``[method.ttq]``.

    Parameters
    ----------
    threshold : relative to max |W| of the layer (the paper's t).
    """

    threshold: float = 0.05

    def __post_init__(self) -> None:
        check_positive(self, "threshold")


class TtqQuantizer(WeightQuantizer):
    """Latent weights to {-w_n, 0, +w_p}, both scales learned."""

    refusal = (
        "TTQ learns different scales for +1 and -1, so its sums are no integers times one scale; "
        "train with sparsity-induced, sca, magnitude or twn for hardware"
    )

    def __init__(self, *, threshold: float):
        super().__init__()
        self._threshold = threshold
        self.log_scales = nn.Parameter(torch.zeros(2))

    def initialize(self, weight: Tensor) -> None:
        super().initialize(weight)
        with torch.no_grad():
            self.log_scales.fill_(float(torch.log(weight.abs().mean())))

    def forward(self, weight: Tensor) -> Tensor:
        signs = straight_through.ternarize(weight, self._threshold * weight.detach().abs().max())
        positive, negative = torch.exp(self.log_scales)
        # The scales' gradients are sums over their weights, and latent weights see the scale of their side (eq. 7, 8).
        return torch.where(signs > 0, positive * signs, torch.where(signs < 0, negative * signs, signs))


class Ttq(Method):
    """Trained Ternary Quantization, as a reference for training: its networks cannot be exported.

    Source: Zhu, Han, Mao, Dally, "Trained Ternary Quantization", 2017, section 3; scales are kept as logarithms.
    """

    name = "ttq"
    options_type = TtqOptions
    controlled = False

    def stages(self) -> tuple[Stage, ...]:
        return one_stage(self)

    def quantizer(self, shape: tuple[int, ...]) -> TtqQuantizer:
        return TtqQuantizer(threshold=self._options.threshold)


class RealQuantizer(WeightQuantizer):
    """Latent weights as they are."""

    refusal = "its weights are real numbers; train with sparsity-induced, sca, magnitude or twn for hardware"

    def forward(self, weight: Tensor) -> Tensor:
        return weight


@dataclass(frozen=True, kw_only=True)
class FloatOptions(MethodOptions):
    """No keys: ``[method.float]`` is empty."""


class Float(Method):
    """Real weights with the same activations: what the ternary ones are measured by. Cannot be exported."""

    name = "float"
    options_type = FloatOptions
    controlled = False

    def stages(self) -> tuple[Stage, ...]:
        return one_stage(self)

    def quantizer(self, shape: tuple[int, ...]) -> RealQuantizer:
        return RealQuantizer()


def one_stage(method: Method) -> tuple[Stage, ...]:
    """All epochs in one stage."""
    schedule = method.schedule
    return (Stage(name="train", epochs=schedule.epochs, learning_rate=schedule.learning_rate, choose=True),)
