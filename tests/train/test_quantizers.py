"""Quantizer modules."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from sterna.train.quantizers import ActivationQuantizer, InputQuantizer, TernaryQuantizer, ThresholdBasis


def test_threshold_is_relative_to_mean_or_maximum() -> None:
    weight = torch.tensor([[1.0, -3.0]])
    for basis, scale in ((ThresholdBasis.MEAN, 2.0), (ThresholdBasis.MAX, 3.0)):
        quantizer = TernaryQuantizer(shape=(1, 2), basis=basis, factor=0.5)
        assert quantizer.threshold(weight).item() == pytest.approx(0.5 * scale)


def test_ternary_weights_do_not_depend_on_the_latent_weights_scale() -> None:
    quantizer = TernaryQuantizer(shape=(8, 8), factor=1.0)
    weight = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantizer(weight), quantizer(weight * 1024))


def test_pruned_weights_stay_zero_and_survivors_may_change_sign() -> None:
    quantizer = TernaryQuantizer(shape=(1, 4), factor=1.0)
    weight = torch.tensor([[0.1, -0.2, 2.0, -3.0]])
    quantizer.prune(weight)
    threshold = quantizer.threshold(weight)
    changed = torch.tensor([[9.0, -9.0, -9.0, 0.01]], requires_grad=True)
    result = quantizer(changed)
    assert result.tolist() == [[0, 0, -1, 0]]
    assert quantizer.threshold(changed) == threshold
    result.sum().backward()
    assert changed.grad.tolist() == [[0, 0, 1, 1]]


def test_survivors_threshold_may_be_lower_than_the_pruning_one() -> None:
    quantizer = TernaryQuantizer(shape=(1, 4), factor=1.0)
    quantizer.prune(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), keep=0.5)
    assert quantizer.threshold_fixed.item() == 0.75
    assert quantizer(torch.tensor([[9.0, 9.0, 0.8, -0.7]])).tolist() == [[0, 0, 1, 0]]


def test_fixed_thresholds_come_and_go_with_the_state() -> None:
    weight = torch.tensor([[0.1, -0.2, 2.0, -3.0]])
    pruned, fresh = TernaryQuantizer(shape=(1, 4), factor=1.0), TernaryQuantizer(shape=(1, 4), factor=1.0)
    pruned.prune(weight)
    before = fresh.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    parent = torch.nn.Sequential(fresh)
    parent.load_state_dict({f"0.{name}": tensor for name, tensor in pruned.state_dict().items()})
    assert torch.equal(copy.deepcopy(fresh)(weight * 9), pruned(weight * 9))
    assert torch.equal(fresh.threshold(weight), pruned.threshold(weight))
    fresh.load_state_dict(before)
    assert fresh.threshold(weight).dim() == 0


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 1, 2)])
def test_fixed_thresholds_are_one_a_row(shape: tuple[int, ...]) -> None:
    quantizer = TernaryQuantizer(shape=shape)
    weight = torch.tensor([1.0, -2.0, 3.0, -4.0]).repeat(3, 1).reshape(shape).requires_grad_()
    quantizer.fix(torch.tensor([1.5, 3.5, 9.0]).reshape(3, *[1] * (len(shape) - 1)))
    assert quantizer(weight).flatten(1).tolist() == [[0, -1, 1, -1], [0, 0, 0, -1], [0, 0, 0, 0]]
    quantizer(weight).sum().backward()
    assert quantizer.log_factor.grad is None
    assert (weight.grad == 1).all()
    quantizer.fix(torch.tensor(2.5))
    assert quantizer(weight).flatten(1).tolist() == [[0, 0, 1, -1]] * 3


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_threshold_factor_must_be_positive(factor: float) -> None:
    with pytest.raises(ValueError, match=r"factor must be positive, not"):
        TernaryQuantizer(shape=(1, 1), factor=factor)


@pytest.mark.parametrize("quantizer", [ActivationQuantizer, InputQuantizer])
def test_widths_are_checked(quantizer: Callable[..., object]) -> None:
    size = {"step": 1.0} if quantizer is ActivationQuantizer else {"scale": 1.0}
    with pytest.raises(ValueError, match=r"width must be 1 to 8 bits, not 9"):
        quantizer(width=9, **size)
    name = next(iter(size))
    with pytest.raises(ValueError, match=f"{name} must be positive, not 0"):
        quantizer(width=4, **{name: 0.0})


def test_learned_step_is_a_parameter() -> None:
    assert [name for name, _ in ActivationQuantizer(width=4, step=0.5, learned=True).named_parameters()] == ["step"]
    assert not list(ActivationQuantizer(width=4, step=0.5).parameters())


def test_inputs_are_normalized_before_they_become_codes() -> None:
    mean, deviation = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])
    quantizer = InputQuantizer(width=4, scale=0.5, mean=mean, deviation=deviation)
    assert quantizer(torch.tensor([[3.0, 4.0], [-5.0, 99.0]])).tolist() == [[2, 1], [0, 15]]
