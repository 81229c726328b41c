"""Quantizer modules, the power-of-two normalization and the layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sterna.net import ActivationType
from sterna.net.arithmetic import shift_round
from sterna.train.layers import HiddenLayer, ScoreLayer, TernaryLinear
from sterna.train.models import Mlp, Requantize
from sterna.train.normalize import PowerOfTwoNorm
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


def random_norm(seed: int) -> PowerOfTwoNorm:
    generator = torch.Generator().manual_seed(seed)
    norm = PowerOfTwoNorm(channels=6, step=0.25)
    for _ in range(4):
        norm(torch.randint(-200, 300, (64, 6), generator=generator).float())
    norm.offset.data = torch.randn(6, generator=generator)
    norm.log_gain.data = torch.randn((), generator=generator)
    norm.shift.add_(seed % 3)
    return norm.double().eval()


@pytest.mark.parametrize("seed", range(8))
def test_power_of_two_norm_and_quantizer_are_a_shift_and_a_bias(seed: int) -> None:
    norm, activation = random_norm(seed), ActivationQuantizer(width=4, step=0.25)
    acc = torch.arange(-3000, 3000, dtype=torch.float64)[:, None].repeat(1, 6)
    z = norm(acc)
    gain = (z[1] - z[0])[0].item()
    shift = -np.log2(gain / 0.25)
    assert shift == round(shift)
    bias = (z[0] / gain - acc[0]).detach().numpy()
    assert np.array_equal(bias, np.round(bias))
    expected = shift_round(
        acc.numpy().astype(np.int64), bias.astype(np.int64), np.full(6, int(shift)), ActivationType(4, False)
    )
    assert np.array_equal(activation(z).detach().numpy(), expected)


def test_power_of_two_norm_centers_what_it_is_trained_on() -> None:
    norm = PowerOfTwoNorm(channels=3, step=0.25)
    acc = torch.randn(1000, 3, generator=torch.Generator().manual_seed(1)) * 40 + torch.tensor([100.0, 0.0, -50.0])
    z = norm(acc)
    assert z.mean(dim=0).abs().max() < 0.25
    assert 0.7 < z.std() < 1.42  # deviation 1, but for the rounding of the gain


def test_power_of_two_norm_learns_gain_and_offset() -> None:
    norm = PowerOfTwoNorm(channels=3, step=0.25)
    norm(torch.randn(50, 3, generator=torch.Generator().manual_seed(1)) * 40).square().sum().backward()
    assert norm.log_gain.grad > 0  # a smaller gain makes squares smaller
    assert norm.offset.grad.abs().min() > 0


def test_shift_follows_the_deviation_but_does_not_flip_at_a_boundary() -> None:
    norm = PowerOfTwoNorm(channels=2, step=0.25, momentum=1.0)
    acc = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    shifts = []
    for octaves in (4.0, 4.49, 4.51, 4.6, 4.49, 4.8, 4.5, 4.4, 4.2, 3.0):
        norm(acc * 2**octaves)
        shifts.append(int(norm.shift))
    assert shifts == [2, 2, 2, 2, 2, 3, 3, 3, 2, 1]


@pytest.mark.parametrize(("deviation", "shift"), [(1e-2, 0), (4.0, 0), (8.0, 1), (1e12, 31)])
def test_shift_stays_in_range(deviation: float, shift: int) -> None:
    norm = PowerOfTwoNorm(channels=2, step=0.25)
    norm(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) * deviation)
    assert int(norm.shift) == shift


def test_power_of_two_norm_needs_a_positive_step() -> None:
    with pytest.raises(ValueError, match=r"step must be positive, not 0\.0"):
        PowerOfTwoNorm(channels=1, step=0.0)


def test_layers_carry_integer_codes(make_model: Callable[..., Mlp]) -> None:
    for requantize in Requantize:
        model = make_model(requantize=requantize)
        x = model.codes(torch.rand(20, 12) * 6)
        for _, layer in model.named_layers():
            assert torch.equal(x, x.round())
            assert x.min() >= 0
            assert x.max() <= 15
            x = layer(x)


def test_scores_share_one_scale_that_start_sets() -> None:
    layer = ScoreLayer(linear=TernaryLinear(inputs=8, outputs=3, quantizer=TernaryQuantizer(shape=(3, 8))), classes=3)
    acc = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)) * 70
    layer.start(acc)
    assert layer.score(acc).std().item() == pytest.approx(1, abs=1e-3)
    assert layer.scale().shape == ()


def test_model_errors() -> None:
    def build(**changes: object) -> Mlp:
        values = {"sizes": (4, 2), "activation_width": 4, "requantize": Requantize.SHIFT, **changes}
        return Mlp(
            input_quantizer=InputQuantizer(width=4, scale=1.0),
            quantizer=lambda shape: TernaryQuantizer(shape=shape),
            **values,
        )

    assert [type(layer) for _, layer in build(sizes=(4, 3, 2)).named_layers()] == [HiddenLayer, ScoreLayer]
    with pytest.raises(ValueError, match=r"sizes must name at least the input and the classes"):
        build(sizes=(4,))
    with pytest.raises(ValueError, match=r"a learned activation step cannot be folded into a shift"):
        build(learned_step=True)
