"""Normalizations that hardware can take in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sterna.net import ActivationType
from sterna.net.arithmetic import shift_round
from sterna.train.normalize import PositiveBatchNorm2d, PowerOfTwoNorm
from sterna.train.quantizers import ActivationQuantizer


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


@pytest.mark.parametrize("training", [True, False])
def test_maps_are_normalized_as_their_pixels_are(training: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    maps = torch.randint(-200, 300, (10, 6, 4, 5), generator=generator).double() + 100 * torch.arange(6)[:, None, None]
    pixels = maps.permute(0, 2, 3, 1).reshape(-1, 6)
    one, other = random_norm(5).train(training), random_norm(5).train(training)
    expected = other(pixels).reshape(10, 4, 5, 6).permute(0, 3, 1, 2)
    assert torch.equal(one(maps), expected)
    assert torch.allclose(one.running_mean, other.running_mean)
    assert torch.allclose(one.running_variance, other.running_variance)
    assert torch.equal(one.shift, other.shift)


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


def test_frozen_shifts_and_those_of_evaluation_stay() -> None:
    norm = PowerOfTwoNorm(channels=2, step=0.25, momentum=1.0)
    acc = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    norm(acc * 16)
    norm.frozen = True
    norm(acc * 1024)
    assert (int(norm.shift), round(float(norm.running_variance))) == (2, 1024**2)
    norm.frozen = False
    norm.eval()(acc * 4)
    assert (int(norm.shift), round(float(norm.running_variance))) == (2, 1024**2)


@pytest.mark.parametrize(("deviation", "shift"), [(1e-2, 0), (4.0, 0), (8.0, 1), (1e12, 31)])
def test_shift_stays_in_range(deviation: float, shift: int) -> None:
    norm = PowerOfTwoNorm(channels=2, step=0.25)
    norm(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) * deviation)
    assert int(norm.shift) == shift


def test_power_of_two_norm_needs_a_positive_step() -> None:
    with pytest.raises(ValueError, match=r"step must be positive, not 0\.0"):
        PowerOfTwoNorm(channels=1, step=0.0)


def test_positive_batch_norm_is_torchs_with_the_gains_size() -> None:
    ours, torchs = PositiveBatchNorm2d(3), torch.nn.BatchNorm2d(3)
    ours.weight.data = torch.tensor([0.5, -2.0, -0.0])
    torchs.weight.data = torch.tensor([0.5, 2.0, 0.0])
    ours.bias.data = torchs.bias.data = torch.tensor([1.0, -1.0, 0.25])
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        x = torch.randn(4, 3, 5, 5, generator=generator) * 7 + 3
        assert torch.equal(ours(x), torchs(x))
    for (name, one), (_, other) in zip(ours.named_buffers(), torchs.named_buffers(), strict=True):
        assert torch.equal(one, other), name
    assert torch.equal(ours.eval()(x), torchs.eval()(x))
