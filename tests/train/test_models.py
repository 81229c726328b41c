"""Networks built from a topology."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from sterna.net.errors import InvalidValueError
from sterna.train import models
from sterna.train.layers import AddLayer, HiddenLayer, ScoreLayer, SumPool, TernaryConv2d, TernaryLinear
from sterna.train.models import Requantize, TernaryNetwork, build
from sterna.train.normalize import PositiveBatchNorm2d, PowerOfTwoNorm
from sterna.train.quantizers import InputQuantizer, TernaryQuantizer
from sterna.train.topology import parse_topology


def make(topology: str, image_shape: tuple[int, ...] = (1, 8, 8), **changes: Any) -> TernaryNetwork:
    values: dict[str, Any] = {"activation_width": 4, "requantize": Requantize.THRESHOLDS, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build(
            topology=parse_topology(topology),
            image_shape=image_shape,
            classes=5,
            input_quantizer=InputQuantizer(width=3, scale=0.1),
            quantizer=lambda shape: TernaryQuantizer(shape=shape),
            **values,
        )


def images(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(2))


GRAPHS = {
    "": [("fc1", ScoreLayer, ("input",), (5,))],
    "16-12": [
        ("fc1", HiddenLayer, ("input",), (16,)),
        ("fc2", HiddenLayer, ("fc1",), (12,)),
        ("fc3", ScoreLayer, ("fc2",), (5,)),
    ],
    "4C3-MP2-6C3s2p1-7": [
        ("conv1", HiddenLayer, ("input",), (4, 6, 6)),
        ("pool1", nn.MaxPool2d, ("conv1",), (4, 3, 3)),
        ("conv2", HiddenLayer, ("pool1",), (6, 2, 2)),
        ("flatten", nn.Flatten, ("conv2",), (24,)),
        ("fc1", HiddenLayer, ("flatten",), (7,)),
        ("fc2", ScoreLayer, ("fc1",), (5,)),
    ],
    "4C1-R4-R6s2-R6-AP2": [
        ("conv1", HiddenLayer, ("input",), (4, 8, 8)),
        ("conv2", HiddenLayer, ("conv1",), (4, 8, 8)),
        ("conv3", TernaryConv2d, ("conv2",), (4, 8, 8)),
        ("add1", AddLayer, ("conv3", "conv1"), (4, 8, 8)),
        ("conv4", HiddenLayer, ("add1",), (6, 4, 4)),
        ("conv5", TernaryConv2d, ("conv4",), (6, 4, 4)),
        ("shortcut1", TernaryConv2d, ("add1",), (6, 4, 4)),
        ("add2", AddLayer, ("conv5", "shortcut1"), (6, 4, 4)),
        ("conv6", HiddenLayer, ("add2",), (6, 4, 4)),
        ("conv7", TernaryConv2d, ("conv6",), (6, 4, 4)),
        ("add3", AddLayer, ("conv7", "add2"), (6, 4, 4)),
        ("pool1", SumPool, ("add3",), (6, 2, 2)),
        ("flatten", nn.Flatten, ("pool1",), (24,)),
        ("fc1", ScoreLayer, ("flatten",), (5,)),
    ],
    "2C1-R2s2": [
        ("conv1", HiddenLayer, ("input",), (2, 8, 8)),
        ("conv2", HiddenLayer, ("conv1",), (2, 4, 4)),
        ("conv3", TernaryConv2d, ("conv2",), (2, 4, 4)),
        ("shortcut1", TernaryConv2d, ("conv1",), (2, 4, 4)),
        ("add1", AddLayer, ("conv3", "shortcut1"), (2, 4, 4)),
        ("flatten", nn.Flatten, ("add1",), (32,)),
        ("fc1", ScoreLayer, ("flatten",), (5,)),
    ],
    "R1-R3": [
        ("conv1", HiddenLayer, ("input",), (1, 8, 8)),
        ("conv2", TernaryConv2d, ("conv1",), (1, 8, 8)),
        ("add1", AddLayer, ("conv2", "input"), (1, 8, 8)),
        ("conv3", HiddenLayer, ("add1",), (3, 8, 8)),
        ("conv4", TernaryConv2d, ("conv3",), (3, 8, 8)),
        ("shortcut1", TernaryConv2d, ("add1",), (3, 8, 8)),
        ("add2", AddLayer, ("conv4", "shortcut1"), (3, 8, 8)),
        ("flatten", nn.Flatten, ("add2",), (192,)),
        ("fc1", ScoreLayer, ("flatten",), (5,)),
    ],
}


@pytest.mark.parametrize("topology", GRAPHS)
def test_names_inputs_and_shapes(topology: str) -> None:
    model = make(topology).eval()
    assert [name for name, _ in model.named_layers()] == [name for name, *_ in GRAPHS[topology]]
    walked = list(model.walk(model.codes(images(2))))
    for (name, layer, operands, output), (_, kind, inputs, shape) in zip(walked, GRAPHS[topology], strict=True):
        assert type(layer) is kind, name
        assert model.inputs[name] == inputs
        assert len(operands) == len(inputs)
        assert output.shape == (2, *shape), name
        for part in layer.modules():
            if isinstance(part, TernaryConv2d):
                assert part.positions == shape[1] * shape[2]
            if isinstance(part, TernaryLinear):
                assert part.positions == 1


def test_forward_is_the_graph(make_model: Callable[..., TernaryNetwork]) -> None:
    model = make_model(topology="R1-R3s2-AP2", image_shape=(1, 8, 8))
    x = images(4) * 6
    part = model.layers
    code = model.codes(x)
    one = part["add1"](part["conv2"](part["conv1"](code)), code)
    two = part["add2"](part["conv4"](part["conv3"](one)), part["shortcut1"](one))
    assert torch.equal(model(x), part["fc1"](part["pool1"](two).reshape(4, -1)))


def test_codes_take_images_in_any_layout() -> None:
    x = images(3)
    assert torch.equal(make("16").codes(x), make("16").codes(x.reshape(3, 64)))
    assert make("16").codes(x).shape == (3, 64)
    assert make("2C3").codes(x).shape == (3, 1, 8, 8)
    assert make("16", (64,)).codes(x).shape == (3, 64)


@pytest.mark.parametrize(
    ("topology", "width"), [("AP8", 3), ("MP2-AP8", 3), ("4C3p1-AP8", 4), ("4C3p1-MP2-AP8", 4), ("AP2-AP8", 8)]
)
def test_sums_know_the_width_of_their_inputs(topology: str, width: int) -> None:
    *_, pool = (layer for layer in make(topology, (1, 16, 16)).modules() if isinstance(layer, SumPool))
    assert pool.shift == SumPool(kernel=8, input_width=width).shift == {3: 1, 4: 2, 8: 6}[width]


@pytest.mark.parametrize("requantize", Requantize)
def test_normalizations(requantize: Requantize) -> None:
    model = make("4C3-R6-7", requantize=requantize)
    kinds = {name: type(layer.normalize) for name, layer in model.named_layers() if hasattr(layer, "normalize")}
    if requantize is Requantize.SHIFT:
        assert kinds == dict.fromkeys(("conv1", "conv2", "add1", "fc1"), PowerOfTwoNorm)
    else:
        plain = nn.BatchNorm2d
        assert kinds == {"conv1": plain, "conv2": plain, "add1": PositiveBatchNorm2d, "fc1": nn.BatchNorm1d}


def test_steps_reach_four_deviations() -> None:
    for width, step in ((1, 1.0), (2, 1.0), (4, 0.25), (8, 2.0**-6)):
        model = make("4C3", activation_width=width, requantize=Requantize.SHIFT)
        hidden = model.layers["conv1"]
        assert (float(hidden.activation.step), hidden.normalize.step) == (step, step)


@pytest.mark.parametrize(
    ("topology", "shape", "message"),
    [
        ("4C9", (1, 8, 8), "topology: a kernel of 9 does not fit into maps of 8 x 8"),
        ("4C3-MP2-4C4", (1, 8, 8), "topology: a kernel of 4 does not fit into maps of 3 x 3"),
        ("4C9p1", (1, 4, 8), "topology: a kernel of 9 does not fit into maps of 4 x 8"),
        ("MP9", (1, 8, 8), "topology: a window of 9 does not fit into maps of 8 x 8"),
        ("AP5", (1, 8, 4), "topology: a window of 5 does not fit into maps of 8 x 4"),
        ("4C3", (64,), "topology: convolutions and pools need images, not 64 features"),
        ("MP2", (64,), "topology: convolutions and pools need images, not 64 features"),
        ("R4", (64,), "topology: convolutions and pools need images, not 64 features"),
    ],
)
def test_layers_that_do_not_fit_are_named(topology: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make(topology, shape)
    assert str(caught.value) == message


def test_windows_as_large_as_their_maps_fit() -> None:
    assert make("4C8-16").layers["fc1"].linear.weight.shape == (16, 4)
    assert make("4C3p1-AP8").layers["fc1"].linear.weight.shape == (5, 4)
    assert make("4C10p1").layers["fc1"].linear.weight.shape == (5, 4)


def test_a_learned_step_is_no_shift() -> None:
    with pytest.raises(ValueError, match=r'^a learned activation step cannot .* shift: use requantize = "thresholds"$'):
        make("16", requantize=Requantize.SHIFT, learned_step=True)
    names = [name for name, _ in make("4C3-R4", learned_step=True).named_parameters() if name.endswith("step")]
    assert names == [f"layers.{layer}.activation.step" for layer in ("conv1", "conv2", "add1")]


def test_ternary_layers_in_order_and_their_zeros() -> None:
    model = make("2C3-R3-7")
    layers = models.ternary_layers(model)
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (2, 1, 3, 3), (3, 2, 3, 3), (3, 3, 3, 3), (3, 2, 1, 1), (7, 108), (5, 7),
    ]  # fmt: skip
    for layer in layers:
        layer.quantizer.fix(torch.tensor(0.0))
    assert models.zeros(model) == 0
    layers[4].quantizer.fix(torch.tensor(1e9))
    assert models.zeros(model) == 756 / sum(layer.weight.numel() for layer in layers)


def test_start_brings_scores_to_deviation_one() -> None:
    model = make("4C3-R6-7").train()
    x = images(200)
    model.start(x)
    assert model(x).std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("requantize", Requantize)
def test_held_shifts(requantize: Requantize) -> None:
    model = make("4C3-R4-7", requantize=requantize).train()
    models.hold_shifts(model)
    held = [part for part in model.modules() if isinstance(part, PowerOfTwoNorm | AddLayer)]
    assert len(held) == (5 if requantize is Requantize.SHIFT else 1)
    before = [torch.as_tensor(getattr(part, "shift", getattr(part, "shifts", None))).clone() for part in held]
    model(images(20) * 100)
    after = [torch.as_tensor(getattr(part, "shift", getattr(part, "shifts", None))) for part in held]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("topology", ["5-6", "3C2-MP2-5-3"])
def test_the_weights_of_all_layers_count_for_the_limit(topology: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = sum(layer.weight.numel() for layer in models.ternary_layers(make(topology, (1, 5, 5))))
    monkeypatch.setattr(models, "MOST_WEIGHTS", count)
    make(topology, (1, 5, 5))
    monkeypatch.setattr(models, "MOST_WEIGHTS", count - 1)
    with pytest.raises(InvalidValueError, match=rf"^topology: more than {count - 1} weights, with \d+ in one layer$"):
        make(topology, (1, 5, 5))


def test_the_values_of_a_layer_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for topology, values in (("3C2", 48), ("7-48", 48)):
        monkeypatch.setattr(models, "MOST_VALUES", values)
        make(topology, (1, 5, 5))
        monkeypatch.setattr(models, "MOST_VALUES", values - 1)
        with pytest.raises(InvalidValueError, match=r"^topology: a layer with 48 outputs an image, more than 47$"):
            make(topology, (1, 5, 5))
