"""TWN, TTQ and float: what the other methods are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sterna.train import models
from sterna.train.data import DataSet
from sterna.train.loop import Trainer
from sterna.train.methods import METHODS
from sterna.train.methods.references import RealQuantizer, TtqQuantizer
from sterna.train.quantizers import TernaryQuantizer, WeightQuantizer
from sterna.train.recipe import Recipe

Train = Callable[[Recipe], tuple[Trainer, list[dict[str, Any]]]]


def quantizer(
    make_recipe: Callable[..., Recipe], method: str, shape: tuple[int, ...], **options: Any
) -> WeightQuantizer:
    recipe = make_recipe(method=method, zeros=None, **options)
    return recipe.method.make(recipe.training).quantizer(shape)


@pytest.mark.parametrize("name", ["twn", "ttq", "float"])
@pytest.mark.parametrize("topology", ["48", "6C3p1-R6-AP2"])
def test_classes_are_told_apart(
    make_recipe: Callable[..., Recipe], train: Train, tiny_data: DataSet, name: str, topology: str
) -> None:
    trainer, records = train(make_recipe(method=name, topology=topology, zeros=None, training={"epochs": 8}))
    right = trainer.model(tiny_data.test_images.float()).argmax(dim=1) == tiny_data.test_labels
    assert right.float().mean() > 0.95
    assert [record["stage"] for record in records] == ["train"] * 8
    assert METHODS[name].controlled is False


# Of normal weights, |w| < 0.7 mean |w| holds for 42.3 %, |w| < 1.4 mean |w| for 73.6 %.
@pytest.mark.parametrize(("factor", "zeros"), [(0.7, 0.4234), (1.4, 0.7360)])
def test_twn_cuts_at_a_multiple_of_the_mean(make_recipe: Callable[..., Recipe], factor: float, zeros: float) -> None:
    twn = quantizer(make_recipe, "twn", (100, 400), factor=factor)
    weight = torch.randn(100, 400, generator=torch.Generator().manual_seed(1))
    ternary = twn(weight)
    assert torch.equal(ternary != 0, weight.abs() >= factor * weight.abs().mean())
    assert torch.equal(ternary[ternary != 0], weight.sign()[ternary != 0])
    assert float((ternary == 0).double().mean()) == pytest.approx(zeros, abs=0.01)
    assert not any(p.requires_grad for p in twn.parameters())


def test_twn_has_one_fixed_factor(make_recipe: Callable[..., Recipe], train: Train) -> None:
    trainer, _ = train(make_recipe(method="twn", zeros=None, training={"epochs": 4}, factor=0.9))
    for layer in models.ternary_layers(trainer.model):
        assert isinstance(layer.quantizer, TernaryQuantizer)
        assert float(layer.quantizer.log_factor.exp()) == pytest.approx(0.9)


def test_ttq_takes_three_values(make_recipe: Callable[..., Recipe]) -> None:
    ttq = quantizer(make_recipe, "ttq", (2, 3), threshold=0.25)
    assert isinstance(ttq, TtqQuantizer)
    ttq.log_scales.data = torch.log(torch.tensor([2.0, 3.0]))
    weight = torch.tensor([[0.9, -1.0, 4.0], [1.0, -4.0, -0.5]], requires_grad=True)
    result = ttq(weight)
    assert result.tolist() == [[0, pytest.approx(-3), pytest.approx(2)], [pytest.approx(2), pytest.approx(-3), 0]]
    assert ttq.ternary(weight).tolist() == [[0, -1, 1], [1, -1, 0]]
    up = torch.tensor([[1.0, 10.0, 100.0], [1000.0, 1e4, 1e5]])
    result.backward(up)
    # Zhu et al., equations 7 and 8: scales get the sum of their side's gradients, latent weights their side's scale.
    assert ttq.log_scales.grad.tolist() == pytest.approx([2 * 1100.0, -3 * 10010.0])
    assert weight.grad.tolist() == [pytest.approx([1.0, 30.0, 200.0]), pytest.approx([2000.0, 3e4, 1e5])]


def test_ttq_starts_with_the_mean_of_its_weights(make_recipe: Callable[..., Recipe]) -> None:
    ttq = quantizer(make_recipe, "ttq", (50, 60))
    assert isinstance(ttq, TtqQuantizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        weight = torch.empty(50, 60)
        ttq.initialize(weight)
    assert weight.std().item() == pytest.approx(60**-0.5, rel=0.05)
    assert ttq.log_scales.exp().tolist() == pytest.approx([weight.abs().mean().item()] * 2)


def test_ttq_trains_both_scales(make_recipe: Callable[..., Recipe], train: Train) -> None:
    trainer, _ = train(make_recipe(method="ttq", zeros=None, training={"epochs": 6}))
    for layer in models.ternary_layers(trainer.model):
        assert isinstance(layer.quantizer, TtqQuantizer)
        positive, negative = layer.quantizer.log_scales.exp().tolist()
        assert positive != pytest.approx(negative, rel=1e-3)


def test_float_is_float(make_recipe: Callable[..., Recipe]) -> None:
    real = quantizer(make_recipe, "float", (2, 2))
    assert isinstance(real, RealQuantizer)
    weight = torch.tensor([[0.3, -1e-3], [0.0, 7.0]], requires_grad=True)
    assert real(weight) is weight
    assert real.ternary(weight).tolist() == [[1, -1], [0, 1]]
