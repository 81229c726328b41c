"""Magnitude thresholds: exactly the smallest weights are zero, whenever an epoch ends."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sterna.train import models
from sterna.train.layers import TernaryConv2d, TernaryLinear
from sterna.train.methods import Balance, Magnitude, Schedule, Stage, Target, ZerosScope
from sterna.train.methods.magnitude import MagnitudeOptions
from sterna.train.quantizers import TernaryQuantizer


def make(*, zeros: float, target: dict[str, Any] | None = None, epochs: int = 12, **options: Any) -> Magnitude:
    return Magnitude(
        target=Target(zeros=zeros, **(target or {})),
        schedule=Schedule(epochs=epochs),
        options=MagnitudeOptions(**options),
    )


def network(seed: int = 0) -> nn.ModuleList:
    """A convolution and two fully connected layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        conv = TernaryConv2d(inputs=3, outputs=7, kernel=3, quantizer=TernaryQuantizer(shape=(7, 3, 3, 3)))
        sizes = ((11, 40), (5, 400))
        linear = [
            TernaryLinear(inputs=columns, outputs=rows, quantizer=TernaryQuantizer(shape=(rows, columns)))
            for rows, columns in sizes
        ]
        return nn.ModuleList([conv, *linear])


def nonzeros(model: nn.Module) -> list[list[int]]:
    """Of every row, by layer."""
    return [(layer.ternary() != 0).flatten(1).sum(dim=1).tolist() for layer in models.ternary_layers(model)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    percent=st.integers(0, 99),
    scope=st.sampled_from(ZerosScope),
    balance=st.sampled_from(Balance),
    power=st.integers(-20, 20),
)
def test_targets_are_met_to_the_weight(
    seed: int, percent: int, scope: ZerosScope, balance: Balance, power: int
) -> None:
    model = network(seed)
    for layer in models.ternary_layers(model):
        layer.weight.data *= 1.1**power  # products of thresholds are rounded
    method = make(zeros=percent / 100, target={"scope": scope, "balance": balance})
    method.begin(model, method.stages()[1])
    sizes = [layer.weight.numel() for layer in models.ternary_layers(model)]
    kept = nonzeros(model)
    if scope is ZerosScope.LAYER:
        assert [sum(rows) for rows in kept] == [size - -(-percent * size // 100) for size in sizes]
    else:
        assert sum(map(sum, kept)) == sum(sizes) - -(-percent * sum(sizes) // 100)
    if balance is Balance.ROWS:
        assert all(max(rows) - min(rows) <= 1 for rows in kept)


@pytest.mark.parametrize(("zeros", "limit"), [(None, 5_000), (0.5, 5_000), (0.9, 10**6)])
def test_lane_cycles_are_met_to_the_weight_along_a_ramp(zeros: float | None, limit: int) -> None:
    model = network()
    layers = models.ternary_layers(model)
    layers[0].positions = 100
    method = Magnitude(
        target=Target(zeros=zeros, lane_cycles=limit), schedule=Schedule(epochs=12), options=MagnitudeOptions()
    )
    cycles = []
    for stage in method.stages():
        method.begin(model, stage)
        cycles.append(sum(sum(rows) * la.positions for rows, la in zip(nonzeros(model), layers, strict=True)))
    dense = sum(la.weight.numel() * la.positions for la in layers)
    if limit == 5_000:
        assert cycles[0] <= 0.6 * dense
        assert zeros is not None or cycles[0] > 0.6 * dense - 100
        assert limit - 100 < cycles[1] <= limit
    else:
        count = sum(la.weight.numel() for la in layers)
        assert sum(map(sum, nonzeros(model))) == count - math.ceil(0.9 * count)


def test_layers_are_compared_by_what_their_weights_started_with() -> None:
    model = network()
    method = make(zeros=0.8)
    method.begin(model, method.stages()[1])
    layers = models.ternary_layers(model)
    scores = torch.cat([(layer.weight.abs() * layer.weight[0].numel() ** 0.5).flatten() for layer in layers])
    kept = torch.cat([layer.ternary().flatten() for layer in layers]) != 0
    assert scores[~kept].max() < scores[kept].min()


@pytest.mark.parametrize("epochs", [3, 7, 73])  # 73 gives a stage of 49 epochs, and 1 / 49 * 49 is below 1
@pytest.mark.parametrize("steps", [5, 6])
def test_every_epoch_ends_at_its_target(epochs: int, steps: int) -> None:
    model, method = network(), make(zeros=0.75, epochs=epochs)
    generator = torch.Generator().manual_seed(3)
    layers = models.ternary_layers(model)
    count = sum(layer.weight.numel() for layer in layers)
    for stage in method.stages():
        method.begin(model, stage)
        for epoch in range(stage.epochs):
            for step in range(steps):
                for layer in layers:
                    layer.weight.data += 0.02 * torch.randn(layer.weight.shape, generator=generator)
                progress = (epoch + (step + 1) / steps) / stage.epochs
                method.step(model, stage, progress)
            share = (epoch + 1) / stage.epochs
            wanted = 0.75 if stage.name == "settle" else 0.75 - 0.35 * (1 - share) ** 3
            zeros = count - sum(map(sum, nonzeros(model)))
            assert 0 <= zeros - wanted * count < 1 + 1e-6


def test_thresholds_are_renewed_within_epochs() -> None:
    model, method = network(), make(zeros=0.5)
    stage = Stage(name="settle", epochs=1, learning_rate=1.0, choose=True)
    method.begin(model, stage)
    renewed = []
    for step in range(1, 25):
        for layer in models.ternary_layers(model):
            layer.weight.data *= 1.5
        before = sum(map(sum, nonzeros(model)))
        method.step(model, stage, step / 100)
        if sum(map(sum, nonzeros(model))) < before:
            renewed.append(step)
    assert renewed == [8, 16, 24]


@pytest.mark.parametrize(("zeros", "start"), [(0.9, 0.4), (0.2, 0.2)])
def test_the_ramp_starts_where_it_is_told_and_never_above_the_target(zeros: float, start: float) -> None:
    model, method = network(), make(zeros=zeros)
    method.begin(model, method.stages()[0])
    count = sum(layer.weight.numel() for layer in models.ternary_layers(model))
    assert count - sum(map(sum, nonzeros(model))) == math.ceil(start * count - 1e-9)


def test_penalty_is_l2() -> None:
    model, method = network(), make(zeros=0.5, l2=0.01)
    method.penalty(model, method.stages()[0]).backward()  # type: ignore[union-attr]
    for layer in models.ternary_layers(model):
        assert torch.allclose(layer.weight.grad, 0.02 * layer.weight)
