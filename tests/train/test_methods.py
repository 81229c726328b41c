"""What all methods share: stages, targets that are met, and a method of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sterna.train import models
from sterna.train.data import DataSet
from sterna.train.export import export
from sterna.train.loop import Trainer
from sterna.train.methods import METHODS, Method, MethodOptions, Schedule, Stage, Target
from sterna.train.methods.base import split
from sterna.train.quantizers import TernaryQuantizer
from sterna.train.recipe import Recipe

Train = Callable[[Recipe], tuple[Trainer, list[dict[str, Any]]]]

#: Ways to control the zeros, with what they need on the tiny data set.
CONTROLLED: dict[str, dict[str, Any]] = {
    "learned": {"method": "sparsity-induced", "training": {"epochs": 30}},
    "scheduled": {"method": "sparsity-induced", "training": {"epochs": 30}, "thresholds": "scheduled"},
    "magnitude": {"method": "magnitude", "training": {"epochs": 30}},
    "sca": {"method": "sca", "training": {"epochs": 120, "learning_rate": 2e-3}},
}


def accuracy(trainer: Trainer, data: DataSet) -> float:
    right = trainer.model(data.test_images.float()).argmax(dim=1) == data.test_labels
    return float(right.double().mean())


def zeros(weight: Tensor) -> float:
    return float((weight == 0).double().mean())


@pytest.mark.parametrize("balance", ["none", "rows"])
@pytest.mark.parametrize("scope", ["network", "layer"])
@pytest.mark.parametrize("way", CONTROLLED)
def test_targets_are_met(
    make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet, way: str, scope: str, balance: str
) -> None:
    trainer, _ = train(make_recipe(zeros=0.75, scope=scope, balance=balance, **CONTROLLED[way]))
    weights = [layer.ternary() for layer in models.ternary_layers(trainer.model)]
    assert models.zeros(trainer.model) == pytest.approx(0.75, abs=0.005)
    if scope == "layer":
        assert [zeros(weight) for weight in weights] == pytest.approx([0.75, 0.75], abs=0.005)
    if balance == "rows":
        for weight in weights:
            rows = (weight != 0).sum(dim=1)
            assert rows.max() - rows.min() <= 1
    assert accuracy(trainer, tiny_data) > 0.95


@pytest.mark.parametrize("way", CONTROLLED)
def test_targets_are_met_by_residual_networks(make_recipe: Callable[..., Recipe], train: Train, way: str) -> None:
    shorter = {"training": {"epochs": 25, "learning_rate": 2e-3}}
    recipe = make_recipe(zeros=0.75, topology="8C3p1-R8-16", balance="rows", **{**CONTROLLED[way], **shorter})
    trainer, _ = train(recipe)
    assert models.zeros(trainer.model) == pytest.approx(0.75, abs=0.005)
    for layer in models.ternary_layers(trainer.model):
        rows = (layer.ternary() != 0).flatten(1).sum(dim=1)
        assert rows.max() - rows.min() <= 1


@pytest.mark.parametrize("way", [way for way in CONTROLLED if way != "sca"])
@pytest.mark.parametrize("wanted", [0.0, 0.5, 0.9])
def test_thresholds_meet_targets_in_every_epoch_that_may_be_chosen(
    make_recipe: Callable[..., Recipe], train: Train, way: str, wanted: float
) -> None:
    _, records = train(make_recipe(zeros=wanted, **{**CONTROLLED[way], "training": {"epochs": 20}}))
    chosen = [record for record in records if record["stage"] in ("retrain", "settle")]
    assert len(chosen) == 7
    assert all(wanted <= record["zeros"] < wanted + 0.005 for record in chosen)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.controlled])
def test_uncontrolled_methods_take_no_notice_of_the_target(
    make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet, name: str
) -> None:
    digests = []
    for wanted in (None, 0.95):
        trainer, _ = train(make_recipe(method=name, zeros=wanted, training={"epochs": 5}))
        digests.append([p.tolist() for p in trainer.model.parameters()])
    assert digests[0] == digests[1]
    assert accuracy(trainer, tiny_data) > 0.95


@pytest.mark.parametrize("name", METHODS)
def test_states_are_plain_and_restored(make_recipe: Callable[..., Recipe], train: Train, name: str) -> None:
    recipe = make_recipe(method=name, training={"epochs": 4})
    trainer, _ = train(recipe)
    state = json.loads(json.dumps(trainer._method.state()))
    other = recipe.method.make(recipe.training)
    other.restore(state)
    assert other.state() == trainer._method.state()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("epochs", [2, 3, 100])
def test_stages_divide_the_epochs_and_the_last_is_chosen_from(name: str, epochs: int) -> None:
    schedule = Schedule(epochs=epochs, learning_rate=0.5)
    stages = METHODS[name](target=Target(zeros=0.5), schedule=schedule, options=METHODS[name].options_type()).stages()
    assert sum(stage.epochs for stage in stages) == epochs
    assert all(stage.epochs > 0 for stage in stages)
    assert [stage.choose for stage in stages] == [False] * (len(stages) - 1) + [True]
    assert stages[0].learning_rate == 0.5
    assert stages[-1].rate(1.0) == 0
    assert len({stage.name for stage in stages}) == len(stages)


@given(st.integers(2, 1000), st.floats(0, 1))
def test_both_stages_get_epochs(epochs: int, share: float) -> None:
    first, second = split(Schedule(epochs=epochs), share)
    assert first + second == epochs
    assert min(first, second) >= 1
    assert abs(second - share * epochs) <= 1


def test_rates_fall_along_half_a_cosine() -> None:
    stage = Stage(name="a", epochs=3, learning_rate=4.0, choose=True)
    assert [stage.rate(share) for share in (0.0, 1 / 3, 0.5, 1.0)] == pytest.approx([4.0, 3.0, 2.0, 0.0])
    stage = Stage(name="a", epochs=3, learning_rate=4.0, final_rate=1.0, choose=True)
    assert [stage.rate(share) for share in (0.0, 1 / 3, 0.5, 1.0)] == pytest.approx([4.0, 3.25, 2.5, 1.0])


@dataclass(frozen=True, kw_only=True)
class DriftOptions(MethodOptions):
    """Keys of ``[method.drift]``."""

    factor: float = 1.0


class Drift(Method):
    """A user's own: fixed thresholds that rise by a little every step; keeps a diary."""

    name = "drift"
    options_type = DriftOptions
    controlled = False

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self.diary: list[tuple[Any, ...]] = []

    def stages(self) -> tuple[Stage, ...]:
        return (
            Stage(name="drift", epochs=self.schedule.epochs - 2, learning_rate=0.01, choose=False),
            Stage(name="rest", epochs=2, learning_rate=0.005, choose=True),
        )

    def quantizer(self, shape: tuple[int, ...]) -> TernaryQuantizer:
        return TernaryQuantizer(shape=shape, factor=self._options.factor)

    def begin(self, model: nn.Module, stage: Stage) -> None:
        self.diary.append(("begin", stage.name))

    def penalty(self, model: nn.Module, stage: Stage) -> Tensor | float:
        self.diary.append(("penalty", stage.name))
        return sum(layer.weight.square().sum() for layer in models.ternary_layers(model)) * 1e-6

    def step(self, model: nn.Module, stage: Stage, progress: float) -> None:
        self.diary.append(("step", stage.name, progress))
        for layer in models.ternary_layers(model):
            with torch.no_grad():
                layer.quantizer.log_factor += 0.002

    def report(self, model: nn.Module) -> dict[str, Any]:
        return {"entries": len(self.diary)}


def test_a_method_of_ones_own(
    make_recipe: Callable[..., Recipe],
    train: Train,
    tiny_data: DataSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(METHODS, "drift", Drift)
    trainer, records = train(make_recipe(method="drift", zeros=None, training={"epochs": 5}, factor=0.9))
    method = trainer._method
    assert isinstance(method, Drift)
    wanted: list[tuple[Any, ...]] = []
    for stage in method.stages():
        wanted.append(("begin", stage.name))
        for step in range(6 * stage.epochs):  # 240 images, 40 a batch
            wanted += [("penalty", stage.name), ("step", stage.name, pytest.approx((step + 1) / (6 * stage.epochs)))]
    assert method.diary == wanted
    assert [record["stage"] for record in records] == ["drift"] * 3 + ["rest"] * 2
    assert [record["entries"] for record in records] == [13, 25, 37, 50, 62]
    network = export(trainer.model, tmp_path / "m.safetensors", inputs=tiny_data.test_images.float())
    chosen = max(records[3:], key=lambda record: (record["validation_accuracy"], record["epoch"]))
    assert network.zeros == pytest.approx(chosen["zeros"])
    assert 0.3 < network.zeros < 0.9


def test_refusals() -> None:
    for name, method in METHODS.items():
        arguments: dict[str, Any] = {"schedule": Schedule(epochs=2), "options": method.options_type()}
        if not method.controlled:
            method(target=Target(), **arguments)
        elif name != "sca":  # has words of its own (test_recipe.py)
            with pytest.raises(
                ValueError, match=rf"^method\.zeros is missing: {name} needs to know the share of zeros"
            ):
                method(target=Target(), **arguments)
