"""The three stages of sparsity-induced regularization on a tiny network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from sterna.train import models
from sterna.train.data import DataSet
from sterna.train.layers import TernaryLinear
from sterna.train.loop import Trainer
from sterna.train.methods import (
    HardwareCost,
    SparsityInduced,
    SparsityInducedConfig,
    hardware_costs,
    meet_target,
)
from sterna.train.quantizers import TernaryQuantizer
from sterna.train.recipe import Recipe, parse_recipe


def recipe(**method: Any) -> Recipe:
    table = {
        "name": "tiny",
        "seed": 3,
        "data": {"name": "digits", "validation": 60},
        "model": {"hidden": [48]},
        "training": {"batch": 40},
        "method": {
            "name": "sparsity-induced",
            "zeros": 0.8,
            "regularize_epochs": 60,
            "retrain_epochs": 10,
            "threshold_rate": 0.05,
            "regularize_rate": 0.01,
            **method,
        },
    }
    return parse_recipe(table, source="tiny")


def train(recipe: Recipe, data: DataSet, folder: Path) -> tuple[Trainer, list[dict[str, Any]]]:
    trainer = Trainer(recipe=recipe, data=data, seed=recipe.seed, device=torch.device("cpu"), folder=folder)
    records: list[dict[str, Any]] = []
    trainer.run(resume=False, on_epoch=records.append)
    return trainer, records


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9])
def test_target_on_zeros_is_met_and_classes_are_told_apart(tiny_data: DataSet, tmp_path: Path, target: float) -> None:
    trainer, records = train(recipe(zeros=target), tiny_data, tmp_path)
    assert models.zeros(trainer.model) >= target
    assert all(record["zeros"] >= target for record in records if record["stage"] == "retrain")
    assert [record["stage"] for record in records] == ["regularize"] * 60 + ["retrain"] * 10
    right = trainer.model(tiny_data.test_images.float()).argmax(dim=1) == tiny_data.test_labels
    assert right.float().mean() > 0.95


def test_regularizer_and_not_the_pruning_makes_the_zeros(tiny_data: DataSet, tmp_path: Path) -> None:
    _, records = train(recipe(), tiny_data, tmp_path)
    assert records[59]["zeros"] == pytest.approx(0.8, abs=0.1)
    assert records[0]["zeros"] < 0.6


def test_zeros_are_not_pushed_without_a_target(tiny_data: DataSet, tmp_path: Path) -> None:
    _, records = train(recipe(zeros=0.0), tiny_data, tmp_path)
    assert records[-1]["zeros"] < 0.6


def test_retraining_keeps_masks_and_thresholds(tiny_data: DataSet, tmp_path: Path) -> None:
    trainer, _ = train(recipe(), tiny_data, tmp_path)
    method = SparsityInduced(recipe().method)  # type: ignore[arg-type]
    regularize, retrain = method.stages()
    assert (regularize.choose, retrain.choose) == (False, True)
    layers = models.ternary_layers(trainer.model)
    trained = [p for group in method.parameter_groups(trainer.model, retrain) for p in group["params"]]
    for layer in layers:
        assert layer.quantizer.frozen
        assert ((layer.ternary() != 0) <= (layer.quantizer.mask != 0)).all()
        assert not any(p is layer.quantizer.log_factor for p in trained)
        assert any(p is layer.weight for p in trained)
    assert method.penalty(trainer.model, retrain) == 0.0


def layer(rows: int, columns: int, seed: int = 0, factor: float = 0.7) -> TernaryLinear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        quantizer = TernaryQuantizer(shape=(rows, columns), factor=factor)
        return TernaryLinear(inputs=columns, outputs=rows, quantizer=quantizer)


@pytest.mark.parametrize("target", [0.0, 0.3, 0.95, 0.999])
def test_meet_target_is_exact_to_a_few_weights(target: float) -> None:
    layers = [layer(50, 40), layer(10, 50, seed=1, factor=1.4)]
    before = [one.quantizer.log_factor.item() for one in layers]
    meet_target(layers, target)
    count = sum(one.weight.numel() for one in layers)
    zeros = sum(int((one.ternary() == 0).sum()) for one in layers)
    assert math.ceil(target * count) <= zeros <= math.ceil(target * count) + 3
    moves = [one.quantizer.log_factor.item() - old for one, old in zip(layers, before, strict=True)]
    assert moves[0] == pytest.approx(moves[1], abs=1e-5)


def test_hardware_costs_are_shares() -> None:
    layers = [layer(50, 40), layer(10, 50, seed=1, factor=1.4)]
    nonzeros = [int((one.ternary() != 0).sum()) for one in layers]
    assert hardware_costs(layers, HardwareCost.LANE_CYCLES) == pytest.approx([n / sum(nonzeros) for n in nonzeros])
    bits = []
    for one, n in zip(layers, nonzeros, strict=True):
        p = n / one.weight.numel()
        bits.append(one.weight.numel() * (p - p * math.log2(p) - (1 - p) * math.log2(1 - p)))
    assert hardware_costs(layers, HardwareCost.INDEX_BITS) == pytest.approx([b / sum(bits) for b in bits])


def test_penalty_is_l2_and_cost_weighted_push_on_thresholds() -> None:
    config = SparsityInducedConfig(zeros=0.9, regularize_epochs=1, retrain_epochs=1, l2=0.01)
    method = SparsityInduced(config)
    model = torch.nn.ModuleList([layer(50, 40), layer(10, 50, seed=1)])
    method.penalty(model, method.stages()[0]).backward()  # type: ignore[union-attr]
    layers = models.ternary_layers(model)
    pressure = method.state()["pressure"]
    for one, cost in zip(layers, hardware_costs(layers, config.cost), strict=True):
        assert torch.allclose(one.weight.grad, 0.02 * one.weight)
        assert one.quantizer.log_factor.grad.item() == pytest.approx(-pressure * cost)


def test_pressure_rises_while_zeros_are_missing_and_falls_when_there_are_too_many() -> None:
    model = torch.nn.ModuleList([layer(50, 40)])
    for target, rises in ((0.9, True), (0.1, False)):
        method = SparsityInduced(SparsityInducedConfig(zeros=target, regularize_epochs=1, retrain_epochs=1))
        start = method.state()["pressure"]
        for _ in range(64):
            method.step(model, method.stages()[0], 1.0)
        assert (method.state()["pressure"] > start) is rises


def test_method_state_is_restored() -> None:
    model = torch.nn.ModuleList([layer(50, 40)])
    config = SparsityInducedConfig(zeros=0.9, regularize_epochs=1, retrain_epochs=1)
    one, other = SparsityInduced(config), SparsityInduced(config)
    for _ in range(20):
        one.step(model, one.stages()[0], 0.5)
    other.restore(one.state())
    assert other.state() == one.state()
