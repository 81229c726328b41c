"""Export proves itself: exact where it agrees, and refuses, naming the layer, where it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sterna.net import Linear, Network, ShiftRound, Thresholds
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train import export as module
from sterna.train.export import ExportError, evaluation_model, export, fold, prove
from sterna.train.models import Mlp, Requantize

ModelFactory = Callable[..., Mlp]


def inputs(model: Mlp, count: int = 300, seed: int = 9) -> torch.Tensor:
    """Real inputs over the whole range of codes and past it."""
    top = model.input_quantizer.scale * 2**model.input_quantizer.width
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, model.layers[0].linear.weight.shape[1], generator=generator) * top * 1.2 - 0.1 * top


def exchange(network: Network, name: str, **changes: Any) -> Network:
    nodes = [dataclasses.replace(n, **changes) if n.name == name else n for n in network.nodes]
    return Network(
        input_shape=network.input_shape,
        input_type=network.input_type,
        input_scale=network.input_scale,
        nodes=nodes,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    requantize=st.sampled_from(Requantize),
    input_width=st.integers(1, 8),
    activation_width=st.integers(1, 8),
    factor=st.sampled_from([0.05, 1.0, 2.2, 3.3]),
    depth=st.integers(0, 3),
)
def test_export_is_exact(
    make_model: ModelFactory,
    seed: int,
    requantize: Requantize,
    input_width: int,
    activation_width: int,
    factor: float,
    depth: int,
) -> None:
    model = make_model(
        requantize=requantize,
        sizes=(12, *(9, 7, 8)[:depth], 4),
        input_width=input_width,
        activation_width=activation_width,
        learned_step=requantize is Requantize.THRESHOLDS and seed % 2 == 0,
        factor=factor,
        seed=seed,
    )
    x = inputs(model)
    network = fold(model)
    prove(network, model, x)
    kind = Thresholds if requantize is Requantize.THRESHOLDS else ShiftRound
    assert all(isinstance(node.requantize, kind) for node in network.nodes[:-1])  # type: ignore[union-attr]
    scores = GoldenModel(network).predict(model.codes(x).numpy())
    assert np.array_equal(
        np.argmax(scores, axis=1), np.argmax(evaluation_model(model)(x.double()).detach().numpy(), axis=1)
    )


def test_rows_of_negative_gain_are_negated(make_model: ModelFactory) -> None:
    model = make_model(seed=4)
    first = fold(model).nodes[0]
    assert isinstance(first, Linear)
    ternary = model.layers[0].linear.ternary().detach().numpy()
    gain = model.layers[0].normalize.weight.detach().numpy()
    assert (gain < 0).any()
    assert (gain > 0).any()
    for row in range(len(gain)):
        assert np.array_equal(first.weights[row], np.sign(gain[row]) * ternary[row])


def test_zero_gain_and_empty_rows_become_constants(make_model: ModelFactory) -> None:
    model = make_model(seed=5)
    layer = model.layers[0]
    layer.normalize.weight.data[0] = 0.0
    layer.linear.quantizer.prune(layer.linear.weight)
    layer.linear.quantizer.mask[1] = 0.0
    network = fold(model)
    prove(network, model, inputs(model))
    codes = GoldenModel(network).trace(model.codes(inputs(model)).numpy())["fc1"]
    assert len(np.unique(codes[:, 0])) == len(np.unique(codes[:, 1])) == 1


def test_file_is_written_with_its_description(make_model: ModelFactory, tmp_path: Path) -> None:
    model = make_model()
    path = tmp_path / "m.safetensors"
    network = export(model, path, inputs=inputs(model), describe=lambda n: {"zeros": n.zeros, "seed": 3})
    read = load(path)
    assert read.digest == network.digest == fold(model).digest
    assert read.metadata == {"zeros": network.zeros, "seed": 3}


def test_exporting_leaves_the_model_alone(make_model: ModelFactory) -> None:
    model = make_model()
    model.train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    prove(fold(model), model, inputs(model))
    assert model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def moved_threshold(network: Network, name: str, x: np.ndarray) -> Network:
    """The same network with one threshold of ``name`` one higher: one that an accumulator of ``x`` sits on."""
    node = network.node(name)
    assert isinstance(node, Linear)
    assert isinstance(node.requantize, Thresholds)
    previous = GoldenModel(network).trace(x).get(node.inputs[0], x)
    acc = previous @ node.weights.astype(np.int64).T
    levels = node.requantize.levels.copy()
    for channel, k in np.ndindex(levels.shape):
        if (acc[:, channel] == levels[channel, k]).any() and (levels[channel, k + 1 :] > levels[channel, k]).all():
            levels[channel, k] += 1
            requantize = Thresholds(output=node.requantize.output, levels=levels)
            return exchange(network, name, requantize=requantize)
    raise AssertionError("no accumulator sits on a threshold")


@pytest.mark.parametrize("name", ["fc1", "fc2"])
def test_export_refuses_a_threshold_moved_by_one(
    make_model: ModelFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model = make_model(seed=6)
    x = inputs(model)
    codes = model.codes(x).numpy().astype(np.int64)
    monkeypatch.setattr(module, "fold", lambda model: moved_threshold(fold(model), name, codes))
    path = tmp_path / "m.safetensors"
    with pytest.raises(ExportError, match=rf"^{name}: the folded network differs from the model in \d+ values; first"):
        export(model, path, inputs=x)
    assert not list(tmp_path.iterdir())


def test_export_refuses_other_biases_shifts_weights_and_scales(make_model: ModelFactory) -> None:
    model = make_model(requantize=Requantize.SHIFT, seed=7)
    x = inputs(model)
    network = fold(model)
    prove(network, model, x)
    first, last = network.nodes[0], network.nodes[-1]
    assert isinstance(first, Linear)
    assert isinstance(last, Linear)
    assert isinstance(first.requantize, ShiftRound)
    output, bias, shift = first.requantize.output, first.requantize.bias, first.requantize.shift
    weights = first.weights.copy()
    weights[2, 3] = 1 - abs(weights[2, 3])
    for name, changes in (
        ("fc1", {"requantize": ShiftRound(output=output, bias=bias + np.eye(len(bias), dtype=int)[0], shift=shift)}),
        ("fc1", {"requantize": ShiftRound(output=output, bias=bias, shift=shift + 1)}),
        ("fc1", {"weights": weights}),
        ("fc3", {"bias": last.bias + np.array([0, 1, 0, 0])}),
    ):
        with pytest.raises(ExportError, match=f"^{name}: the folded network differs"):
            prove(exchange(network, name, **changes), model, x)
    other_scale = Network(
        input_shape=network.input_shape,
        input_type=network.input_type,
        input_scale=network.input_scale * 1.1,
        nodes=network.nodes,
    )
    with pytest.raises(ExportError, match=r"^input: the folded network differs"):
        prove(other_scale, model, x)


def test_export_refuses_scores_of_different_scales(make_model: ModelFactory, tmp_path: Path) -> None:
    model = make_model()
    score = model.layers[-1]
    score.log_scale = torch.nn.Parameter(torch.full((4,), 0.5))
    export(model, tmp_path / "same.safetensors", inputs=inputs(model))
    score.log_scale.data[2] += 1e-3
    with pytest.raises(ExportError, match=r"^fc3: scores of different classes must share one real scale, not 2"):
        export(model, tmp_path / "other.safetensors", inputs=inputs(model))
    assert [path.name for path in tmp_path.iterdir()] == ["same.safetensors"]


@pytest.mark.parametrize("which", ["mean", "deviation"])
def test_export_refuses_input_normalization_per_channel(make_model: ModelFactory, which: str) -> None:
    model = make_model()
    setattr(model.input_quantizer, which, torch.ones(12))
    with pytest.raises(ExportError, match=r"^input: a mean or deviation per channel cannot be folded"):
        fold(model)


def test_export_refuses_codes_that_rise_and_fall(make_model: ModelFactory) -> None:
    class Square(torch.nn.Module):
        def forward(self, acc: torch.Tensor) -> torch.Tensor:
            return acc.square() / 100

    model = make_model()
    model.layers[1].normalize = Square()
    with pytest.raises(ExportError, match=r"^fc2: codes of channel \d+ both rise and fall with its accumulator"):
        fold(model)


def test_export_refuses_without_inputs(make_model: ModelFactory) -> None:
    model = make_model()
    with pytest.raises(ExportError, match=r"no test input to prove the export on"):
        prove(fold(model), model, torch.zeros(0, 12))


def test_biases_past_int32_are_refused(make_model: ModelFactory) -> None:
    model = make_model(requantize=Requantize.SHIFT)
    model.layers[0].normalize.offset.data[0] = 1e12
    with pytest.raises(ExportError, match=r"^fc1: bias"):
        fold(model)
