"""Magnitude thresholds with a target on zeros: the baseline that needs nothing but sorting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sterna.net.errors import InvalidValueError
from sterna.train import models
from sterna.train.layers import TernaryLayer
from sterna.train.methods.base import Method, MethodOptions, Stage, check_positive, check_share, split
from sterna.train.methods.targets import above_dropped, cut, ramp
from sterna.train.quantizers import TernaryQuantizer


@dataclass(frozen=True, kw_only=True)
class MagnitudeOptions(MethodOptions):
    """Keys of ``[method.magnitude]``.

    Parameters
    ----------
    start : share of zeros at the start of the ramp.
    settle : share of the epochs after the ramp, at the target.
    settle_rate : learning rate at the start of that stage, relative to the run's.
    l2 : factor of the latent weights' squares, summed.
    """

    start: float = 0.4
    settle: float = 0.33
    settle_rate: float = 0.3
    l2: float = 1e-5

    def __post_init__(self) -> None:
        check_share("settle", self.settle)
        check_positive(self, "settle_rate")
        if not 0 <= self.start < 1:
            raise InvalidValueError(f"start must be in [0, 1), not {self.start}")
        if self.l2 < 0:
            raise InvalidValueError(f"l2 must not be negative, not {self.l2}")


class Magnitude(Method):
    """The smallest weights are zero: thresholds are the quantiles of |W| that the target asks for.

    Layers are compared by |W| over the deviation that their weights started with, so that a layer whose weights grow
    keeps more of them. (Over their present mean they would not: at 98 % zeros the last layer dies.) Thresholds are
    renewed every few steps and at the end of every epoch, while the target rises along a cubic ramp and after it;
    nothing is masked, so weights come and go until the end.

    Source: Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017,
    for the ramp; ternary weights instead of pruned real ones are our variation.
    """

    name = "magnitude"
    options_type = MagnitudeOptions
    controlled = True

    _EVERY = 8  # steps between two sortings

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self._steps = 0

    def stages(self) -> tuple[Stage, ...]:
        o, rate = self._options, self._schedule.learning_rate
        first, second = split(self._schedule, o.settle)
        return (
            Stage(name="ramp", epochs=first, learning_rate=rate, choose=False),
            Stage(name="settle", epochs=second, learning_rate=rate * o.settle_rate, choose=True),
        )

    def quantizer(self, shape: tuple[int, ...]) -> TernaryQuantizer:
        return TernaryQuantizer(shape=shape)

    def begin(self, model: nn.Module, stage: Stage) -> None:
        self._renew(models.ternary_layers(model), stage, 0.0)

    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        return self._options.l2 * torch.stack([la.weight.square().sum() for la in models.ternary_layers(model)]).sum()

    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        self._steps += 1
        epochs = progress * stage.epochs
        if self._steps % self._EVERY == 0 or math.isclose(epochs, round(epochs), rel_tol=1e-9):
            self._renew(models.ternary_layers(model), stage, progress)

    def state(self) -> dict[str, Any]:
        return {"steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]

    @torch.no_grad()
    def _renew(self, layers: list[TernaryLayer], stage: Stage, progress: float) -> None:
        start, done = self._options.start, progress if stage.name == "ramp" else 1.0
        zeros = ramp(min(start, self.zeros), self.zeros, done)
        units = [layer.weight[0].numel() ** -0.5 for layer in layers]  # WeightQuantizer.initialize
        scores = [layer.weight.abs() / unit for layer, unit in zip(layers, units, strict=True)]
        limit = self._limit(layers, start=start, progress=done)
        thresholds = cut(scores, zeros, self._target.scope, self._target.balance, limit)
        for layer, score, threshold, unit in zip(layers, scores, thresholds, units, strict=True):
            assert isinstance(layer.quantizer, TernaryQuantizer)
            # The product is rounded: what lies below the threshold must stay there.
            layer.quantizer.fix(torch.maximum(threshold * unit, above_dropped(layer.weight.abs(), score < threshold)))
