"""Export proves itself: exact where it agrees, and refuses, naming the layer, where it does not."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from sterna.net import (
    Add,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Node,
    ShiftRound,
    SumNode,
    SumPool2d,
    Thresholds,
    WeightNode,
)
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.train import export as module
from sterna.train.export import ExportError, evaluation_model, export, fold, prove, refusal
from sterna.train.layers import AddLayer, HiddenLayer, TernaryLayer
from sterna.train.methods import METHODS, Schedule, Target
from sterna.train.models import Requantize, TernaryNetwork, ternary_layers

ModelFactory = Callable[..., TernaryNetwork]

#: One of everything: 2 x 7 x 7, convolutions with and without padding and stride, both pools, both shortcuts.
EVERYTHING = "4C3p1-R4-MP2-R6s2-AP2-8"
MAPS = (2, 7, 7)


def inputs(model: TernaryNetwork, count: int = 300, seed: int = 9) -> torch.Tensor:
    """Real inputs over the whole range of codes and past it."""
    top = model.input_quantizer.scale * 2**model.input_quantizer.width
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *model.input_shape, generator=generator) * top * 1.2 - 0.1 * top


def with_nodes(network: Network, nodes: list[Node]) -> Network:
    return Network(
        input_shape=network.input_shape,
        input_type=network.input_type,
        input_scale=network.input_scale,
        nodes=nodes,
    )


def exchange(network: Network, name: str, **changes: Any) -> Network:
    return with_nodes(network, [dataclasses.replace(n, **changes) if n.name == name else n for n in network.nodes])


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
        topology="-".join(("9", "7", "8")[:depth]),
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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    topology=st.sampled_from(
        ["4C3-MP2-6", "4C3p1-MP2-6C3s2p1-8", "4C3p1-R4-R6s2-AP2", "R2-AP3", "AP2-3C2s2", "MP3-5C1-R5-9", "3C7s3p3-MP2"]
    ),
    requantize=st.sampled_from(Requantize),
    input_width=st.integers(1, 8),
    activation_width=st.integers(1, 8),
    factor=st.sampled_from([0.05, 1.0, 2.2]),
    shape=st.tuples(st.integers(1, 3), st.integers(6, 8), st.integers(6, 8)),
    silent=st.booleans(),
)
def test_export_of_convolutions_is_exact(
    make_model: ModelFactory,
    seed: int,
    topology: str,
    requantize: Requantize,
    input_width: int,
    activation_width: int,
    factor: float,
    shape: tuple[int, int, int],
    silent: bool,
) -> None:
    model = make_model(
        topology=topology,
        image_shape=shape,
        requantize=requantize,
        input_width=input_width,
        activation_width=activation_width,
        learned_step=requantize is Requantize.THRESHOLDS and seed % 2 == 0,
        factor=factor,
        seed=seed,
    )
    if silent:  # one channel of each layer without a gain, and one without weights
        silence(model, gain=seed % 2, weights=(seed + 1) % 2)
    x = inputs(model, count=24)
    network = fold(model)
    prove(network, model, x)
    wanted = Thresholds if requantize is Requantize.THRESHOLDS else ShiftRound
    for node in network.nodes:
        assert node.inputs == model.inputs[node.name]
        layer = model.layers[node.name]
        if isinstance(layer, HiddenLayer | AddLayer):
            assert isinstance(node, SumNode)
            assert type(node.requantize) is wanted
            assert node.requantize.output.width == activation_width
    # The judge, once without any of the export's own comparisons.
    scores = evaluation_model(model)(x.double()).detach().numpy()
    codes = np.clip(np.round(x.double().numpy() / 0.37), 0, 2**input_width - 1).astype(np.int64)
    scale = math.exp(float(model.layers[network.output_name].log_scale.detach().double()))
    ours = GoldenModel(network).predict(codes) * scale
    assert np.allclose(ours, scores, rtol=1e-12, atol=0)


def silence(model: TernaryNetwork, *, gain: int, weights: int) -> None:
    """Channel ``gain`` of every batch normalization gets the gain 0, row ``weights`` of every layer no weights."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.weight.data[gain] = 0.0
        if isinstance(part, TernaryLayer):
            part.quantizer.prune(part.weight)
            part.quantizer.mask[weights] = 0.0


def test_every_kind_of_layer_becomes_its_node(make_model: ModelFactory) -> None:
    model = make_model(topology=EVERYTHING, image_shape=MAPS)
    model.layers["add1"].shifts.copy_(torch.tensor([0.0, 3.0]))
    network = fold(model)
    prove(network, model, inputs(model, count=50))
    assert [(node.name, type(node)) for node in network.nodes] == [
        ("conv1", Conv2d), ("conv2", Conv2d), ("conv3", Conv2d), ("add1", Add), ("pool1", MaxPool2d),
        ("conv4", Conv2d), ("conv5", Conv2d), ("shortcut1", Conv2d), ("add2", Add), ("pool2", SumPool2d),
        ("flatten", Flatten), ("fc1", Linear), ("fc2", Linear),
    ]  # fmt: skip
    conv1, add1, conv4, shortcut = (network.node(name) for name in ("conv1", "add1", "conv4", "shortcut1"))
    assert isinstance(conv1, Conv2d)
    assert isinstance(add1, Add)
    assert isinstance(conv4, Conv2d)
    assert isinstance(shortcut, Conv2d)
    assert (conv1.padding, conv1.stride, conv4.padding, conv4.stride) == ((1, 1), (1, 1), (1, 1), (2, 2))
    assert (shortcut.kernel, shortcut.stride, shortcut.requantize) == ((1, 1), (2, 2), None)
    assert (add1.inputs, add1.shifts) == (("conv3", "conv1"), (0, 3))
    assert network.shapes["add2"] == (6, 2, 2)


@pytest.mark.parametrize(("topology", "shape", "name"), [("9-7", (12,), "fc1"), ("5C3p1-7", (2, 5, 5), "conv1")])
def test_rows_of_negative_gain_are_negated(
    make_model: ModelFactory, topology: str, shape: tuple[int, ...], name: str
) -> None:
    model = make_model(topology=topology, image_shape=shape, seed=4)
    gains = model.layers[name].normalize.weight.data
    gains.copy_(torch.tensor([1.0, -0.5, -2.0]).repeat(3)[: len(gains)])
    network = fold(model)
    prove(network, model, inputs(model, count=50))
    first = network.node(name)
    assert isinstance(first, WeightNode)
    ternary = model.layers[name].linear.ternary().detach().numpy()
    for row, gain in enumerate(gains.tolist()):
        assert np.array_equal(first.weights[row], np.sign(gain) * ternary[row])


@pytest.mark.parametrize(("topology", "shape", "name"), [("9-7", (12,), "fc1"), ("5C3p1-7", (2, 5, 5), "conv1")])
def test_zero_gain_and_empty_rows_become_constants(
    make_model: ModelFactory, topology: str, shape: tuple[int, ...], name: str
) -> None:
    model = make_model(topology=topology, image_shape=shape, seed=5)
    silence(model, gain=0, weights=1)
    network = fold(model)
    x = inputs(model, count=100)
    prove(network, model, x)
    codes = GoldenModel(network).trace(model.codes(x).numpy())[name]
    assert len(np.unique(codes[:, 0])) == len(np.unique(codes[:, 1])) == 1
    assert all(len(np.unique(codes[:, channel])) > 1 for channel in range(2, 5))


def test_falling_gains_of_additions_are_made_positive(make_model: ModelFactory) -> None:
    model = make_model(topology=EVERYTHING, image_shape=MAPS, seed=2)
    model.layers["add1"].normalize.weight.data.fill_(-0.7)
    network = fold(model)
    prove(network, model, inputs(model, count=50))
    codes = GoldenModel(network).trace(model.codes(inputs(model, count=50)).numpy())["add1"]
    assert len(np.unique(codes)) > 4


def test_file_is_written_with_its_description(make_model: ModelFactory, tmp_path: Path) -> None:
    model = make_model()
    path = tmp_path / "m.safetensors"
    network = export(model, path, inputs=inputs(model), describe=lambda n: {"zeros": n.zeros, "seed": 3})
    read = load(path)
    assert read.digest == network.digest == fold(model).digest
    assert read.metadata == {"zeros": network.zeros, "seed": 3}


def test_exporting_leaves_the_model_alone(make_model: ModelFactory) -> None:
    model = make_model(topology=EVERYTHING, image_shape=MAPS)
    model.train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    prove(fold(model), model, inputs(model, count=20))
    assert model.training
    assert next(model.parameters()).dtype is torch.float32
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


@pytest.mark.parametrize(("topology", "shape"), [("9-7", (12,)), (EVERYTHING, MAPS)])
def test_sizes_of_the_parts_change_nothing(
    make_model: ModelFactory, monkeypatch: pytest.MonkeyPatch, topology: str, shape: tuple[int, ...]
) -> None:
    model = make_model(topology=topology, image_shape=shape)
    digest = fold(model).digest
    monkeypatch.setattr(module, "_ROWS", 7)
    network = fold(model)
    assert network.digest == digest
    prove(network, model, inputs(model, count=20))


def test_biases_halfway_between_integers_go_up(make_model: ModelFactory) -> None:
    model = make_model(requantize=Requantize.SHIFT)
    norm = model.layers["fc1"].normalize
    norm.offset.data.zero_()
    norm.running_mean.copy_(torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.0, -1.0, 7.0]))
    network = fold(model)
    node = network.node("fc1")
    assert isinstance(node, Linear)
    assert isinstance(node.requantize, ShiftRound)
    assert node.requantize.bias.tolist() == [3, 2, 1, 0, -1, -2, 0, 1, -7]
    prove(network, model, inputs(model))


def ancestry(network: Network, name: str) -> list[Node]:
    """The node of this name, without requantization, and all before it that it needs."""
    nodes: list[Node] = []
    wanted = {name}
    for node in reversed(network.nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
            nodes.insert(0, dataclasses.replace(node, requantize=None) if node.name == name else node)
    return nodes


def moved_threshold(network: Network, name: str, x: np.ndarray) -> Network:
    """The same network with one threshold of ``name`` one higher: one that an accumulator of ``x`` sits on."""
    node = network.node(name)
    assert isinstance(node, SumNode)
    assert isinstance(node.requantize, Thresholds)
    acc = GoldenModel(with_nodes(network, ancestry(network, name))).predict(x)
    levels = node.requantize.levels.copy()
    for channel, k in reversed(list(np.ndindex(levels.shape))):
        if (acc[:, channel] == levels[channel, k]).any() and (levels[channel, k + 1 :] > levels[channel, k]).all():
            levels[channel, k] += 1
            return exchange(network, name, requantize=Thresholds(output=node.requantize.output, levels=levels))
    raise AssertionError("no accumulator sits on a threshold")


def difference(network: Network, other: Network, name: str, x: np.ndarray) -> str:
    """What export has to say where ``network`` is to be exported and ``other`` is right."""
    ours, theirs = (GoldenModel(one).trace(x)[name] for one in (network, other))
    image, channel, *pixel = (int(i) for i in np.argwhere(ours != theirs)[0])
    at = (image, channel, *pixel)
    where = f"channel {channel}" + (f", pixel ({pixel[0]}, {pixel[1]})" if pixel else "")
    return (
        f"{name}: the folded network differs from the model in {(ours != theirs).sum()} values; "
        f"first at input {image}, {where}: {ours[at]} instead of {theirs[at]}"
    )


@pytest.mark.parametrize(
    ("topology", "shape", "name"),
    [
        ("9-7", (12,), "fc1"),
        ("9-7", (12,), "fc2"),
        *((EVERYTHING, MAPS, name) for name in ("conv1", "conv2", "add1", "conv4", "add2", "fc1")),
    ],
)
def test_export_refuses_a_threshold_moved_by_one(
    make_model: ModelFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    topology: str,
    shape: tuple[int, ...],
    name: str,
) -> None:
    model = make_model(topology=topology, image_shape=shape, seed=6)
    x = inputs(model, count=60)
    codes = model.codes(x).numpy().astype(np.int64)
    moved = moved_threshold(fold(model), name, codes)
    message = difference(moved, fold(model), name, codes)
    monkeypatch.setattr(module, "fold", lambda model: moved)
    with pytest.raises(ExportError) as caught:
        export(model, tmp_path / "m.safetensors", inputs=x)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


def test_the_first_difference_is_found_in_any_part(make_model: ModelFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(topology=EVERYTHING, image_shape=MAPS, seed=6)
    x = inputs(model, count=60)
    codes = model.codes(x).numpy().astype(np.int64)
    network = fold(model)
    moved = moved_threshold(network, "add2", codes)
    traces = [GoldenModel(one).trace(codes)["add2"] for one in (network, moved)]
    first = int(np.argwhere(traces[0] != traces[1])[0, 0])
    late = x[[first] + [i for i in range(60) if (traces[0][i] == traces[1][i]).all()]].roll(-1, dims=0)
    assert len(late) > 15
    monkeypatch.setattr(module, "_ROWS", 4)
    with pytest.raises(ExportError, match=rf"^add2: .* first at input {len(late) - 1}, channel"):
        prove(moved, model, late)


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


@pytest.mark.parametrize("requantize", Requantize)
def test_export_refuses_other_maps(make_model: ModelFactory, requantize: Requantize) -> None:
    """A difference anywhere in the graph is found, and blamed on the first layer that it shows in."""
    model = make_model(topology=EVERYTHING, image_shape=MAPS, requantize=requantize, seed=8)
    x = inputs(model, count=40)
    network = fold(model)
    prove(network, model, x)
    weights = {}
    for name in ("conv1", "conv3", "shortcut1"):
        node = network.node(name)
        assert isinstance(node, Conv2d)
        weights[name] = node.weights.copy()
        weights[name].flat[0] = 1 - abs(weights[name].flat[0])
    pool = network.node("pool2")
    assert isinstance(pool, SumPool2d)
    assert isinstance(pool.requantize, ShiftRound)
    half = ShiftRound(output=pool.requantize.output, bias=pool.requantize.bias, shift=pool.requantize.shift + 1)
    for name, changes in (
        *((name, {"weights": changed}) for name, changed in weights.items()),
        ("conv5", {"bias": np.array([0, 0, 1, 0, 0, 0])}),
        ("add1", {"shifts": (1, 0)}),
        ("add2", {"inputs": ("shortcut1", "conv5"), "shifts": (2, 0)}),
        ("pool2", {"requantize": half}),
    ):
        with pytest.raises(ExportError, match=rf"^{name}: the folded network differs .* pixel \(\d+, \d+\): "):
            prove(exchange(network, name, **changes), model, x)


def test_export_refuses_scores_of_different_scales(make_model: ModelFactory, tmp_path: Path) -> None:
    model = make_model()
    score = model.layers["fc3"]
    score.log_scale = nn.Parameter(torch.full((4,), 0.5))
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


class Square(nn.Module):
    def forward(self, acc: torch.Tensor) -> torch.Tensor:
        return acc.square() / 100


@pytest.mark.parametrize(
    ("topology", "shape", "name"), [("9-7", (12,), "fc2"), *((EVERYTHING, MAPS, name) for name in ("conv2", "fc1"))]
)
def test_export_refuses_codes_that_rise_and_fall(
    make_model: ModelFactory, topology: str, shape: tuple[int, ...], name: str
) -> None:
    model = make_model(topology=topology, image_shape=shape)
    model.layers[name].normalize = Square()
    with pytest.raises(ExportError, match=rf"^{name}: codes of channel \d+ both rise and fall with its accumulator$"):
        fold(model)


def test_export_refuses_sums_of_branches_that_fall(make_model: ModelFactory, tmp_path: Path) -> None:
    model = make_model(topology=EVERYTHING, image_shape=MAPS)
    falling = nn.BatchNorm2d(6).eval()
    falling.weight.data = torch.tensor([1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
    model.layers["add2"].normalize = falling
    with pytest.raises(ExportError) as caught:
        export(model, tmp_path / "m.safetensors", inputs=inputs(model, count=5))
    assert str(caught.value) == (
        "add2: codes of channel 3 fall with its accumulator, and a sum of branches has no weights whose signs could "
        "turn; keep the gain positive"
    )
    assert not list(tmp_path.iterdir())
    falling.weight.data.abs_()
    export(model, tmp_path / "m.safetensors", inputs=inputs(model, count=5))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ttq", "TTQ learns different scales for +1 and -1, so its sums are no integers times one scale; "),
        ("float", "its weights are real numbers; "),
    ],
)
@pytest.mark.parametrize(("topology", "layer"), [("9-7", "fc1"), ("2C3-R2-5", "conv1"), ("R2", "conv1"), ("", "fc1")])
def test_export_refuses_weights_that_are_not_ternary(
    make_model: ModelFactory, tmp_path: Path, name: str, reason: str, topology: str, layer: str
) -> None:
    kind = METHODS[name]
    method = kind(target=Target(), schedule=Schedule(epochs=2), options=kind.options_type())
    model = make_model(topology=topology, image_shape=(2, 6, 6))
    assert refusal(model) is None
    for part in ternary_layers(model):
        part.quantizer = method.quantizer(tuple(part.weight.shape))
    told = reason + "train with sparsity-induced, sca, magnitude or twn for hardware"
    assert refusal(model) == told
    with pytest.raises(ExportError, match=f"^{layer}: {re.escape(told)}$"):
        export(model, tmp_path / "m.safetensors", inputs=inputs(model, count=5))
    assert not list(tmp_path.iterdir())


def test_one_layer_that_is_not_ternary_is_found(make_model: ModelFactory) -> None:
    model = make_model(topology="2C3-R2-5", image_shape=(2, 6, 6))
    kind = METHODS["float"]
    method = kind(target=Target(), schedule=Schedule(epochs=2), options=kind.options_type())
    model.layers["conv3"].quantizer = method.quantizer((2, 2, 3, 3))
    with pytest.raises(ExportError, match=r"^conv3: its weights are real numbers"):
        fold(model)


def test_export_refuses_layers_that_it_does_not_know(make_model: ModelFactory) -> None:
    model = make_model(topology="2C3-MP2-5", image_shape=(2, 6, 6))
    model.layers["pool1"] = nn.AvgPool2d(2)
    with pytest.raises(ExportError, match=r"^pool1: AvgPool2d has no node to be exported to$"):
        fold(model)


def test_export_refuses_without_inputs(make_model: ModelFactory) -> None:
    model = make_model()
    with pytest.raises(ExportError, match=r"no test input to prove the export on"):
        prove(fold(model), model, torch.zeros(0, 12))


@pytest.mark.parametrize("value", [1e12, -1e30, math.inf, math.nan])
@pytest.mark.parametrize("name", ["conv1", "add1", "fc1"])
def test_biases_past_int32_are_refused(make_model: ModelFactory, name: str, value: float) -> None:
    model = make_model(topology=EVERYTHING, image_shape=MAPS, requantize=Requantize.SHIFT)
    model.layers[name].normalize.offset.data[0] = value
    with pytest.raises(ExportError, match=rf"^{name}: a bias became .*, which is no 32-bit integer; lower the learnin"):
        fold(model)


@pytest.mark.parametrize(("bias", "log_scale"), [(1e30, 0.0), (math.nan, 0.0), (1.0, -60.0), (1.0, -800.0)])
def test_scores_biases_past_int32_are_refused(make_model: ModelFactory, bias: float, log_scale: float) -> None:
    model = make_model()
    last = list(model.layers.values())[-1]
    last.bias.data[1], last.log_scale.data[...] = bias, log_scale
    with pytest.raises(ExportError, match=r"^fc3: a bias became .*, which is no 32-bit integer; lower the learning ra"):
        fold(model)
