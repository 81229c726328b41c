"""Training methods: what makes weights ternary and sparse. One class a method, one line of the recipe to choose it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sterna.train import models
from sterna.train.functional import threshold_for_zeros
from sterna.train.layers import TernaryLinear
from sterna.train.quantizers import TernaryQuantizer, ThresholdBasis


class MethodConfig:
    """Base of the methods' configurations: the keys of ``[method]`` in a recipe, but for ``name``."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training with an optimizer of its own; the learning rate falls to 0 along half a cosine.

    ``choose`` says whether the model may be chosen among this stage's epochs.
    """

    name: str
    epochs: int
    learning_rate: float
    choose: bool


class Method(ABC):
    """What the training loop asks of a method.

    The loop calls :meth:`begin` before a stage's first epoch, :meth:`penalty` in every step's loss, :meth:`step` after
    every step, and keeps :meth:`state` in its checkpoints.
    """

    config_type: ClassVar[type[MethodConfig]]

    @abstractmethod
    def __init__(self, config: Any): ...

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages, in order."""

    @abstractmethod
    def quantizer(self, shape: tuple[int, ...]) -> TernaryQuantizer:
        """A weight quantizer for a layer whose weights have this shape."""

    @abstractmethod
    def parameter_groups(self, model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
        """What the stage trains, as Adam's parameter groups; "lr" relative to the stage's rate where it is given."""

    def begin(self, model: nn.Module, stage: Stage) -> None:  # noqa: B027 -- most methods have nothing to do here
        """Change the model before a stage."""

    @abstractmethod
    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        """What is added to the loss of the classes."""

    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:  # noqa: B027
        """After an optimizer step; ``progress`` is the share of the stage that is done, in (0, 1]."""

    def state(self) -> dict[str, Any]:
        """Plain numbers and lists of them, to restore when a run resumes."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take up where :meth:`state` was asked."""


class HardwareCost(Enum):
    """What a nonzero costs, as weights h_l of the threshold regularizer: each layer's share of ..."""

    INDEX_BITS = "index-bits"  # ... the bits of all index streams, at the entropy of each layer's weights
    LANE_CYCLES = "lane-cycles"  # ... the cycles of all lanes: one a nonzero


@dataclass(frozen=True, kw_only=True)
class SparsityInducedConfig(MethodConfig):
    """Keys of ``[method]`` for ``name = "sparsity-induced"``.

    Parameters
    ----------
    zeros : share of zero weights of the whole network that the run must reach.
    cost : what the threshold regularizer weighs layers by.
    threshold_basis, threshold_factor : thresholds are t * basis of |W|; t at the start.
    threshold_rate : learning rate of log t, absolute.
    l2 : factor of the latent weights' squares, summed.
    ramp : share of stage 1 after which the target on zeros stands.
    regularize_epochs, regularize_rate : stage 1.
    retrain_epochs, retrain_rate : stage 3.
    retrain_threshold : the thresholds of stage 3 as a share of those that pruned, above 0. Below 1, survivors seldom
        fall to zero again, which would waste what the target allows.
    """

    zeros: float
    regularize_epochs: int
    retrain_epochs: int
    cost: HardwareCost = HardwareCost.INDEX_BITS
    threshold_basis: ThresholdBasis = ThresholdBasis.MEAN
    threshold_factor: float = 0.7
    threshold_rate: float = 3e-3
    l2: float = 1e-5
    ramp: float = 0.8
    regularize_rate: float = 2e-3
    retrain_rate: float = 1e-3
    retrain_threshold: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.zeros < 1:
            raise ValueError(f"zeros must be in [0, 1), not {self.zeros}")
        if not 0 < self.ramp <= 1:
            raise ValueError(f"ramp must be in (0, 1], not {self.ramp}")
        for name in ("regularize_epochs", "retrain_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be a positive integer, not {getattr(self, name)}")
        for name in ("threshold_factor", "threshold_rate", "regularize_rate", "retrain_rate", "retrain_threshold"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.l2 < 0:
            raise ValueError(f"l2 must not be negative, not {self.l2}")


class SparsityInduced(Method):
    """Sparsity-induced regularization, in three stages (docs/training.md).

    1. ``regularize``: loss + l2 * sum of squares - pressure * sum over layers of h_l * log t_l, thresholds t_l learned.
       The pressure is adjusted every few steps so that the zeros follow a cubic ramp to their target.
    2. Pruning: all t_l are multiplied by one common factor such that the target is just met; then what quantizes to
       zero is masked for good.
    3. ``retrain``: survivors are trained under fixed thresholds, free to change sign.

    Source: Faraone et al., "Compressing Low Precision Deep Neural Networks Using Sparsity-Induced Regularization in
    Ternary Networks", 2017; the regularizer's form, the ramp and the common factor are our choices.
    """

    config_type = SparsityInducedConfig

    _EVERY = 8  # steps between two looks at the zeros

    def __init__(self, config: SparsityInducedConfig):
        self._config = config
        self._pressure = 0.1
        self._steps = 0
        self._start = -1.0
        self._costs: list[float] = []

    def stages(self) -> tuple[Stage, ...]:
        c = self._config
        return (
            Stage(name="regularize", epochs=c.regularize_epochs, learning_rate=c.regularize_rate, choose=False),
            Stage(name="retrain", epochs=c.retrain_epochs, learning_rate=c.retrain_rate, choose=True),
        )

    def quantizer(self, shape: tuple[int, ...]) -> TernaryQuantizer:
        c = self._config
        return TernaryQuantizer(shape=shape, basis=c.threshold_basis, factor=c.threshold_factor)

    def parameter_groups(self, model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
        factors = [layer.quantizer.log_factor for layer in models.ternary_layers(model)]
        others = [p for p in model.parameters() if not any(p is factor for factor in factors)]
        groups: list[dict[str, Any]] = [{"params": others}]
        if stage.name == "regularize":
            groups.append({"params": factors, "lr": self._config.threshold_rate / stage.learning_rate})
        return groups

    def begin(self, model: nn.Module, stage: Stage) -> None:
        if stage.name == "retrain":
            meet_target(models.ternary_layers(model), self._config.zeros)
            for layer in models.ternary_layers(model):
                layer.quantizer.prune(layer.weight, keep=self._config.retrain_threshold)

    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        if stage.name != "regularize":
            return 0.0
        layers = models.ternary_layers(model)
        if not self._costs:
            self._costs = hardware_costs(layers, self._config.cost)
        squares = torch.stack([layer.weight.square().sum() for layer in layers]).sum()
        pushes = [h * layer.quantizer.log_factor for h, layer in zip(self._costs, layers, strict=True)]
        return self._config.l2 * squares - self._pressure * torch.stack(pushes).sum()

    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        if stage.name != "regularize":
            return
        self._steps += 1
        if self._steps % self._EVERY:
            return
        share = models.zeros(model)
        if self._start < 0:
            self._start = share
        left = (1 - min(progress / self._config.ramp, 1.0)) ** 3
        wanted = self._config.zeros + (self._start - self._config.zeros) * left
        # Relative error of the nonzeros: the same firmness at 50 % and at 98 % zeros.
        error = math.log(max(1 - share, 1e-6) / (1 - wanted))
        self._pressure = min(max(self._pressure * math.exp(max(min(error, 0.5), -0.5)), 1e-3), 1e3)
        self._costs = hardware_costs(models.ternary_layers(model), self._config.cost)

    def state(self) -> dict[str, Any]:
        return {"pressure": self._pressure, "steps": self._steps, "start": self._start, "costs": self._costs}

    def restore(self, state: dict[str, Any]) -> None:
        self._pressure, self._steps = state["pressure"], state["steps"]
        self._start, self._costs = state["start"], list(state["costs"])


@torch.no_grad()
def hardware_costs(layers: list[TernaryLinear], cost: HardwareCost) -> list[float]:
    """Each layer's share h_l of the hardware that the nonzeros cost as they are now; the shares add up to 1."""
    amounts = []
    for layer in layers:
        weights = layer.ternary()
        nonzeros = int((weights != 0).sum())
        amounts.append(float(nonzeros) if cost is HardwareCost.LANE_CYCLES else _index_bits(weights.numel(), nonzeros))
    total = sum(amounts)
    return [amount / total if total else 1 / len(layers) for amount in amounts]


def _index_bits(count: int, nonzeros: int) -> float:
    """Bits of positions and signs at their entropy: count * H(nonzeros / count) + nonzeros."""
    p = nonzeros / count
    positions = sum(-q * math.log2(q) for q in (p, 1 - p) if q > 0)
    return count * positions + nonzeros


@torch.no_grad()
def meet_target(layers: list[TernaryLinear], zeros: float) -> None:
    """Multiply all thresholds by one common factor, the smallest that gives at least ``zeros`` zeros in all."""
    count = sum(layer.weight.numel() for layer in layers)
    wanted = math.ceil(zeros * count - 1e-9)
    relative = [
        (layer.weight * layer.quantizer.mask).abs() / layer.quantizer.threshold(layer.weight) for layer in layers
    ]
    factor = threshold_for_zeros(torch.cat([r.flatten() for r in relative]), wanted).clamp_min(1e-6)
    for layer in layers:
        layer.quantizer.log_factor.add_(torch.log(factor))
    # The logarithm rounds: go on in the smallest steps that show.
    while sum(int((layer.ternary() == 0).sum()) for layer in layers) < wanted:
        for layer in layers:
            layer.quantizer.log_factor.add_(1e-6)


METHODS: dict[str, type[Method]] = {"sparsity-induced": SparsityInduced}
