"""The sparsity-control approach: tanh weights, a discretizing regularizer, and a controller for the share of zeros."""

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
from sterna.train.methods.targets import ZerosScope, gap, ramp, shares_by_size
from sterna.train.quantizers import WeightQuantizer


@dataclass(frozen=True, kw_only=True)
class ScaOptions(MethodOptions):
    """Keys of ``[method.sca]``.

    Parameters
    ----------
    alpha : the controller, constant, in (0, 2); then ``method.zeros`` must not be given. Without it, alpha follows
        from ``method.zeros``.
    start, strength, press : lambda at the start of stage 1, between the stages, and at the end of stage 2; it grows
        geometrically.
    reach : how much of the way from 0, and from +-1, to the barrier is rounded in training at the end of the ramp; all
        of it in stage 2. With 0, nothing is rounded before the end.
    hold : share of the epochs that stage 2 gets.
    hold_rate : learning rate at the start of stage 2, relative to the run's.
    weight_rate : learning rate of Theta, relative to that of the other parameters: weights have to travel.
    bound : largest |Theta| in stage 1. Further out tanh is so flat that weights could not come back.
    spread : deviation of the latent weights at the start.
    ramp : share of stage 1 after which the target on zeros and ``reach`` stand.
    """

    alpha: float | None = None
    start: float = 0.2
    strength: float = 2.0
    press: float = 1000.0
    hold: float = 0.2
    hold_rate: float = 0.2
    weight_rate: float = 20.0
    bound: float = 1.2
    spread: float = 0.6
    ramp: float = 0.4
    reach: float = 0.98

    def __post_init__(self) -> None:
        check_positive(self, "start", "strength", "press", "hold_rate", "weight_rate", "bound", "spread")
        check_share("hold", self.hold)
        check_share("ramp", self.ramp)
        if not 0 <= self.reach <= 1:
            raise InvalidValueError(f"reach must be in [0, 1], not {self.reach}")
        if self.alpha is not None and not 0 < self.alpha < 2:
            raise InvalidValueError(f"alpha must be in (0, 2), not {self.alpha}: from 2 on every weight falls to zero")


class ScaQuantizer(WeightQuantizer):
    """W = tanh(Theta) in training, rounded near 0 and +-1; rounded everywhere, at the barrier, in evaluation.

    ``reach`` says what is near: that share of the way to the barrier, from either side. The gradient passes as if
    nothing was rounded, so a weight can leave 0 and +-1 as it can any other value. With a ``reach`` of 0, training
    rounds nothing, and evaluation at one half.

    Parameters
    ----------
    shape : shape of the weights, (rows, ...).
    spread : deviation of Theta at the start.
    """

    alpha: Tensor
    reach: Tensor

    def __init__(self, *, shape: tuple[int, ...], spread: float):
        super().__init__()
        self._spread = spread
        self.register_buffer("alpha", torch.zeros(shape[0], *[1] * (len(shape) - 1)))
        self.register_buffer("reach", torch.zeros(()))

    @torch.no_grad()
    def initialize(self, weight: Tensor) -> None:
        weight.normal_(std=self._spread)

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return self.ternary(weight)
        real = torch.tanh(weight)
        return real + self._rest(real.detach())

    def _rest(self, real: Tensor) -> Tensor:
        """What rounding adds in training."""
        size, barrier = real.abs(), torch.sqrt(self.alpha / 2)
        rest = torch.where(size <= self.reach * barrier, -real, torch.zeros_like(real))
        return torch.where(size > 1 - self.reach * (1 - barrier), real.sign() - real, rest)

    def ternary(self, weight: Tensor) -> Tensor:
        real = torch.tanh(weight)
        barrier = torch.where(self.reach > 0, torch.sqrt(self.alpha / 2), 0.5)
        return real.sign() * (real.abs() > barrier)

    @torch.no_grad()
    def slope(self, weight: Tensor) -> Tensor:
        """dR / dTheta of R = sum of (alpha - w^2) w^2: minima at 0 and towards +-1, barrier at w^2 = alpha / 2."""
        real = torch.tanh(weight)
        squares = real.square()
        return (2 * self.alpha - 4 * squares).mul_(real).mul_(1 - squares)

    @torch.no_grad()
    def distance(self, weight: Tensor) -> Tensor:
        """Sum of what rounding will change."""
        return (torch.tanh(weight) - self.ternary(weight)).abs().sum()


class Sca(Method):
    """Sparsity-control approach, in two stages (docs/training.md).

    1. ``control``: lambda grows until noise cannot hold a weight between 0 and +-1 any more. With a target on zeros,
       the barrier is kept at the quantile of |w| that a cubic ramp asks for, alpha = 2 * quantile^2: the weights below
       flow to 0 and those above to +-1. The forward pass rounds more and more of them.
    2. ``hold``: lambda grows on until weights are next to their rounded values.

    The gradient of lambda * R is applied beside Adam's step, with Adam's rate, as AdamW does with weight decay: Adam
    divides gradients by their size, so a regularizer inside the loss acts not at all until it outweighs the loss's
    gradient, and at full speed from then on.

    Source: Deng and Zhang, "Sparsity-Control Ternary Weight Networks", 2020, for W = tanh(Theta), R and the final
    rounding; lambda's schedule, the decoupled step (Loshchilov and Hutter, "Decoupled Weight Decay Regularization",
    2019), alpha from a target, and rounding before the end (``reach``; 0 for none) are our choices.
    """

    name = "sca"
    options_type = ScaOptions
    controlled = True

    _EVERY = 8  # steps between two sortings

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self._steps = 0

    def _check(self) -> None:
        target, alpha = self._target, self._options.alpha
        if target.lane_cycles is not None and alpha is not None:
            raise InvalidValueError("sca cannot keep to method.lane_cycles with a constant method.sca.alpha")
        if target.lane_cycles is None and (target.zeros is None) == (alpha is None):
            raise InvalidValueError("sca needs either method.zeros or method.sca.alpha, and not both")

    def stages(self) -> tuple[Stage, ...]:
        o, rate = self._options, self._schedule.learning_rate
        first, second = split(self._schedule, o.hold)
        return (
            Stage(name="control", epochs=first, learning_rate=rate, final_rate=rate * o.hold_rate, choose=False),
            Stage(name="hold", epochs=second, learning_rate=rate * o.hold_rate, choose=True, restart=False),
        )

    def quantizer(self, shape: tuple[int, ...]) -> ScaQuantizer:
        return ScaQuantizer(shape=shape, spread=self._options.spread)

    def parameter_groups(self, model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
        weights = [layer.weight for layer in models.ternary_layers(model)]
        others = [p for p in model.parameters() if not any(p is weight for weight in weights)]
        return [{"params": others}, {"params": weights, "lr": self._options.weight_rate}]

    def begin(self, model: nn.Module, stage: Stage) -> None:
        self._control(models.ternary_layers(model), stage, 0.0)

    def strength(self, stage: Stage, progress: float) -> float:
        """lambda in ``stage``."""
        o = self._options
        first, last = (o.start, o.strength) if stage.name == "control" else (o.strength, o.press)
        return float(first * (last / first) ** progress)

    def reach(self, stage: Stage, progress: float) -> float:
        """How much of the way to the barrier is rounded in ``stage``."""
        o = self._options
        if stage.name == "control":
            return o.reach * min(progress / o.ramp, 1.0)
        return o.reach + (1 - o.reach) * min(2 * progress, 1.0) if o.reach else 0.0

    @torch.no_grad()
    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        layers = models.ternary_layers(model)
        bound = self._options.bound if stage.name == "control" else _FINAL_BOUND
        pull = stage.rate(progress) * self._options.weight_rate * self.strength(stage, progress)
        for layer in layers:
            quantizer = _quantizer(layer)
            # Beyond 1 / (2 alpha) a step would carry weights near 0 past it, and grow.
            step = min(pull, 0.5 / max(2 * float(quantizer.alpha.max()), 1e-6))
            layer.weight.sub_(quantizer.slope(layer.weight), alpha=step).clamp_(-bound, bound)
            quantizer.reach.fill_(self.reach(stage, progress))
        self._steps += 1
        epochs = progress * stage.epochs
        if self._steps % self._EVERY == 0 or math.isclose(epochs, round(epochs), rel_tol=1e-9):
            self._control(layers, stage, progress)

    def settled(self, model: nn.Module) -> bool:
        """Weights are next to their rounded values, and the target is met within half a percentage point."""
        missed = 0.0
        if self._options.alpha is None:
            layers = models.ternary_layers(model)
            sizes = [layer.weight.numel() for layer in layers]
            shares = self._shares(layers, 1.0)
            wanted = sum(share * size for share, size in zip(shares, sizes, strict=True)) / sum(sizes)
            missed = abs(models.zeros(model) - wanted)
        return _distance(model) < _NEAR and missed <= _MISSED

    def report(self, model: nn.Module) -> dict[str, Any]:
        return {"rounding_distance": _distance(model)}

    def state(self) -> dict[str, Any]:
        return {"steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]

    @torch.no_grad()
    def _control(self, layers: list[TernaryLayer], stage: Stage, progress: float) -> None:
        if self._options.alpha is not None:
            for layer in layers:
                _quantizer(layer).alpha.fill_(self._options.alpha)
            return
        done = progress / self._options.ramp if stage.name == "control" else 1.0
        magnitudes = [torch.tanh(layer.weight).abs() for layer in layers]
        barriers = [
            gap([size], share, ZerosScope.LAYER, self._target.balance)[0]
            for size, share in zip(magnitudes, self._shares(layers, done), strict=True)
        ]
        for layer, barrier in zip(layers, barriers, strict=True):
            _quantizer(layer).alpha.copy_(2 * barrier.square())

    def _shares(self, layers: list[TernaryLayer], done: float) -> list[float]:
        """The layers' shares of zeros when a share of ``done`` of the ramp is done.

        Dealt out by size: |W| ends near 0 and 1 in every layer, so it does not say which layer needs more weights.
        """
        zeros = ramp(min(_START, self.zeros), self.zeros, done)
        limit = self._limit(layers, start=_START, progress=done)
        return shares_by_size([layer.weight for layer in layers], zeros, self._target.scope, limit)


_NEAR = 0.01  # mean distance from what is rounded
_MISSED = 0.005  # share of zeros
_FINAL_BOUND = 3.0  # tanh: 0.995
_START = 0.5  # share of zeros that the barrier starts at


def _distance(model: nn.Module) -> float:
    """Mean of what rounding will change, over all weights."""
    layers = models.ternary_layers(model)
    distance = sum(float(_quantizer(layer).distance(layer.weight)) for layer in layers)
    return distance / sum(layer.weight.numel() for layer in layers)


def _quantizer(layer: TernaryLayer) -> ScaQuantizer:
    assert isinstance(layer.quantizer, ScaQuantizer)
    return layer.quantizer
