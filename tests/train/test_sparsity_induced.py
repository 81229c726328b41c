"""The three stages of sparsity-induced regularization on a tiny network."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from sterna.train import models
from sterna.train.data import DataSet
from sterna.train.layers import TernaryConv2d, TernaryLayer, TernaryLinear
from sterna.train.loop import Trainer
from sterna.train.methods import Balance, Schedule, SparsityInduced, Target, ZerosScope
from sterna.train.methods.sparsity_induced import (
    HardwareCost,
    SparsityInducedOptions,
    Thresholds,
    hardware_costs,
)
from sterna.train.quantizers import TernaryQuantizer
from sterna.train.recipe import Recipe

Train = Callable[[Recipe], tuple[Trainer, list[dict[str, Any]]]]


def make(*, zeros: float | None = 0.9, target: dict[str, Any] | None = None, **options: Any) -> SparsityInduced:
    return SparsityInduced(
        target=Target(zeros=zeros, **(target or {})),
        schedule=Schedule(epochs=2),
        options=SparsityInducedOptions(**options),
    )


def linear(rows: int, columns: int, seed: int = 0, factor: float = 0.7) -> TernaryLinear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        quantizer = TernaryQuantizer(shape=(rows, columns), factor=factor)
        return TernaryLinear(inputs=columns, outputs=rows, quantizer=quantizer)


def network() -> torch.nn.ModuleList:
    """Two layers of different sizes and factors."""
    return torch.nn.ModuleList([linear(50, 40), linear(10, 50, seed=1, factor=1.4)])


def quantizers(model: torch.nn.Module) -> list[TernaryQuantizer]:
    return [layer.quantizer for layer in models.ternary_layers(model)]  # type: ignore[misc]


def nonzeros(layer: TernaryLayer) -> int:
    return int((layer.ternary() != 0).sum())


def test_classes_are_told_apart_at_the_target(
    make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet
) -> None:
    trainer, records = train(make_recipe(zeros=0.9))
    assert models.zeros(trainer.model) >= 0.9
    assert [record["stage"] for record in records] == ["regularize"] * 40 + ["retrain"] * 20
    right = trainer.model(tiny_data.test_images.float()).argmax(dim=1) == tiny_data.test_labels
    assert right.float().mean() > 0.95


@pytest.mark.parametrize("thresholds", Thresholds)
def test_the_first_stage_and_not_the_pruning_makes_the_zeros(
    make_recipe: Callable[..., Recipe], train: Train, thresholds: Thresholds
) -> None:
    _, records = train(make_recipe(thresholds=thresholds.value, threshold_rate=0.05))
    assert records[39]["zeros"] == pytest.approx(0.8, abs=0.1 if thresholds is Thresholds.LEARNED else 0.01)
    assert records[0]["zeros"] < 0.6


@pytest.mark.parametrize("thresholds", Thresholds)
def test_zeros_are_not_pushed_without_a_target(
    make_recipe: Callable[..., Recipe], train: Train, thresholds: Thresholds
) -> None:
    _, records = train(make_recipe(zeros=0.0, thresholds=thresholds.value))
    assert records[-1]["zeros"] < 0.6
    assert all(math.isfinite(record["loss"]) for record in records)


def test_retraining_keeps_masks_and_thresholds(make_recipe: Callable[..., Recipe], train: Train) -> None:
    recipe = make_recipe()
    trainer, _ = train(recipe)
    method = recipe.method.make(recipe.training)
    regularize, retrain = method.stages()
    assert (regularize.choose, retrain.choose) == (False, True)
    trained = [p for group in method.parameter_groups(trainer.model, retrain) for p in group["params"]]
    for layer in models.ternary_layers(trainer.model):
        quantizer = layer.quantizer
        assert isinstance(quantizer, TernaryQuantizer)
        assert quantizer.fixed
        assert ((layer.ternary() != 0) <= (quantizer.mask != 0)).all()
        assert not any(p is quantizer.log_factor for p in trained)
        assert any(p is layer.weight for p in trained)
    assert method.penalty(trainer.model, retrain) == 0.0


@pytest.mark.parametrize("wanted", [0.0, 0.3, 0.95, 0.999])
def test_pruning_meets_the_target_by_one_common_factor(wanted: float) -> None:
    model, method = network(), make(zeros=wanted)
    layers = models.ternary_layers(model)
    relative = [la.weight.abs() / q.threshold(la.weight) for la, q in zip(layers, quantizers(model), strict=True)]
    method.begin(model, method.stages()[1])
    flat = torch.cat([r.flatten() for r in relative])
    kept = torch.cat([q.mask.flatten() for q in quantizers(model)]) != 0
    assert int((~kept).sum()) == math.ceil(wanted * 2500)
    if wanted:
        assert flat[~kept].max() < flat[kept].min()
    assert sum(nonzeros(layer) for layer in layers) == int(kept.sum())


@pytest.mark.parametrize("wanted", [0.3, 0.8, 0.97])
def test_pruning_by_layer_and_row(wanted: float) -> None:
    model = torch.nn.ModuleList([linear(50, 40), linear(10, 50, seed=1), linear(7, 33, seed=2)])
    method = make(zeros=wanted, target={"scope": ZerosScope.LAYER, "balance": Balance.ROWS})
    method.begin(model, method.stages()[1])
    for layer in models.ternary_layers(model):
        count = layer.weight.numel()
        assert nonzeros(layer) == count - math.ceil(wanted * count)
        rows = (layer.ternary() != 0).sum(dim=1)
        assert rows.max() - rows.min() <= 1


def convolutional() -> torch.nn.ModuleList:
    """216 weights at 100 places each, and 2,000 and 500 at one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        quantizer = TernaryQuantizer(shape=(6, 4, 3, 3), factor=1.0)
        conv = TernaryConv2d(inputs=4, outputs=6, kernel=3, quantizer=quantizer, positions=100)
    return torch.nn.ModuleList([conv, *network()])


def lane_cycles(model: torch.nn.Module) -> int:
    return sum(nonzeros(layer) * layer.positions for layer in models.ternary_layers(model))


@pytest.mark.parametrize("balance", Balance)
@pytest.mark.parametrize("zeros", [None, 0.0, 0.5, 0.97])
@pytest.mark.parametrize("limit", [30, 2_000, 15_000, 10**9])
def test_pruning_meets_zeros_and_lane_cycles_by_one_common_factor(
    limit: int, zeros: float | None, balance: Balance
) -> None:
    model = convolutional()
    layers = models.ternary_layers(model)
    relative = [la.weight.abs() / q.threshold(la.weight) for la, q in zip(layers, quantizers(model), strict=True)]
    method = make(zeros=zeros, target={"lane_cycles": limit, "balance": balance})
    method.begin(model, method.stages()[1])
    count = sum(nonzeros(layer) for layer in layers)
    assert count <= 2716 - math.ceil(2716 * (zeros or 0.0))
    assert lane_cycles(model) <= limit
    if balance is Balance.NONE:
        flat = torch.cat([r.flatten() for r in relative])
        kept = torch.cat([q.mask.flatten() for q in quantizers(model)]) != 0
        places = torch.cat([torch.full_like(r.flatten(), la.positions) for la, r in zip(layers, relative, strict=True)])
        if not kept.all():
            last = int(flat.masked_fill(kept, -1.0).argmax())  # what is kept next would miss one of the targets
            assert not kept.any() or flat[last] < flat[kept].min()
            enough = count == 2716 - math.ceil(2716 * (zeros or 0.0))
            assert enough or lane_cycles(model) + int(places[last]) > limit


def test_lane_cycles_have_a_pressure_of_their_own_that_weighs_layers_by_them() -> None:
    model = convolutional()
    method = make(zeros=0.1, l2=0.0, target={"lane_cycles": 3_000})  # enough zeros already, and far too many cycles
    stage = method.stages()[0]
    for _ in range(16):
        method.step(model, stage, 1.0)
    easy, hard = method.state()["pressures"]
    assert easy < 0.1 < hard
    method.penalty(model, stage).backward()  # type: ignore[union-attr]
    layers = models.ternary_layers(model)
    bits, cycles = (hardware_costs(layers, cost) for cost in HardwareCost)
    for quantizer, b, c in zip(quantizers(model), bits, cycles, strict=True):
        assert quantizer.log_factor.grad.item() == pytest.approx(-(easy * b + hard * c))
    alone = make(zeros=None, l2=0.0, target={"lane_cycles": 3_000})
    for _ in range(16):
        alone.step(model, stage, 1.0)
    assert alone.state()["pressures"] == [hard]
    assert alone.state()["costs"] == {"lane-cycles": cycles}


def test_pressures_and_costs_survive_a_checkpoint() -> None:
    model, first = convolutional(), make(zeros=0.6, target={"lane_cycles": 3_000})
    second = make(zeros=0.6, target={"lane_cycles": 3_000})
    stage = first.stages()[0]
    for _ in range(20):
        first.step(model, stage, 0.5)
    second.restore(json.loads(json.dumps(first.state())))
    assert second.state() == first.state()
    assert first.penalty(model, stage) == second.penalty(model, stage)


@pytest.mark.parametrize("begun", [False, True])
def test_runs_stopped_before_there_were_limits_go_on(begun: bool) -> None:
    model, first, second = convolutional(), make(zeros=0.6), make(zeros=0.6)
    stage = first.stages()[0]
    if begun:
        first.penalty(model, stage)
    second.restore(first.state() | {"costs": next(iter(first.state()["costs"].values()), [])})
    assert second.state() == first.state()
    assert first.penalty(model, stage) == second.penalty(model, stage)


def test_scheduled_thresholds_meet_the_harder_of_two_targets() -> None:
    for zeros, limit in ((0.9, 10**9), (0.0, 3_000), (0.3, 3_000)):
        model = convolutional()
        method = make(zeros=zeros, thresholds=Thresholds.SCHEDULED, target={"lane_cycles": limit})
        before = [q.log_factor.item() for q in quantizers(model)]
        for _ in range(8):
            method.step(model, method.stages()[0], 1.0)
        if limit == 3_000:
            assert 2_900 <= lane_cycles(model) <= 3_000
        else:
            assert sum(map(nonzeros, models.ternary_layers(model))) == pytest.approx(271.6, abs=2)
        moves = [q.log_factor.item() - old for q, old in zip(quantizers(model), before, strict=True)]
        assert moves == pytest.approx([moves[0]] * 3, abs=1e-4)


def test_training_meets_lane_cycles_where_the_maps_are_large(
    make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet
) -> None:
    shares = []
    for limit in (None, 700):
        recipe = make_recipe(zeros=0.8, lane_cycles=limit, topology="8C3p1-MP2-24", training={"epochs": 30})
        trainer, records = train(recipe)
        if limit:
            assert records[-1]["lane_cycles"] <= limit
            assert records[19]["lane_cycles"] < 2 * limit  # by the pressure, before anything is pruned
        assert records[-1]["zeros"] >= 0.8
        conv = models.ternary_layers(trainer.model)[0]
        shares.append(nonzeros(conv) / conv.weight.numel())
        right = trainer.model(tiny_data.test_images.float()).argmax(dim=1) == tiny_data.test_labels
        assert right.float().mean() > 0.9
    assert shares[1] < shares[0]


def test_survivors_thresholds_are_a_share_of_those_that_pruned() -> None:
    full, part = network(), network()
    for model, keep in ((full, 1.0), (part, 0.25)):
        method = make(zeros=0.8, retrain_threshold=keep)
        method.begin(model, method.stages()[1])
    for one, other in zip(quantizers(full), quantizers(part), strict=True):
        assert torch.equal(one.mask, other.mask)
        assert torch.equal(one.threshold_fixed * 0.25, other.threshold_fixed)


def test_scheduled_thresholds_keep_their_ratios_and_follow_the_ramp() -> None:
    model, method = network(), make(zeros=0.9, thresholds=Thresholds.SCHEDULED)
    stage = method.stages()[0]
    before = [q.log_factor.item() for q in quantizers(model)]
    layers = models.ternary_layers(model)
    start = 1 - sum(nonzeros(layer) for layer in layers) / 2500
    for look in range(1, 51):
        for _ in range(8):
            method.step(model, stage, look / 50)
        share = 1 - sum(nonzeros(layer) for layer in layers) / 2500
        wanted = 0.9 + (start - 0.9) * (1 - min(look / 50 / 0.7, 1)) ** 3
        assert share == pytest.approx(wanted, abs=0.002)
    moves = [q.log_factor.item() - old for q, old in zip(quantizers(model), before, strict=True)]
    assert moves[0] > 0.5
    assert moves[0] == pytest.approx(moves[1], abs=1e-4)


def test_scheduled_thresholds_of_layers_follow_ramps_of_their_own() -> None:
    model = network()
    method = make(zeros=0.6, thresholds=Thresholds.SCHEDULED, target={"scope": ZerosScope.LAYER})
    layers = models.ternary_layers(model)
    starts = [1 - nonzeros(layer) / layer.weight.numel() for layer in layers]
    assert starts[0] < 0.6 < starts[1]
    for _ in range(8):
        method.step(model, method.stages()[0], 0.35)
    for layer, start in zip(layers, starts, strict=True):
        wanted = 0.6 + (start - 0.6) / 8
        assert 1 - nonzeros(layer) / layer.weight.numel() == pytest.approx(wanted, abs=0.004)


def test_hardware_costs_are_shares() -> None:
    conv = TernaryConv2d(inputs=4, outputs=6, kernel=3, quantizer=TernaryQuantizer(shape=(6, 4, 3, 3)), positions=25)
    layers = [linear(50, 40), linear(10, 50, seed=1, factor=1.4), conv]
    cycles = [nonzeros(layers[0]), nonzeros(layers[1]), 25 * nonzeros(conv)]
    assert hardware_costs(layers, HardwareCost.LANE_CYCLES) == pytest.approx([n / sum(cycles) for n in cycles])
    bits = []
    for layer in layers:
        p = nonzeros(layer) / layer.weight.numel()
        bits.append(layer.weight.numel() * (p - p * math.log2(p) - (1 - p) * math.log2(1 - p)))
    assert hardware_costs(layers, HardwareCost.INDEX_BITS) == pytest.approx([b / sum(bits) for b in bits])


@pytest.mark.parametrize("cost", HardwareCost)
def test_costs_of_nothing_are_equal(cost: HardwareCost) -> None:
    layers = [linear(3, 4, factor=100.0), linear(5, 3, factor=100.0)]
    assert hardware_costs(layers, cost) == [0.5, 0.5]


@pytest.mark.parametrize("cost", HardwareCost)
def test_penalty_is_l2_and_cost_weighted_push_on_thresholds(cost: HardwareCost) -> None:
    model, method = network(), make(l2=0.01, cost=cost)
    for _ in range(16):
        method.step(model, method.stages()[0], 1.0)
    (pressure,) = method.state()["pressures"]
    method.penalty(model, method.stages()[0]).backward()  # type: ignore[union-attr]
    layers = models.ternary_layers(model)
    for layer, quantizer, share in zip(layers, quantizers(model), hardware_costs(layers, cost), strict=True):
        assert torch.allclose(layer.weight.grad, 0.02 * layer.weight)
        assert quantizer.log_factor.grad.item() == pytest.approx(-pressure * share)


@pytest.mark.parametrize("cost", HardwareCost)
def test_costs_follow_the_weights(cost: HardwareCost) -> None:
    model, method = network(), make(cost=cost)
    layers = models.ternary_layers(model)
    method.penalty(model, method.stages()[0])
    before = method.state()["costs"][cost.value]
    assert before == hardware_costs(layers, cost)
    quantizers(model)[0].log_factor.data += 0.7
    for _ in range(8):
        method.step(model, method.stages()[0], 1.0)
    assert method.state()["costs"][cost.value] == hardware_costs(layers, cost) != before


def test_scheduled_thresholds_are_not_learned() -> None:
    model, method = network(), make(l2=0.01, thresholds=Thresholds.SCHEDULED)
    stage = method.stages()[0]
    squares = sum(float(layer.weight.detach().square().sum()) for layer in models.ternary_layers(model))
    penalty = method.penalty(model, stage)
    assert isinstance(penalty, torch.Tensor)
    assert penalty.item() == pytest.approx(0.01 * squares)
    trained = [p for group in method.parameter_groups(model, stage) for p in group["params"]]
    assert {id(p) for p in trained} == {id(layer.weight) for layer in models.ternary_layers(model)}


def test_thresholds_have_a_rate_of_their_own() -> None:
    model, method = network(), make(threshold_rate=0.04)
    stage = method.stages()[0]
    others, factors = method.parameter_groups(model, stage)
    assert [id(p) for p in factors["params"]] == [id(q.log_factor) for q in quantizers(model)]
    assert factors["lr"] * stage.learning_rate == pytest.approx(0.04)
    assert not {id(p) for p in others["params"]} & {id(p) for p in factors["params"]}


def test_pressure_rises_while_zeros_are_missing_and_falls_when_there_are_too_many() -> None:
    for wanted, rises in ((0.9, True), (0.1, False)):
        method = make(zeros=wanted)
        method.step(model := network(), method.stages()[0], 1.0)
        pressures = []
        for _ in range(3):
            for _ in range(8):
                method.step(model, method.stages()[0], 1.0)
            pressures += method.state()["pressures"]
        assert (0.1 < pressures[0] < pressures[1] < pressures[2]) is rises
        assert (0.1 > pressures[0] > pressures[1] > pressures[2]) is not rises


def test_layers_with_targets_of_their_own_have_pressures_of_their_own() -> None:
    model = network()  # about 42 % and 74 % zeros
    method = make(zeros=0.6, target={"scope": ZerosScope.LAYER})
    for _ in range(8):
        method.step(model, method.stages()[0], 1.0)
    first, second = method.state()["pressures"]
    assert first > 0.1 > second


def test_pressure_stays_in_range() -> None:
    for wanted, limit in ((0.99, 1e3), (0.0, 1e-3)):
        method, model = make(zeros=wanted), network()
        for _ in range(8 * 40):
            method.step(model, method.stages()[0], 1.0)
        assert method.state()["pressures"] == [limit]


def test_nothing_is_controlled_while_retraining() -> None:
    method, model = make(), network()
    for _ in range(16):
        method.step(model, method.stages()[1], 1.0)
    assert method.state()["steps"] == 0
