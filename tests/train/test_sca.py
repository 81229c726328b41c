"""The sparsity-control approach: the regularizer's shape, its controller, and what is left to round."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from sterna.train import models
from sterna.train.data import DataSet
from sterna.train.layers import TernaryConv2d, TernaryLinear
from sterna.train.loop import Trainer
from sterna.train.methods import Balance, Sca, Schedule, Target, ZerosScope
from sterna.train.methods.sca import ScaOptions, ScaQuantizer
from sterna.train.recipe import Recipe

Train = Callable[[Recipe], tuple[Trainer, list[dict[str, Any]]]]


def make(*, zeros: float | None = None, target: dict[str, Any] | None = None, **options: Any) -> Sca:
    return Sca(
        target=Target(zeros=zeros, **(target or {})), schedule=Schedule(epochs=10), options=ScaOptions(**options)
    )


def network() -> nn.ModuleList:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.ModuleList(
            [
                TernaryConv2d(inputs=3, outputs=8, kernel=3, quantizer=ScaQuantizer(shape=(8, 3, 3, 3), spread=0.3)),
                TernaryLinear(inputs=50, outputs=10, quantizer=ScaQuantizer(shape=(10, 50), spread=0.3)),
            ]
        )


def barriers(model: nn.Module) -> list[torch.Tensor]:
    """|w| at which the regularizer tips over, (rows, 1, ...) a layer."""
    return [torch.sqrt(layer.quantizer.alpha / 2) for layer in models.ternary_layers(model)]


def magnitudes(model: nn.Module) -> list[torch.Tensor]:
    return [torch.tanh(layer.weight.detach()).abs() for layer in models.ternary_layers(model)]


def test_weights_are_real_in_training_and_rounded_in_evaluation() -> None:
    quantizer = ScaQuantizer(shape=(1, 5), spread=0.3)
    theta = torch.tensor([[-3.0, -0.5, 0.0, 0.54, 0.56]])
    assert torch.equal(quantizer.train()(theta), torch.tanh(theta))
    assert quantizer.eval()(theta).tolist() == quantizer.ternary(theta).tolist() == [[-1, 0, 0, 0, 1]]
    assert quantizer.refusal is None
    expected = 2 * 0.0 + (1 - math.tanh(3)) + math.tanh(0.5) + math.tanh(0.54) + (1 - math.tanh(0.56))
    assert float(quantizer.distance(theta)) == pytest.approx(expected)


def test_what_is_near_is_rounded_in_training() -> None:
    quantizer = ScaQuantizer(shape=(2, 6), spread=0.3)
    quantizer.alpha.copy_(torch.tensor([[0.32], [0.02]]))  # barriers at 0.4 and 0.1
    real = torch.tensor([[-0.19, 0.21, -0.39, 0.41, -0.69, 0.71], [0.04, -0.06, 0.5, -0.54, 0.56, -0.9]])
    theta = torch.atanh(real)
    at_barriers = torch.tensor([[0.0, 0, 0, 1, -1, 1], [0, 0, 1, -1, 1, -1]])
    for reach, expected, evaluated in (
        (0.0, real, real.round()),
        (0.5, [[0, 0.21, -0.39, 0.41, -0.69, 1], [0, -0.06, 0.5, -0.54, 1, -1]], at_barriers),
        (1.0, at_barriers, at_barriers),
    ):
        quantizer.reach.fill_(reach)
        assert torch.allclose(quantizer.train()(theta), torch.as_tensor(expected, dtype=torch.float32), atol=1e-6)
        assert torch.equal(quantizer.eval()(theta), evaluated)
        assert float(quantizer.distance(theta)) == pytest.approx(float((real - evaluated).abs().sum()))


@pytest.mark.parametrize("reach", [0.0, 0.5, 1.0])
def test_gradients_pass_tanh_and_nothing_else(reach: float) -> None:
    theta = torch.tensor([[-1.0, 0.01, 0.2, 2.0]], requires_grad=True)
    quantizer = ScaQuantizer(shape=(1, 4), spread=0.3).train()
    quantizer.alpha.fill_(0.32)
    quantizer.reach.fill_(reach)
    quantizer(theta).sum().backward()
    assert torch.allclose(theta.grad, 1 - torch.tanh(theta.detach()) ** 2)


def test_slope_is_that_of_the_papers_regularizer() -> None:
    quantizer = ScaQuantizer(shape=(2, 40), spread=0.3).double()
    quantizer.alpha.copy_(torch.tensor([[0.3], [1.1]]))
    theta = torch.linspace(-2.5, 2.5, 80, dtype=torch.float64).reshape(2, 40).requires_grad_()
    squares = torch.tanh(theta) ** 2
    ((quantizer.alpha - squares) * squares).sum().backward()
    assert torch.allclose(quantizer.slope(theta), theta.grad, atol=1e-12)


def test_regularizer_alone_parts_the_weights_at_its_barrier() -> None:
    quantizer = ScaQuantizer(shape=(1, 41), spread=0.3)
    quantizer.alpha.fill_(0.32)  # barrier at 0.4
    real = torch.linspace(-0.8, 0.8, 41)[None]
    theta = torch.atanh(real)
    for _ in range(20000):
        theta = (theta - 0.05 * quantizer.slope(theta)).clamp(-4, 4)
    clear = (real.abs() - 0.4).abs() > 0.01
    expected = torch.where(real.abs() > 0.4, real.sign(), torch.zeros_like(real))
    assert torch.allclose(torch.tanh(theta)[clear], expected[clear], atol=0.02)


@pytest.mark.parametrize("scope", ZerosScope)
@pytest.mark.parametrize("balance", Balance)
def test_barriers_lie_where_the_target_is_met(scope: ZerosScope, balance: Balance) -> None:
    model = network()
    method = make(zeros=0.75, target={"scope": scope, "balance": balance})
    method.begin(model, method.stages()[1])
    below = [m < barrier for m, barrier in zip(magnitudes(model), barriers(model), strict=True)]
    if scope is ZerosScope.NETWORK:
        # 179 nonzeros as 8 + 27 and 10 + 50: 65.9 of 216, and 113.1 of 500
        assert [int(b.sum()) for b in below] == [151, 387]
    else:
        assert [int(b.sum()) for b in below] == [162, 375]
    if balance is Balance.ROWS:
        for b in below:
            rows = b.flatten(1).sum(dim=1)
            assert rows.max() - rows.min() <= 1
    else:
        assert all(len(torch.unique(barrier)) == 1 for barrier in barriers(model))


@pytest.mark.parametrize("zeros", [None, 0.75])
def test_barriers_keep_to_lane_cycles(zeros: float | None) -> None:
    model = network()
    layers = models.ternary_layers(model)
    layers[0].positions = 40
    method = Sca(
        target=Target(zeros=zeros, lane_cycles=1_000), schedule=Schedule(epochs=10), options=ScaOptions(weight_rate=1.0)
    )
    method.begin(model, method.stages()[1])
    kept = [int((m >= barrier).sum()) for m, barrier in zip(magnitudes(model), barriers(model), strict=True)]
    # The second layer has 500 weights, fewer than its part of 1,000; the rest is 12.5 nonzeros at 40 places. With a
    # share of zeros beside it, the second layer has what that leaves.
    assert kept == ([12, 500] if zeros is None else [12, 113])
    for layer, barrier in zip(layers, barriers(model), strict=True):
        size = torch.tanh(layer.weight.data).abs()
        layer.weight.data = torch.where(size < barrier, 1e-4, 3.5) * layer.weight.data.sign()
    assert method.settled(model)
    layers[1].weight.data[0] = 1e-4
    assert not method.settled(model)


def test_barriers_start_at_half_of_the_weights_and_rise() -> None:
    model, method = network(), make(zeros=0.9)
    control = method.stages()[0]
    before = [layer.weight.detach().clone() for layer in models.ternary_layers(model)]
    method.begin(model, control)
    shares = []
    for look in range(6):
        for layer, weight in zip(models.ternary_layers(model), before, strict=True):
            layer.weight.data.copy_(weight)
        below = [m < barrier for m, barrier in zip(magnitudes(model), barriers(model), strict=True)]
        shares.append(sum(int(b.sum()) for b in below) / 716)
        method.restore({"steps": 7})
        method.step(model, control, (look + 1) / 6)
    assert shares[0] == pytest.approx(0.5, abs=2 / 716)
    assert 0.75 < shares[1] < 0.85
    # near and behind the ramp's end; barriers are taken anew after each pull, layer by layer
    assert shares[2:] == pytest.approx([0.9] * 4, abs=3 / 716)


def test_a_constant_controller_stays() -> None:
    model, method = network(), make(alpha=0.7)
    for stage in method.stages():
        method.begin(model, stage)
        for _ in range(16):
            method.step(model, stage, 0.5)
        for layer in models.ternary_layers(model):
            assert (layer.quantizer.alpha == 0.7).all()


def test_strength_grows_geometrically_and_without_a_jump() -> None:
    method = make(zeros=0.5, start=0.1, strength=10.0, press=40.0)
    control, hold = method.stages()
    assert [method.strength(control, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([0.1, 1.0, 10.0])
    assert [method.strength(hold, share) for share in (0.0, 0.5, 1.0)] == pytest.approx([10.0, 20.0, 40.0])
    assert control.rate(1.0) == hold.rate(0.0)


def test_rounding_reaches_further_until_all_is_rounded_at_the_barrier() -> None:
    model, method = network(), make(zeros=0.8, reach=0.6, ramp=0.5)
    control, hold = method.stages()
    assert [method.reach(control, share) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.0, 0.3, 0.6, 0.6])
    assert [method.reach(hold, share) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.6, 0.8, 1.0, 1.0])
    assert [make(zeros=0.8, reach=0.0).reach(stage, 0.5) for stage in (control, hold)] == [0.0, 0.0]
    method.begin(model, hold)
    method.step(model, hold, 0.5)
    layers = models.ternary_layers(model)
    kept = [torch.count_nonzero(layer.quantizer.train()(layer.weight)) for layer in layers]
    expected = [int((m >= b).sum()) for m, b in zip(magnitudes(model), barriers(model), strict=True)]
    assert [int(count) for count in kept] == expected
    assert sum(expected) == pytest.approx(0.2 * 716, abs=2)


def test_steps_follow_the_slope_beside_the_optimizer() -> None:
    model, method = network(), make(alpha=0.5, weight_rate=4.0)
    control = method.stages()[0]
    method.begin(model, control)
    before = [layer.weight.detach().clone() for layer in models.ternary_layers(model)]
    method.step(model, control, 0.5)
    for layer, weight in zip(models.ternary_layers(model), before, strict=True):
        pull = control.rate(0.5) * 4.0 * method.strength(control, 0.5)
        assert torch.allclose(layer.weight, weight - pull * layer.quantizer.slope(weight), atol=1e-6)


def test_weights_stay_where_tanh_lets_them_come_back() -> None:
    model, method = network(), make(alpha=0.1, bound=1.5)
    for stage, bound in zip(method.stages(), (1.5, 3.0), strict=True):
        for layer in models.ternary_layers(model):
            layer.weight.data[0] = 9.0
        method.step(model, stage, 0.5)
        assert max(float(layer.weight.detach().abs().max()) for layer in models.ternary_layers(model)) == bound


def test_zeros_rise_with_alpha(make_recipe: Callable[..., Recipe], train: Train) -> None:
    shares = []
    for alpha in (0.02, 0.1, 0.3, 0.8, 1.5):
        training = {"epochs": 40, "learning_rate": 2e-3}
        trainer, _ = train(make_recipe(method="sca", zeros=None, alpha=alpha, training=training))
        shares.append(models.zeros(trainer.model))
    assert all(low + 0.05 < high for low, high in itertools.pairwise(shares))
    assert shares[0] < 0.3
    assert shares[-1] > 0.85


def test_little_is_left_to_round(make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet) -> None:
    recipe = make_recipe(method="sca", zeros=0.75, training={"epochs": 80, "learning_rate": 2e-3})
    trainer, records = train(recipe)
    distances = [record["rounding_distance"] for record in records]
    assert distances[0] > 0.1
    assert distances[-1] < 0.01
    layers = models.ternary_layers(trainer.model)
    weights = torch.cat([torch.tanh(layer.weight.detach()).flatten() for layer in layers])
    settled = [r for r in records if r["stage"] == "hold" and r["rounding_distance"] < 0.01]
    settled = [r for r in settled if abs(r["zeros"] - 0.75) <= 0.005]
    chosen = max(settled, key=lambda r: (r["validation_accuracy"], r["epoch"]))
    assert chosen["rounding_distance"] == pytest.approx(float((weights - weights.round()).abs().mean()), rel=1e-4)
    # So rounding changes no decision.
    x = tiny_data.test_images.float()
    rounded = trainer.model.eval()(x).argmax(dim=1)
    for layer in layers:
        layer.quantizer.train()
    assert torch.equal(trainer.model(x).argmax(dim=1), rounded)


def test_a_strong_pull_does_not_throw_weights_past_their_wells() -> None:
    model, method = network(), make(alpha=1.0, press=1e6, weight_rate=1000.0)
    hold = method.stages()[1]
    method.begin(model, hold)
    for layer in models.ternary_layers(model):
        layer.weight.data.mul_(0.1)
    before = [layer.weight.detach().clone() for layer in models.ternary_layers(model)]
    method.step(model, hold, 0.5)
    for layer, weight in zip(models.ternary_layers(model), before, strict=True):
        assert torch.equal(layer.weight.sign(), weight.sign())
        assert (layer.weight.abs() < weight.abs()).all()


def test_settled_is_next_to_rounded_and_on_target() -> None:
    def settled(zeros: float | None, share: float, distance: float) -> bool:
        model = network()
        for layer in models.ternary_layers(model):
            magnitude = torch.full((layer.weight.numel(),), math.atanh(1 - distance))
            magnitude[: round(share * magnitude.numel())] = math.atanh(distance)
            layer.weight.data.copy_(magnitude.reshape(layer.weight.shape))
        method = make(zeros=zeros) if zeros is not None else make(alpha=0.5)
        return method.settled(model)

    assert settled(0.5, 0.5, 0.009)
    assert not settled(0.5, 0.5, 0.011)
    assert settled(0.5, 0.504, 0.001)
    assert not settled(0.5, 0.51, 0.001)
    assert not settled(0.5, 0.49, 0.001)
    assert settled(None, 0.2, 0.001)
