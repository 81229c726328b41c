"""Layers: integers in, integers out, by the rules of docs/arithmetic.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.net import ActivationType
from sterna.net.arithmetic import shift_round
from sterna.train.layers import AddLayer, ScoreLayer, SumPool, TernaryConv2d, TernaryLinear
from sterna.train.models import Requantize, TernaryNetwork
from sterna.train.normalize import PositiveBatchNorm2d
from sterna.train.quantizers import ActivationQuantizer, TernaryQuantizer


def codes(*shape: int, width: int = 4, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, 2**width, shape, generator=torch.Generator().manual_seed(seed)).float()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    inputs=st.integers(1, 3),
)
def test_convolution_is_the_rules_sum(seed: int, kernel: int, stride: int, padding: int, inputs: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        conv = TernaryConv2d(
            inputs=inputs,
            outputs=2,
            kernel=kernel,
            stride=stride,
            padding=padding,
            quantizer=TernaryQuantizer(shape=(2, inputs, kernel, kernel)),
        )
    x = codes(3, inputs, 5, 4, seed=seed)
    acc = conv(x).detach().numpy()
    weights = conv.ternary().detach().numpy()
    assert set(np.unique(weights)) <= {-1, 0, 1}
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n in (5, 4))
    assert acc.shape == (3, 2, height, width)
    for row, column in np.ndindex(height, width):
        window = padded[:, :, row * stride : row * stride + kernel, column * stride : column * stride + kernel]
        assert np.array_equal(acc[:, :, row, column], np.einsum("bikl,oikl->bo", window, weights))


def test_weights_at_the_start_have_one_over_the_root_of_the_inputs() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shape = (64, 16, 3, 3)
        conv = TernaryConv2d(inputs=16, outputs=64, kernel=3, quantizer=TernaryQuantizer(shape=shape))
        linear = TernaryLinear(inputs=400, outputs=30, quantizer=TernaryQuantizer(shape=(30, 400)))
    assert conv.weight.shape == shape
    assert conv.weight.std().item() == pytest.approx(1 / 12, rel=0.05)
    assert linear.weight.std().item() == pytest.approx(1 / 20, rel=0.05)


def test_layers_carry_integer_codes(make_model: Callable[..., TernaryNetwork]) -> None:
    for requantize in Requantize:
        model = make_model(topology="4C3p1-R4-AP2-6", image_shape=(1, 6, 6), requantize=requantize)
        x = torch.rand(20, 1, 6, 6, generator=torch.Generator().manual_seed(2)) * 6
        for name, _, operands, output in model.walk(model.codes(x)):
            assert all(torch.equal(operand, operand.round()) for operand in operands)
            if name in ("conv1", "conv2", "add1", "fc1"):
                assert output.min() >= 0
                assert output.max() <= 15


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("input_width", [1, 4, 8])
def test_sum_pool_is_a_sum_and_the_smallest_shift_without_saturation(kernel: int, input_width: int) -> None:
    pool = SumPool(kernel=kernel, input_width=input_width)
    x = codes(6, 2, 3 * kernel - 1, 3 * kernel, width=input_width)  # rows that no window reaches
    x[0] = 2**input_width - 1
    acc = torch.nn.functional.unfold(x.reshape(12, 1, *x.shape[2:]), kernel, stride=kernel).sum(dim=1)
    acc = acc.reshape(6, 2, 2, 3).numpy().astype(np.int64)
    zero, u8 = np.zeros(2, np.int64), ActivationType(8, False)
    assert np.array_equal(pool(x).numpy(), shift_round(acc, zero, np.full(2, pool.shift), u8))
    largest = kernel * kernel * (2**input_width - 1)
    rounded = [(largest + (1 << shift >> 1)) >> shift for shift in range(pool.shift + 1)]
    assert rounded[-1] <= 255
    assert all(value > 255 for value in rounded[:-1])


def test_sum_pool_passes_gradients_where_it_rounds() -> None:
    x = codes(1, 1, 4, 4, width=8).requires_grad_()
    pool = SumPool(kernel=4, input_width=8)
    pool(x).sum().backward()
    assert (x.grad == 2.0**-pool.shift).all()


def add_layer(branches: int = 2, **arguments: float) -> AddLayer:
    activation = ActivationQuantizer(width=4, step=0.25)
    return AddLayer(branches=branches, normalize=PositiveBatchNorm2d(3), activation=activation, **arguments)  # type: ignore[arg-type]


def pair(deviations: tuple[float, ...]) -> list[torch.Tensor]:
    """Branches of exactly these deviations."""
    pattern = torch.tensor([1.0, -1.0]).repeat(24)
    pattern = (pattern / pattern.std()).reshape(4, 3, 2, 2)
    return [pattern * deviation for deviation in deviations]


def test_branches_are_added_at_powers_of_two() -> None:
    layer = add_layer(3).eval()
    layer.shifts.copy_(torch.tensor([0.0, 3.0, 1.0]))
    x = [codes(2, 3, 4, 4, seed=seed) for seed in range(3)]
    assert torch.equal(layer.add(x), x[0] + 8 * x[1] + 2 * x[2])
    assert torch.equal(layer(*x), layer.requantize(x[0] + 8 * x[1] + 2 * x[2]))


@pytest.mark.parametrize(
    ("deviations", "shifts"),
    [((8.0, 8.0), [0, 0]), ((64.0, 8.0), [0, 3]), ((3.0, 50.0), [4, 0]), ((1.0, 1.4, 0.3), [0, 0, 2])],
)
def test_shifts_bring_deviations_together_and_the_smallest_is_zero(
    deviations: tuple[float, ...], shifts: list[int]
) -> None:
    layer = add_layer(len(deviations)).train()
    layer(*pair(deviations))
    assert layer.shifts.tolist() == shifts


def test_shifts_follow_but_do_not_flip_at_a_boundary() -> None:
    layer = add_layer(momentum=1.0).train()
    seen = []
    for octaves in (3.0, 3.49, 3.51, 3.7, 3.49, 3.8, 3.5, 3.3, 3.2, -2.0):
        layer(*pair((2.0**octaves, 1.0)))
        seen.append([int(shift) for shift in layer.shifts])
    assert seen == [[0, 3]] * 5 + [[0, 4]] * 3 + [[0, 3], [2, 0]]


def test_running_deviations_take_in_a_tenth_of_a_batch() -> None:
    layer = add_layer().train()
    layer(*pair((4.0, 1.0)))
    layer(*pair((8.0, 1.0)))
    assert layer.running_variance.tolist() == pytest.approx([0.9 * 16 + 0.1 * 64, 1.0])


def test_frozen_shifts_and_those_of_evaluation_stay() -> None:
    layer = add_layer(momentum=1.0).train()
    layer(*pair((8.0, 1.0)))
    layer.frozen = True
    layer(*pair((1.0, 8.0)))
    layer.frozen = False
    layer.eval()(*pair((1.0, 8.0)))
    assert layer.shifts.tolist() == [0, 3]
    assert layer.running_variance.tolist() == pytest.approx([64, 1])


def test_a_silent_branch_keeps_its_shift_in_range() -> None:
    layer = add_layer().train()
    layer(torch.zeros(2, 3, 4, 4), codes(2, 3, 4, 4) * 1e12)
    assert layer.shifts.tolist() == [31, 0]


def test_scores_share_one_scale_that_start_sets() -> None:
    layer = ScoreLayer(linear=TernaryLinear(inputs=8, outputs=3, quantizer=TernaryQuantizer(shape=(3, 8))), classes=3)
    acc = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)) * 70
    layer.start(acc)
    assert layer.score(acc).std().item() == pytest.approx(1, abs=1e-3)
    assert layer.scale().shape == ()


def test_scores_are_integers_times_the_scale() -> None:
    quantizer = TernaryQuantizer(shape=(3, 8))
    layer = ScoreLayer(linear=TernaryLinear(inputs=8, outputs=3, quantizer=quantizer), classes=3).double()
    layer.bias.data = torch.tensor([0.5, -0.74, 0.0], dtype=torch.float64)
    layer.log_scale.data.fill_(float(np.log(0.5)))
    acc = torch.arange(-6.0, 6.0, dtype=torch.float64).reshape(4, 3)
    expected = (acc + torch.tensor([1.0, -1.0, 0.0])) * layer.scale()
    assert torch.equal(layer.score(acc), expected)  # biases of 1, -1.48 and 0 steps
    layer.score(acc).sum().backward()
    assert layer.bias.grad.tolist() == [4.0] * 3
