"""What the training loop asks of a method, and what the methods that can be controlled share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from sterna.net import cost
from sterna.net.errors import InvalidValueError
from sterna.train.layers import TernaryLayer
from sterna.train.methods.targets import Balance, CycleLimit, ZerosScope, ramp
from sterna.train.quantizers import WeightQuantizer

MOST_EPOCHS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Target:
    """What every method is asked for: the keys of ``[method]`` but for its name and the methods' own tables.

    Parameters
    ----------
    zeros : share of zero weights that the run must reach; ``None`` leaves it to the method. Methods that cannot be
        controlled take no notice of it.
    lane_cycles : the most cycles of all lanes together that one input may take: an addition a nonzero and place. With
        ``zeros`` beside it, both must be met. ``None`` for no limit.
    scope : whether the whole network or every layer meets ``zeros``.
    balance : which parts of a layer get the same number of nonzeros.
    """

    zeros: float | None = None
    lane_cycles: int | None = None
    scope: ZerosScope = ZerosScope.NETWORK
    balance: Balance = Balance.NONE

    def __post_init__(self) -> None:
        if self.zeros is not None and not 0 <= self.zeros < 1:
            raise InvalidValueError(f"zeros must be in [0, 1), not {self.zeros}")
        if self.lane_cycles is None:
            return
        if self.lane_cycles < 1:
            raise InvalidValueError(f"lane_cycles must be a positive integer, not {self.lane_cycles}")
        if self.scope is ZerosScope.LAYER:
            raise InvalidValueError('lane_cycles is a limit of the whole network: it needs scope = "network"')


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a run trains: keys of ``[training]`` that methods divide into stages.

    Parameters
    ----------
    epochs : of all stages together; 2 to a million.
    learning_rate : of Adam, where the first stage starts.
    """

    epochs: int
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.epochs < 2:
            raise InvalidValueError(f"epochs must be at least 2, not {self.epochs}")
        if self.epochs > MOST_EPOCHS:
            raise InvalidValueError(f"epochs must be at most {MOST_EPOCHS}, not {self.epochs}")
        if not self.learning_rate > 0:
            raise InvalidValueError(f"learning_rate must be positive, not {self.learning_rate}")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training; the learning rate falls along half a cosine.

    Parameters
    ----------
    name : in logs and plots.
    epochs : at least 1.
    learning_rate, final_rate : at the start and at the end.
    choose : whether the model may be chosen among this stage's epochs.
    restart : begin with a new optimizer, or go on with the last stage's.
    """

    name: str
    epochs: int
    learning_rate: float
    choose: bool
    final_rate: float = 0.0
    restart: bool = True

    def rate(self, progress: float) -> float:
        """Learning rate when a share of ``progress`` is done."""
        fall = self.learning_rate - self.final_rate
        return self.final_rate + fall * 0.5 * (1 + math.cos(math.pi * progress))


class MethodOptions:
    """Base of the methods' own options: the keys of ``[method.NAME]``; all have defaults."""


class Method(ABC):
    """What makes weights ternary and sparse. One class a method, one line of the recipe to choose it.

    The loop calls :meth:`begin` before a stage's first epoch, :meth:`penalty` in every step's loss, :meth:`step` after
    every step, and keeps :meth:`state` in its checkpoints.

    Parameters
    ----------
    target, schedule, options : as said there.

    Raises
    ------
    ValueError
        If the method cannot do without a target and there is none.
    """

    name: ClassVar[str]
    options_type: ClassVar[type[MethodOptions]]
    controlled: ClassVar[bool]

    def __init__(self, *, target: Target, schedule: Schedule, options: Any):
        self._target = target
        self._schedule = schedule
        self._options = options
        self._check()

    def _check(self) -> None:
        if self.controlled and self._target.zeros is None and self._target.lane_cycles is None:
            raise InvalidValueError(
                f"method.zeros is missing: {self.name} needs to know the share of zeros that is wanted, "
                "or a limit of method.lane_cycles"
            )

    @property
    def schedule(self) -> Schedule:
        """How long and how fast the run trains."""
        return self._schedule

    @property
    def zeros(self) -> float:
        """The share of zeros that is wanted; 0 where only lane cycles are limited."""
        return self._target.zeros or 0.0

    def _limit(self, layers: Sequence[TernaryLayer], *, start: float = 0.0, progress: float = 1.0) -> CycleLimit | None:
        """The target's limit of lane cycles, for these layers.

        Before the end of the ramp it is as far above as its way from that share of zeros in all layers is long.
        """
        wanted = self._target.lane_cycles
        if wanted is None:
            return None
        dense = sum(cost.lane_cycles(layer.weight.numel(), layer.positions) for layer in layers)
        most = ramp(max((1 - start) * dense, wanted), wanted, progress)
        return CycleLimit(most=most, positions=[layer.positions for layer in layers])

    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages, in order."""

    @abstractmethod
    def quantizer(self, shape: tuple[int, ...]) -> WeightQuantizer:
        """A weight quantizer for a layer whose weights have this shape."""

    def parameter_groups(self, model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
        """What the stage trains, as Adam's parameter groups; "lr" relative to the stage's rate where it is given."""
        return [{"params": list(model.parameters())}]

    def begin(self, model: nn.Module, stage: Stage) -> None:  # noqa: B027 -- most methods have nothing to do here
        """Change the model before a stage."""

    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        """What is added to the loss of the classes."""
        return 0.0

    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:  # noqa: B027
        """After an optimizer step; ``progress`` is the share of the stage that is done, in (0, 1]."""

    def settled(self, model: nn.Module) -> bool:
        """Whether the model, as it is at an epoch's end, may be chosen; the run's last epoch may in any case."""
        return True

    def report(self, model: nn.Module) -> dict[str, Any]:
        """Figures of the method's own for an epoch's log record."""
        return {}

    def state(self) -> dict[str, Any]:
        """Plain numbers and lists of them, to restore when a run resumes."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take up where :meth:`state` was asked."""


def split(schedule: Schedule, share: float) -> tuple[int, int]:
    """Epochs of two stages, at least one each; ``share`` is the second's."""
    second = min(max(round(schedule.epochs * share), 1), schedule.epochs - 1)
    return schedule.epochs - second, second


def check_share(name: str, value: float) -> None:
    """Raise :exc:`ValueError` unless ``value`` lies in (0, 1]."""
    if not 0 < value <= 1:
        raise InvalidValueError(f"{name} must be in (0, 1], not {value}")


def check_positive(options: MethodOptions, *names: str) -> None:
    """Raise :exc:`ValueError` unless these options are positive."""
    for name in names:
        if not getattr(options, name) > 0:
            raise InvalidValueError(f"{name} must be positive, not {getattr(options, name)}")
