"""From a trained model to a network of integers, proved equal to the model before anything is written.

The judge is the *unfolded* evaluation model: fake-quantized weights, normalization modules, activation quantizers,
float64, on the CPU. Folding shares no code with it: thresholds are read off the layer's own function from accumulator
to code, shifts and biases are computed from the tensors in Python's floats.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sterna.net import (
    ActivationType,
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
from sterna.net.errors import InvalidValueError
from sterna.net.file import save
from sterna.net.requantize import INT32_MAX
from sterna.sim.golden import GoldenModel
from sterna.train.layers import AddLayer, HiddenLayer, ScoreLayer, SumPool, TernaryConv2d, TernaryLayer
from sterna.train.models import TernaryNetwork, ternary_layers
from sterna.train.normalize import PowerOfTwoNorm

_ROWS = 4096  # accumulator values, or images, evaluated at a time
_VALUES = 1 << 24  # values of the widest layer, for all images that are compared at a time


Describe = Callable[[Network], Mapping[str, Any]]


class ExportError(InvalidValueError):
    """A model cannot be exported exactly; the message names the layer."""


def export(
    model: TernaryNetwork,
    path: str | Path,
    *,
    inputs: Tensor,
    describe: Callable[[Network], Mapping[str, Any]] | None = None,
) -> Network:
    """Fold, prove on ``inputs``, and only then write.

    Parameters
    ----------
    model : the trained model; left as it is.
    path : the network file to write.
    inputs : real, (batch, ...); all test inputs.
    describe : makes the file's metadata (JSON) from the proved network.

    Raises
    ------
    ExportError
        If something cannot be folded, or a layer differs on any input. Nothing is written.
    """
    network = fold(model)
    prove(network, model, inputs)
    if describe:
        network = network.with_metadata(describe(network))
    save(network, path)
    return network


def evaluation_model(model: TernaryNetwork) -> TernaryNetwork:
    """The unfolded model as export judges by it: a copy in evaluation mode, float64, on the CPU."""
    return copy.deepcopy(model).cpu().double().eval()


def refusal(model: nn.Module) -> str | None:
    """Why the networks of the model's method cannot be exported; ``None`` where they can."""
    return next((layer.quantizer.refusal for layer in ternary_layers(model) if layer.quantizer.refusal), None)


@torch.no_grad()
def fold(model: TernaryNetwork) -> Network:
    """The network of integers that ``model`` should be; unproved.

    Raises
    ------
    ExportError
        If the method's weights are not ternary, the input is normalized per channel, a layer's codes do not depend
        monotonically on its accumulators, or the scores of different classes do not share one real scale.
    """
    reference = evaluation_model(model)
    quantizer = reference.input_quantizer
    if quantizer.mean is not None or quantizer.deviation is not None:
        raise ExportError(
            "input: a mean or deviation per channel cannot be folded into ternary weights; train on x / scale instead"
        )
    input_type = ActivationType(quantizer.width, False)

    def network(nodes: Iterable[Node]) -> Network:
        return Network(
            input_shape=reference.input_shape,
            input_type=input_type,
            input_scale=quantizer.scale,
            nodes=list(nodes),
        )

    nodes: dict[str, Node] = {}
    for name, layer in reference.named_layers():
        nodes[name] = _fold_layer(name, layer, reference.inputs[name])
        if isinstance(layer, HiddenLayer | AddLayer):
            # The node without requantization, last of its own network, has the exact range of every accumulator.
            bounds = network(_ancestry(nodes, name)).channel_bounds(name)
            node = nodes[name]
            assert isinstance(node, SumNode)
            nodes[name] = _requantized(node, layer, *bounds)
    return network(nodes.values())


def _ancestry(nodes: Mapping[str, Node], name: str) -> list[Node]:
    """The node and all that it depends on, in their order."""
    wanted = {name}
    for node in reversed(list(nodes.values())):
        if node.name in wanted:
            wanted.update(node.inputs)
    return [node for node in nodes.values() if node.name in wanted]


def _fold_layer(name: str, layer: nn.Module, inputs: tuple[str, ...]) -> Node:
    """The node of a layer, hidden layers and additions still without requantization."""
    match layer:
        case HiddenLayer():
            return _weights(name, layer.linear, inputs)
        case ScoreLayer():
            return dataclasses.replace(_weights(name, layer.linear, inputs), bias=_fold_scores(name, layer))
        case TernaryLayer():
            return _weights(name, layer, inputs)
        case AddLayer():
            return Add(name=name, inputs=inputs, shifts=tuple(int(shift) for shift in layer.shifts.tolist()))
        case SumPool():
            output = ActivationType(layer.width, False)
            average = ShiftRound(output=output, bias=np.array(0), shift=np.array(layer.shift))
            return SumPool2d(name=name, inputs=inputs, kernel=(layer.kernel, layer.kernel), requantize=average)
        case nn.MaxPool2d():
            side = layer.kernel_size
            assert isinstance(side, int)
            return MaxPool2d(name=name, inputs=inputs, kernel=(side, side))
        case nn.Flatten():
            return Flatten(name=name, inputs=inputs)
    raise ExportError(f"{name}: {type(layer).__name__} has no node to be exported to")


def _weights(name: str, layer: TernaryLayer, inputs: tuple[str, ...]) -> WeightNode:
    if layer.quantizer.refusal:
        raise ExportError(f"{name}: {layer.quantizer.refusal}")
    weights = layer.ternary().numpy().astype(np.int8)
    if isinstance(layer, TernaryConv2d):
        stride, padding = (layer.stride, layer.stride), (layer.padding, layer.padding)
        return Conv2d(name=name, inputs=inputs, weights=weights, stride=stride, padding=padding)
    return Linear(name=name, inputs=inputs, weights=weights)


@torch.no_grad()
def prove(network: Network, model: TernaryNetwork, inputs: Tensor) -> None:
    """Compare the golden model of ``network`` with the unfolded model: input codes, every layer's codes, scores.

    Raises
    ------
    ExportError
        Naming the first layer that differs on any input, and where.
    """
    if not len(inputs):
        raise ExportError("input: there is no test input to prove the export on")
    reference = evaluation_model(model)
    golden = GoldenModel(network)
    widest = max(math.prod(shape) for shape in network.shapes.values())
    rows = max(1, min(_ROWS, _VALUES // widest))
    for start in range(0, len(inputs), rows):
        real = inputs[start : start + rows].cpu().double()
        x = reference.codes(real)
        codes = network.quantize(real.reshape(len(real), *network.input_shape).numpy())
        _compare("input", codes, x.numpy(), start)
        trace = golden.trace(codes)
        for name, layer, _, output in reference.walk(x):
            ours = trace[name].astype(np.float64)
            if isinstance(layer, ScoreLayer):
                ours = ours * layer.scale().numpy()
            _compare(name, ours, output.numpy(), start)


def _compare(name: str, ours: np.ndarray, reference: np.ndarray, start: int) -> None:
    different = ours != reference
    if different.any():
        image, *place = (int(i) for i in np.argwhere(different)[0])
        where = f"channel {place[0]}" + (f", pixel ({place[1]}, {place[2]})" if len(place) == 3 else "")
        first = (image, *place)
        raise ExportError(
            f"{name}: the folded network differs from the model in {int(different.sum())} values; first at input "
            f"{start + image}, {where}: {ours[first]:g} instead of {reference[first]:g}"
        )


def _requantized(node: SumNode, layer: HiddenLayer | AddLayer, low: np.ndarray, high: np.ndarray) -> SumNode:
    """The node with the requantization that its layer's normalization and quantizer fold into.

    low, high : int64, (channels,), smallest and largest accumulators.
    """
    output = ActivationType(layer.activation.width, False)
    if isinstance(layer.normalize, PowerOfTwoNorm):
        return dataclasses.replace(node, requantize=_fold_shift(node.name, layer.normalize, output))
    base = int(low.min())
    codes = _scan(layer, base, int(high.max()), len(low), spatial=not isinstance(node, Linear))
    levels = np.empty((len(low), 2**output.width - 1), dtype=np.int64)
    weights = node.weights.copy() if isinstance(node, WeightNode) else None
    for channel in range(len(low)):
        first, last = int(low[channel]), int(high[channel])
        function = codes[first - base : last - base + 1, channel]
        steps = np.diff(function)
        if (steps < 0).any():
            if (steps > 0).any():
                raise ExportError(f"{node.name}: codes of channel {channel} both rise and fall with its accumulator")
            if weights is None:
                raise ExportError(
                    f"{node.name}: codes of channel {channel} fall with its accumulator, and a sum of branches has no "
                    "weights whose signs could turn; keep the gain positive"
                )
            # A falling function of acc is a rising one of -acc.
            weights[channel] = -weights[channel]
            function, first = function[::-1], -last
        levels[channel] = first + np.searchsorted(function, np.arange(1, 2**output.width), side="left")
    changes: dict[str, Any] = {} if weights is None else {"weights": weights}
    return dataclasses.replace(node, requantize=Thresholds(output=output, levels=levels), **changes)


def _scan(layer: HiddenLayer | AddLayer, low: int, high: int, channels: int, *, spatial: bool) -> np.ndarray:
    """Codes of all channels at the accumulators ``low`` to ``high``: int16, (high - low + 1, channels)."""
    parts = []
    for start in range(low, high + 1, _ROWS):
        acc = torch.arange(start, min(start + _ROWS, high + 1), dtype=torch.float64)
        acc = acc.reshape(-1, *[1] * (3 if spatial else 1))
        shape = (len(acc), channels, 1, 1) if spatial else (len(acc), channels)
        codes = layer.requantize(acc.expand(shape).contiguous())
        parts.append(codes.reshape(len(acc), channels).numpy().astype(np.int16))
    return np.concatenate(parts)


def _fold_shift(name: str, norm: PowerOfTwoNorm, output: ActivationType) -> ShiftRound:
    shift = int(norm.shift)
    power = norm.step * 2.0**-shift
    pairs = zip(norm.offset.tolist(), norm.running_mean.tolist(), strict=True)
    bias = _integers(name, [offset / power - mean for offset, mean in pairs])
    return ShiftRound(output=output, bias=bias, shift=np.array(shift))


def _fold_scores(name: str, layer: ScoreLayer) -> np.ndarray:
    scales = layer.scale().reshape(-1).tolist()
    if len(set(scales)) != 1:
        raise ExportError(f"{name}: scores of different classes must share one real scale, not {len(set(scales))}")
    return _integers(name, [bias / scales[0] if scales[0] else math.inf for bias in layer.bias.tolist()])


def _integers(name: str, biases: list[float]) -> np.ndarray:
    """Biases rounded half up: int64, (channels,)."""
    for bias in biases:
        if not abs(bias) < INT32_MAX:
            raise ExportError(f"{name}: a bias became {bias:g}, which is no 32-bit integer; lower the learning rates")
    return np.array([math.floor(bias + 0.5) for bias in biases])
