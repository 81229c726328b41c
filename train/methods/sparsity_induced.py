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
from sterna.train.methods.targets import Balance, CycleLimit, ZerosScope, above_dropped, cut, ramp
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
    cost : what the pressure towards ``method.zeros`` weighs layers by. That towards ``method.lane_cycles`` weighs them
        by lane cycles.
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


@dataclass(frozen=True, kw_only=True)
class _Goal:
    """What some layers are to reach together.

    Parameters
    ----------
    layers : their numbers.
    zeros : share of zeros.
    by_place : whether a weight counts as often as it is used for one input: the rest is the share of lane cycles.
    cost : what the pressure weighs the layers by.
    """

    layers: list[int]
    zeros: float
    by_place: bool
    cost: HardwareCost


class SparsityInduced(Method):
    """Sparsity-induced regularization, in three stages (docs/training.md).

    1. ``regularize``: loss + l2 * sum of squares - pressure * sum over layers of h_l * log t_l, thresholds t_l learned.
       The pressure is adjusted every few steps so that the zeros follow a cubic ramp to their target; there is one
       pressure for the network, or one a layer, as the target says. A limit of lane cycles has a pressure of its own.
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
        self._costs: dict[HardwareCost, list[float]] = {}
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
        goals = self._goals(layers)
        if not self._costs:
            self._costs = _costs(layers, goals)
        pressures = self._pressures or [_FIRST_PRESSURE] * len(goals)
        pushes = [0.0] * len(layers)
        for pressure, goal in zip(pressures, goals, strict=True):
            for i in goal.layers:
                pushes[i] += pressure * self._costs[goal.cost][i]
        factors = [push * _quantizer(layer).log_factor for push, layer in zip(pushes, layers, strict=True)]
        return squares - torch.stack(factors).sum()

    @torch.no_grad()
    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        if stage.name != "regularize":
            return
        self._steps += 1
        if self._steps % self._EVERY:
            return
        layers = models.ternary_layers(model)
        goals = self._goals(layers)
        shares = _zeros(layers, goals)
        self._starts = self._starts or shares
        self._pressures = self._pressures or [_FIRST_PRESSURE] * len(goals)
        wanted = [
            ramp(start, goal.zeros, progress / self._options.ramp)
            for start, goal in zip(self._starts, goals, strict=True)
        ]
        if not self._learns(stage):
            _raise_thresholds(layers, goals, wanted)
            return
        for i, (share, zeros) in enumerate(zip(shares, wanted, strict=True)):
            # Relative error of the nonzeros: the same firmness at 50 % and at 98 % zeros.
            error = math.log(max(1 - share, 1e-6) / (1 - zeros))
            pressure = self._pressures[i] * math.exp(max(min(error, 0.5), -0.5))
            self._pressures[i] = min(max(pressure, 1e-3), 1e3)
        self._costs = _costs(layers, goals)

    def state(self) -> dict[str, Any]:
        costs = {cost.value: shares for cost, shares in self._costs.items()}
        return {"pressures": self._pressures, "steps": self._steps, "starts": self._starts, "costs": costs}

    def restore(self, state: dict[str, Any]) -> None:
        self._pressures, self._steps = list(state["pressures"]), state["steps"]
        self._starts = list(state["starts"])
        costs = state["costs"]
        if isinstance(costs, list):  # as written before lane cycles could be limited: those of the one cost
            costs = {self._options.cost.value: costs} if costs else {}
        self._costs = {HardwareCost(cost): list(shares) for cost, shares in costs.items()}

    def _learns(self, stage: Stage) -> bool:
        return stage.name == "regularize" and self._options.thresholds is Thresholds.LEARNED

    def _goals(self, layers: list[TernaryLayer]) -> list[_Goal]:
        """What the target asks of the layers."""
        every, goals = list(range(len(layers))), []
        if self._target.zeros is not None:
            groups = [[i] for i in every] if self._target.scope is ZerosScope.LAYER else [every]
            cost = self._options.cost
            goals = [_Goal(layers=group, zeros=self.zeros, by_place=False, cost=cost) for group in groups]
        if self._target.lane_cycles is not None:
            most = sum(costs.lane_cycles(layer.weight.numel(), layer.positions) for layer in layers)
            zeros = max(0.0, 1 - self._target.lane_cycles / most)
            goals.append(_Goal(layers=every, zeros=zeros, by_place=True, cost=HardwareCost.LANE_CYCLES))
        return goals

    def _cut(self, layers: list[TernaryLayer], zeros: float) -> list[Tensor]:
        """Thresholds, (rows, 1, ...) a layer, in the ratios of the present ones, that give at least ``zeros``.

        A limit of lane cycles is kept to, too.
        """
        relative = _relative(layers)
        factors = cut(relative, zeros, self._target.scope, self._target.balance, self._limit(layers))
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


def _zeros(layers: list[TernaryLayer], goals: list[_Goal]) -> list[float]:
    """The share of zeros that each goal is about, as it is now."""
    nonzeros, shares = models.nonzeros(layers), []
    for goal in goals:
        places = [layers[i].positions if goal.by_place else 1 for i in goal.layers]
        counts = [layers[i].weight.numel() for i in goal.layers]
        zeros = sum((n - nonzeros[i]) * p for i, n, p in zip(goal.layers, counts, places, strict=True))
        shares.append(zeros / sum(n * p for n, p in zip(counts, places, strict=True)))
    return shares


def _raise_thresholds(layers: list[TernaryLayer], goals: list[_Goal], wanted: list[float]) -> None:
    """Move each goal's thresholds by a common factor such that its share of zeros is ``wanted``, or more."""
    relative = _relative(layers)
    factors = [torch.zeros_like(r.flatten()[0]) for r in relative]
    for goal, zeros in zip(goals, wanted, strict=True):
        scores, limit = [relative[i] for i in goal.layers], None
        if goal.by_place:
            positions = [layers[i].positions for i in goal.layers]
            most = sum(s.numel() * p for s, p in zip(scores, positions, strict=True))
            limit, zeros = CycleLimit(most=(1 - zeros) * most, positions=positions), 0.0
        factor = cut(scores, zeros, ZerosScope.NETWORK, Balance.NONE, limit)[0].flatten()[0]
        for i in goal.layers:
            factors[i] = torch.maximum(factors[i], factor)
    for layer, factor in zip(layers, factors, strict=True):
        _quantizer(layer).log_factor.add_(torch.log(factor.clamp_min(1e-3)))


def _costs(layers: list[TernaryLayer], goals: list[_Goal]) -> dict[HardwareCost, list[float]]:
    return {cost: hardware_costs(layers, cost) for cost in dict.fromkeys(goal.cost for goal in goals)}


def hardware_costs(layers: list[TernaryLayer], cost: HardwareCost) -> list[float]:
    """Each layer's share h_l of the hardware that the nonzeros cost as they are now; the shares add up to 1."""
    amounts = []
    for layer, nonzeros in zip(layers, models.nonzeros(layers), strict=True):
        if cost is HardwareCost.LANE_CYCLES:
            amounts.append(float(costs.lane_cycles(nonzeros, layer.positions)))
        else:
            amounts.append(costs.index_entropy_bits(layer.weight.numel(), nonzeros))
    total = sum(amounts)
    return [amount / total if total else 1 / len(layers) for amount in amounts]
