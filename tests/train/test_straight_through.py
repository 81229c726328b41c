"""Gradients of the straight-through functions, against formulas and finite differences of the ramps they stand for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sterna.train import functional, straight_through

UP = torch.tensor([1.0, -2.0, 3.0, 0.5])


def test_ternary_weights_pass_their_gradient_straight() -> None:
    weight = torch.tensor([0.1, -0.9, 2.0, -3.0], requires_grad=True)
    result = straight_through.ternarize(weight, torch.tensor(1.0))
    result.backward(UP)
    assert result.tolist() == [0, 0, 1, -1]
    assert torch.equal(weight.grad, UP)


def test_thresholds_gradient_counts_the_weights_near_it() -> None:
    threshold = torch.tensor(1.0, requires_grad=True)
    weight = torch.tensor([0.1, -0.9, 1.2, -3.0])  # the middle two lie within half a threshold
    straight_through.ternarize(weight, threshold).backward(UP)
    assert threshold.grad.item() == pytest.approx(-(-1.0 * -2.0 + 1.0 * 3.0))
    assert threshold.grad.shape == threshold.shape


def test_no_weight_near_the_threshold_gives_it_no_gradient() -> None:
    threshold = torch.tensor(1.0, requires_grad=True)
    straight_through.ternarize(torch.tensor([0.2, -5.0]), threshold).sum().backward()
    assert threshold.grad.item() == 0


def test_threshold_zero_has_a_finite_gradient() -> None:
    threshold = torch.tensor(0.0, requires_grad=True)
    straight_through.ternarize(torch.tensor([0.2, -5.0, 0.0]), threshold).sum().backward()
    assert torch.isfinite(threshold.grad)


def test_activation_gradient_stops_where_the_code_is_clipped() -> None:
    x = torch.tensor([-1.0, 0.3, 3.6, 4.0], requires_grad=True)
    codes = straight_through.activation_code(x, torch.tensor(0.5), 3)
    codes.backward(UP)
    assert codes.tolist() == [0, 1, 7, 7]
    assert x.grad.tolist() == [0, -4.0, 6.0, 0]


@given(st.lists(st.floats(0.1, 3.0), min_size=1, max_size=20))
def test_step_gradient_is_that_of_the_unrounded_code(values: list[float]) -> None:
    step = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(values, dtype=torch.float64)
    straight_through.activation_code(x, step, 4).sum().backward()
    free = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    (x / free).sum().backward()  # no value here is clipped: 3.0 / 0.25 = 12
    assert step.grad.item() == pytest.approx(free.grad.item())


def test_activation_gradient_ends_where_the_outermost_codes_steps_end() -> None:
    inside = torch.tensor([-0.24, 0.0, 3.74], dtype=torch.float64, requires_grad=True)
    outside = torch.tensor([-0.25, -0.26, 3.75, 3.76], dtype=torch.float64, requires_grad=True)
    for x, expected in ((inside, 2.0), (outside, 0.0)):  # 8 codes of 0.5
        straight_through.activation_code(x, torch.tensor(0.5, dtype=torch.float64), 3).sum().backward()
        assert (x.grad == expected).all()


def test_clipped_values_do_not_pull_at_the_step() -> None:
    step = torch.tensor(0.5, requires_grad=True)
    x = torch.tensor([-1.0, 1.0, 4.0])
    straight_through.activation_code(x, step, 3).backward(torch.tensor([10.0, 3.0, 10.0]))
    assert step.grad.item() == pytest.approx(3.0 * -1.0 / 0.5**2)
    assert step.grad.shape == step.shape


def test_thresholds_of_rows_cut_rows() -> None:
    weight = torch.tensor([[0.5, -1.0], [0.5, -1.0]], requires_grad=True)
    result = straight_through.ternarize(weight, torch.tensor([[0.5], [0.75]]))
    result.backward(UP.reshape(2, 2))
    assert result.tolist() == [[1, -1], [0, -1]]
    assert torch.equal(weight.grad, UP.reshape(2, 2))


def test_rounding_passes_its_gradient() -> None:
    x = torch.tensor([0.5, -0.5, 1.4, -1.6], requires_grad=True)
    rounded = straight_through.round_half_up(x)
    rounded.backward(UP)
    assert rounded.tolist() == functional.round_half_up(x.detach()).tolist() == [1, 0, 1, -2]
    assert torch.equal(x.grad, UP)
