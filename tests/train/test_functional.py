"""What the quantizers compute, as properties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.net import ActivationType
from sterna.net.arithmetic import quantize_input
from sterna.train import functional

reals = st.floats(-100, 100, allow_nan=False, width=32)
vectors = st.lists(reals, min_size=1, max_size=40)


@given(vectors, st.floats(0, 50, width=32))
def test_ternarize_is_sign_outside_of_the_threshold(values: list[float], threshold: float) -> None:
    weight = torch.tensor(values)
    expected = [0 if abs(w) < threshold or w == 0 else (1 if w > 0 else -1) for w in values]
    assert functional.ternarize(weight, threshold).tolist() == expected


@given(vectors, st.floats(0, 50, width=32))
def test_ternarize_is_odd(values: list[float], threshold: float) -> None:
    weight = torch.tensor(values)
    assert torch.equal(functional.ternarize(-weight, threshold), -functional.ternarize(weight, threshold))


@given(vectors, st.integers(1, 8), st.integers(-4, 2))
def test_activation_codes_are_shift_and_clamp_for_power_of_two_steps(
    values: list[float], width: int, power: int
) -> None:
    integers = np.round(np.array(values))
    codes = functional.activation_code(torch.from_numpy(integers) * 2.0**power, 1.0, width)
    expected = np.clip(np.floor(integers * 2.0**power + 0.5), 0, 2**width - 1)
    assert codes.tolist() == expected.tolist()


@given(vectors, st.floats(0.0625, 10, width=32), st.integers(1, 8))
def test_activation_codes_are_monotone_integers_in_range(values: list[float], step: float, width: int) -> None:
    codes = functional.activation_code(torch.tensor(sorted(values)), step, width)
    assert torch.equal(codes, codes.round())
    assert codes.min() >= 0
    assert codes.max() <= 2**width - 1
    assert (codes.diff() >= 0).all()


def test_halves_of_activations_go_up_and_halves_of_inputs_go_to_even() -> None:
    halves = torch.tensor([0.5, 1.5, 2.5])
    assert functional.activation_code(halves, 1.0, 4).tolist() == [1, 2, 3]
    assert functional.input_code(halves, 1.0, 4).tolist() == [0, 2, 2]


@given(vectors, st.floats(0.0625, 10, width=32), st.integers(1, 8))
def test_input_codes_are_the_networks_rule(values: list[float], scale: float, width: int) -> None:
    x = np.array(values)
    for real in (x, x.astype(np.float32)):
        ours = functional.input_code(torch.from_numpy(real), scale, width).numpy()
        assert np.array_equal(ours, quantize_input(real, scale, ActivationType(width, False)))


@pytest.mark.parametrize("full_scale", [16, 255])
@pytest.mark.parametrize("width", range(1, 9))
def test_images_have_the_same_codes_in_training(full_scale: int, width: int) -> None:
    images = np.arange(full_scale + 1)
    scale = full_scale / (2**width - 1)
    codes = functional.input_code(torch.from_numpy(images).float(), scale, width)
    assert codes.dtype is torch.float32
    assert codes.tolist() == quantize_input(images, scale, ActivationType(width, False)).tolist()


@settings(max_examples=50)
@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=40), st.data())
def test_threshold_for_zeros_reaches_its_number_and_no_smaller_one_does(
    values: list[float], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(0, len(values)))
    magnitude = torch.tensor(values)
    threshold = functional.threshold_for_zeros(magnitude, wanted)
    assert int((magnitude < threshold).sum()) >= wanted
    if wanted:
        below = torch.nextafter(threshold, torch.tensor(-1.0))
        assert int((magnitude < below).sum()) < wanted


@pytest.mark.parametrize("width", [1, 8])
def test_corner_widths(width: int) -> None:
    x = torch.tensor([-1e9, -0.0, 1e9])
    assert functional.activation_code(x, 1.0, width).tolist() == [0, 0, 2**width - 1]
