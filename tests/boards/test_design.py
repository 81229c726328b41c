from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sterna.boards.catalog import find_board
from sterna.boards.design import budget_beside_transport, fit_board, line_rate
from sterna.flow.devices import find_device
from sterna.hw import AcceleratorConfig, DeviceTooSmall, input_stream
from sterna.net import load

MODELS = Path(__file__).parents[2] / "models"
DIGITS = load(MODELS / "digits-mlp.safetensors")
UP5K = find_board("icebreaker").device


def test_line_rate() -> None:
    # 64 codes of 4 bits, a byte each, ten bits on the line.
    assert line_rate(input_stream(DIGITS, AcceleratorConfig()), 1e6) == 1e6 / 640
    assert line_rate(input_stream(DIGITS, AcceleratorConfig(elements_per_beat=4)), 1e6) == 1e6 / 640


def test_lanes_for_the_line() -> None:
    fit = fit_board(DIGITS, UP5K, baud=1e6, clock_hz=25e6, config=AcceleratorConfig())
    assert [unit.lanes for unit in fit.plan.units if unit.lanes] == [1, 1, 1]
    assert fit.cycles <= 25e6 / line_rate(fit.plan.input, 1e6)
    faster = fit_board(DIGITS, UP5K, baud=12e6, clock_hz=4e6, config=AcceleratorConfig())
    assert max(unit.lanes for unit in faster.plan.units) > 1


def test_as_many_as_fit_where_the_line_is_faster() -> None:
    mnist = load(MODELS / "mnist-mlp-98.safetensors")
    device = find_device("hx8k")
    fit = fit_board(mnist, device, baud=1e12, clock_hz=60e6, config=AcceleratorConfig())
    assert not budget_beside_transport(device).missing(fit.use)


def test_what_does_not_fit() -> None:
    small = replace(UP5K, slots=2000)
    with pytest.raises(
        DeviceTooSmall, match="does not fit in iCE40UP5K beside the transport even with the fewest lanes"
    ):
        fit_board(DIGITS, small, baud=1e6, clock_hz=25e6, config=AcceleratorConfig())


def test_a_budget_beside_the_transport() -> None:
    budget = budget_beside_transport(UP5K)
    assert 4300 < budget.slots < UP5K.slots - 500
    assert budget.ram_blocks == 27
