"""The sparsity-control approach: tanh weights, a discretizing regularizer, and a controller for the share of zeros."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sterna.train import models
from sterna.train.layers import TernaryLayer
from sterna.train.methods.base import Method, MethodOptions, Stage, check_positive, check_share, split
from sterna.train.methods.targets import cut, ramp
from sterna.train.quantizers import WeightQuantizer


@dataclass(frozen=True, kw_only=True)
class ScaOptions(MethodOptions):
    """Keys of ``[method.sca]``.

    Parameters
    ----------
    alpha : the controller, constant, in (0, 2); then ``method.zeros`` must not be given. Without it, alpha follows
        from ``method.zeros``.
    strength : lambda at the end of stage 1, a weight.
    strength_start : the same at its start, relative to ``strength``; between them it grows geometrically.
    hold : share of the epochs that stage 2 gets, where lambda grows on by ``press``.
    hold_rate : learning rate at the start of stage 2, relative to the run's.
    press : lambda at the end of stage 2, relative to ``strength``.
    spread : deviation of the latent weights at the start.
    ramp : share of stage 1 after which the target on zeros stands.
    """

    alpha: float | None = None
    strength: float = 1e-4
    strength_start: float = 1e-3
    hold: float = 0.33
    hold_rate: float = 0.3
    press: float = 100.0
    spread: float = 0.3
    ramp: float = 0.7

    def __post_init__(self) -> None:
        check_positive(self, "strength", "strength_start", "hold_rate", "press", "spread")
        check_share("hold", self.hold)
        check_share("ramp", self.ramp)
        if self.alpha is not None and not 0 < self.alpha < 2:
            raise ValueError(f"alpha must be in (0, 2), not {self.alpha}: from 2 on every weight falls to zero")


class ScaQuantizer(WeightQuantizer):
    """W = tanh(Theta) in training, with no straight-through estimator; round(tanh(Theta)) in evaluation.

    Parameters
    ----------
    shape : shape of the weights, (rows, ...).
    spread : deviation of Theta at the start.
    """

    alpha: Tensor

    def __init__(self, *, shape: tuple[int, ...], spread: float):
        super().__init__()
        self._spread = spread
        self.register_buffer("alpha", torch.zeros(shape[0], *[1] * (len(shape) - 1)))

    @torch.no_grad()
    def initialize(self, weight: Tensor) -> None:
        weight.normal_(std=self._spread)

    def forward(self, weight: Tensor) -> Tensor:
        real = torch.tanh(weight)
        return real if self.training else torch.round(real)

    def ternary(self, weight: Tensor) -> Tensor:
        return torch.round(torch.tanh(weight))

    def regularizer(self, weight: Tensor) -> Tensor:
        """R = sum of (alpha - w^2) w^2: minima at 0 and towards +-1, the barrier between them at w^2 = alpha / 2."""
        squares = torch.tanh(weight).square()
        return ((self.alpha - squares) * squares).sum()

    @torch.no_grad()
    def distance(self, weight: Tensor) -> Tensor:
        """Sum of |w - round(w)|: what rounding will change."""
        real = torch.tanh(weight)
        return (real - torch.round(real)).abs().sum()


class Sca(Method):
    """Sparsity-control approach, in two stages (docs/training.md).

    1. ``control``: loss + lambda * R, lambda growing geometrically. With a target on zeros, the barrier is kept at the
       quantile of |w| that the cubic ramp asks for: alpha = 2 * quantile^2, so the weights below flow to 0 and those
       above to +-1.
    2. ``hold``: lambda grows on until weights are next to their rounded values; alpha still follows its quantile.

    Source: Deng and Zhang, "Sparsity-Control Ternary Weight Networks", 2020, for W = tanh(Theta), R and the final
    rounding; lambda's schedule, and alpha from a target, are our choices.
    """

    name = "sca"
    options_type = ScaOptions
    controlled = True

    _EVERY = 8  # steps between two sortings

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self._steps = 0
        self._progress = 0.0

    def _check(self) -> None:
        if (self._target.zeros is None) == (self._options.alpha is None):
            raise ValueError("sca needs either method.zeros or method.sca.alpha, and not both")

    def stages(self) -> tuple[Stage, ...]:
        o, rate = self._options, self._schedule.learning_rate
        first, second = split(self._schedule, o.hold)
        return (
            Stage(name="control", epochs=first, learning_rate=rate, choose=False),
            Stage(name="hold", epochs=second, learning_rate=rate * o.hold_rate, choose=True),
        )

    def quantizer(self, shape: tuple[int, ...]) -> ScaQuantizer:
        return ScaQuantizer(shape=shape, spread=self._options.spread)

    def begin(self, model: nn.Module, stage: Stage) -> None:
        self._progress = 0.0
        self._control(models.ternary_layers(model), stage)

    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        layers = models.ternary_layers(model)
        return self.strength(stage) * torch.stack([_quantizer(la).regularizer(la.weight) for la in layers]).sum()

    def strength(self, stage: Stage) -> float:
        """lambda, at the present step of ``stage``."""
        o = self._options
        first, last = (o.strength_start, 1.0) if stage.name == "control" else (1.0, o.press)
        return float(o.strength * first * math.exp(self._progress * math.log(last / first)))

    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        self._steps += 1
        self._progress = progress
        if self._steps % self._EVERY == 0:
            self._control(models.ternary_layers(model), stage)

    def report(self, model: nn.Module) -> dict[str, Any]:
        layers = models.ternary_layers(model)
        distance = sum(float(_quantizer(layer).distance(layer.weight)) for layer in layers)
        return {"rounding_distance": distance / sum(layer.weight.numel() for layer in layers)}

    def state(self) -> dict[str, Any]:
        return {"steps": self._steps, "progress": self._progress}

    def restore(self, state: dict[str, Any]) -> None:
        self._steps, self._progress = state["steps"], state["progress"]

    @torch.no_grad()
    def _control(self, layers: list[TernaryLayer], stage: Stage) -> None:
        if self._options.alpha is not None:
            for layer in layers:
                _quantizer(layer).alpha.fill_(self._options.alpha)
            return
        start = min(0.5, self.zeros)
        progress = self._progress / self._options.ramp if stage.name == "control" else 1.0
        magnitudes = [torch.tanh(layer.weight).abs() for layer in layers]
        wanted = ramp(start, self.zeros, progress)
        for layer, barrier in zip(
            layers, cut(magnitudes, wanted, self._target.scope, self._target.balance), strict=True
        ):
            _quantizer(layer).alpha.copy_((2 * barrier.square()).clamp(max=2.0))


def _quantizer(layer: TernaryLayer) -> ScaQuantizer:
    assert isinstance(layer.quantizer, ScaQuantizer)
    return layer.quantizer
