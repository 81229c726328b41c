"""Sparsity-induced regularization: three stages, with the hardware's cost in the loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from sterna.net import cost as costs
from sterna.net.errors import InvalidValueError
from sterna.train import models
from sterna.train.layers import TernaryLayer
from sterna.train.methods.base import Method, MethodOptions, Stage, check_positive, check_share, split
from sterna.train.methods.targets import Balance, ZerosScope, above_dropped, cut, ramp
from sterna.train.quantizers import TernaryQuantizer, ThresholdBasis


class HardwareCost(Enum):
    """What a nonzero costs, as weights h_l of the threshold regularizer: each layer's share of ..."""

    INDEX_BITS = "index-bits"  # ... the bits of all index streams, at the entropy of each layer's weights
    LANE_CYCLES = "lane-cycles"  # ... the cycles of all lanes: one a nonzero and place of the map


class Thresholds(Enum):
    """How the factors t_l of the thresholds find their values in stage 1."""

    LEARNED = "learned"  # by the loss, under the regularizer's pressure
    SCHEDULED = "scheduled"  # all by one common factor, such that the zeros follow the ramp


@dataclass(frozen=True, kw_only=True)
class SparsityInducedOptions(MethodOptions):
    """Keys of ``[method.sparsity-induced]``.

    Parameters
    ----------
    cost : what the threshold regularizer weighs layers by.
    thresholds : learned, or scheduled.
    threshold_basis, threshold_factor : thresholds are t * basis of |W|; t at the start.
    threshold_rate : learning rate of log t, absolute.
    l2 : factor of the latent weights' squares, summed.
    ramp : share of stage 1 after which the target on zeros stands.
    retrain : share of the epochs that stage 3 gets.
    retrain_rate : learning rate at the start of stage 3, relative to the run's.
    retrain_threshold : the thresholds of stage 3 as a share of those that pruned, above 0. Below 1, survivors seldom
        fall to zero again, which would waste what the target allows.
    """

    cost: HardwareCost = HardwareCost.INDEX_BITS
    thresholds: Thresholds = Thresholds.LEARNED
    threshold_basis: ThresholdBasis = ThresholdBasis.MEAN
    threshold_factor: float = 0.7
    threshold_rate: float = 5e-3
    l2: float = 1e-5
    ramp: float = 0.7
    retrain: float = 0.33
    retrain_rate: float = 0.3
    retrain_threshold: float = 0.3

    def __post_init__(self) -> None:
        check_share("ramp", self.ramp)
        check_share("retrain", self.retrain)
        check_positive(self, "threshold_factor", "threshold_rate", "retrain_rate", "retrain_threshold")
        if self.l2 < 0:
            raise InvalidValueError(f"l2 must not be negative, not {self.l2}")


class SparsityInduced(Method):
    """Sparsity-induced regularization, in three stages (docs/training.md).

    1. ``regularize``: loss + l2 * sum of squares - pressure * sum over layers of h_l * log t_l, thresholds t_l learned.
       The pressure is adjusted every few steps so that the zeros follow a cubic ramp to their target; there is one
       pressure for the network, or one a layer, as the target says.
    2. Pruning: all t_l are multiplied by one common factor (one a layer, or a row, as the target says) such that the
       target is just met, and what quantizes to zero is masked for good.
    3. ``retrain``: survivors are trained under fixed thresholds, free to change sign.

    Source: Faraone et al., "Compressing Low Precision Deep Neural Networks Using Sparsity-Induced Regularization in
    Ternary Networks", 2017; the regularizer's form, the ramp and the common factor are our choices.
    """

    name = "sparsity-induced"
    options_type = SparsityInducedOptions
    controlled = True

    _EVERY = 8  # steps between two looks at the zeros

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self._pressures: list[float] = []
        self._starts: list[float] = []
        self._costs: list[float] = []
        self._steps = 0

    def stages(self) -> tuple[Stage, ...]:
        o, rate = self._options, self._schedule.learning_rate
        first, second = split(self._schedule, o.retrain)
        return (
            Stage(name="regularize", epochs=first, learning_rate=rate, choose=False),
            Stage(name="retrain", epochs=second, learning_rate=rate * o.retrain_rate, choose=True),
        )

    def quantizer(self, shape: tuple[int, ...]) -> TernaryQuantizer:
        o = self._options
        return TernaryQuantizer(shape=shape, basis=o.threshold_basis, factor=o.threshold_factor)

    def parameter_groups(self, model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
        factors = [_quantizer(layer).log_factor for layer in models.ternary_layers(model)]
        others = [p for p in model.parameters() if not any(p is factor for factor in factors)]
        groups: list[dict[str, Any]] = [{"params": others}]
        if self._learns(stage):
            groups.append({"params": factors, "lr": self._options.threshold_rate / stage.learning_rate})
        return groups

    @torch.no_grad()
    def begin(self, model: nn.Module, stage: Stage) -> None:
        if stage.name == "retrain":
            layers = models.ternary_layers(model)
            for layer, threshold in zip(layers, self._cut(layers, self.zeros), strict=True):
                _quantizer(layer).fix(threshold)
                _quantizer(layer).prune(layer.weight, keep=self._options.retrain_threshold)

    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        if stage.name != "regularize":
            return 0.0
        layers = models.ternary_layers(model)
        squares = self._options.l2 * torch.stack([layer.weight.square().sum() for layer in layers]).sum()
        if not self._learns(stage):
            return squares
        if not self._costs:
            self._costs = hardware_costs(layers, self._options.cost)
        groups = self._groups(layers)
        pressures = self._pressures or [_FIRST_PRESSURE] * len(groups)
        pushes = [
            pressure * self._costs[i] * _quantizer(layers[i]).log_factor
            for pressure, group in zip(pressures, groups, strict=True)
            for i in group
        ]
        return squares - torch.stack(pushes).sum()

    @torch.no_grad()
    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        if stage.name != "regularize":
            return
        self._steps += 1
        if self._steps % self._EVERY:
            return
        layers = models.ternary_layers(model)
        groups = self._groups(layers)
        shares = [_zeros([layers[i] for i in group]) for group in groups]
        self._starts = self._starts or shares
        self._pressures = self._pressures or [_FIRST_PRESSURE] * len(groups)
        wanted = [ramp(start, self.zeros, progress / self._options.ramp) for start in self._starts]
        if not self._learns(stage):
            relative = _relative(layers)
            for group, goal in zip(groups, wanted, strict=True):
                factor = cut([relative[i] for i in group], goal, ZerosScope.NETWORK, Balance.NONE)[0].flatten()[0]
                for i in group:
                    _quantizer(layers[i]).log_factor.add_(torch.log(factor.clamp_min(1e-3)))
            return
        for i, (share, goal) in enumerate(zip(shares, wanted, strict=True)):
            # Relative error of the nonzeros: the same firmness at 50 % and at 98 % zeros.
            error = math.log(max(1 - share, 1e-6) / (1 - goal))
            pressure = self._pressures[i] * math.exp(max(min(error, 0.5), -0.5))
            self._pressures[i] = min(max(pressure, 1e-3), 1e3)
        self._costs = hardware_costs(layers, self._options.cost)

    def state(self) -> dict[str, Any]:
        return {"pressures": self._pressures, "steps": self._steps, "starts": self._starts, "costs": self._costs}

    def restore(self, state: dict[str, Any]) -> None:
        self._pressures, self._steps = list(state["pressures"]), state["steps"]
        self._starts, self._costs = list(state["starts"]), list(state["costs"])

    def _learns(self, stage: Stage) -> bool:
        return stage.name == "regularize" and self._options.thresholds is Thresholds.LEARNED

    def _groups(self, layers: list[TernaryLayer]) -> list[list[int]]:
        """Numbers of the layers that meet the target together."""
        if self._target.scope is ZerosScope.LAYER:
            return [[i] for i in range(len(layers))]
        return [list(range(len(layers)))]

    def _cut(self, layers: list[TernaryLayer], zeros: float) -> list[Tensor]:
        """Thresholds, (rows, 1, ...) a layer, in the ratios of the present ones, that give at least ``zeros``."""
        relative = _relative(layers)
        factors = cut(relative, zeros, self._target.scope, self._target.balance)
        return [
            above_dropped(layer.weight.abs(), r < factor)
            for layer, r, factor in zip(layers, relative, factors, strict=True)
        ]


_FIRST_PRESSURE = 0.1


def _quantizer(layer: TernaryLayer) -> TernaryQuantizer:
    assert isinstance(layer.quantizer, TernaryQuantizer)
    return layer.quantizer


def _relative(layers: list[TernaryLayer]) -> list[Tensor]:
    """|w| over the layer's present threshold."""
    return [layer.weight.abs() / _quantizer(layer).threshold(layer.weight) for layer in layers]


def _zeros(layers: list[TernaryLayer]) -> float:
    weights = [layer.ternary() for layer in layers]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


@torch.no_grad()
def hardware_costs(layers: list[TernaryLayer], cost: HardwareCost) -> list[float]:
    """Each layer's share h_l of the hardware that the nonzeros cost as they are now; the shares add up to 1."""
    amounts = []
    for layer in layers:
        weights = layer.ternary()
        nonzeros = int((weights != 0).sum())
        if cost is HardwareCost.LANE_CYCLES:
            amounts.append(float(costs.lane_cycles(nonzeros, layer.positions)))
        else:
            amounts.append(costs.index_entropy_bits(weights.numel(), nonzeros))
    total = sum(amounts)
    return [amount / total if total else 1 / len(layers) for amount in amounts]
