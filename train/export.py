"""From a trained model to a network of integers, proved equal to the model before anything is written.

The judge is the *unfolded* evaluation model: fake-quantized weights, normalization modules, activation quantizers,
float64, on the CPU. Folding shares no code with it: thresholds are read off the layer's own function from accumulator
to code, shifts and biases are computed from the tensors in Python's floats.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sterna.net import ActivationType, Linear, Network, Requantization, ShiftRound, Thresholds
from sterna.net import arithmetic as rules
from sterna.net.file import save
from sterna.sim.golden import GoldenModel
from sterna.train.layers import HiddenLayer, ScoreLayer
from sterna.train.models import Mlp
from sterna.train.normalize import PowerOfTwoNorm

_ROWS = 4096  # accumulator values, or images, evaluated at a time


class ExportError(ValueError):
    """A model cannot be exported exactly; the message names the layer."""


def export(
    model: Mlp, path: str | Path, *, inputs: Tensor, describe: Callable[[Network], Mapping[str, Any]] | None = None
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
        network = Network(
            input_shape=network.input_shape,
            input_type=network.input_type,
            input_scale=network.input_scale,
            nodes=network.nodes,
            metadata=describe(network),
        )
    save(network, path)
    return network


def evaluation_model(model: Mlp) -> Mlp:
    """The unfolded model as export judges by it: a copy in evaluation mode, float64, on the CPU."""
    return copy.deepcopy(model).cpu().double().eval()


@torch.no_grad()
def fold(model: Mlp) -> Network:
    """The network of integers that ``model`` should be; unproved.

    Raises
    ------
    ExportError
        If the input is normalized per channel, a layer's codes do not depend monotonically on its accumulators, or the
        scores of different classes do not share one real scale.
    """
    reference = evaluation_model(model)
    quantizer = reference.input_quantizer
    if quantizer.mean is not None or quantizer.deviation is not None:
        raise ExportError(
            "input: a mean or deviation per channel cannot be folded into ternary weights; train on x / scale instead"
        )
    input_type = ActivationType(quantizer.width, False)
    nodes: list[Linear] = []
    activation = input_type
    for name, layer in reference.named_layers():
        weights = layer.linear.ternary().numpy().astype(np.int8)
        if isinstance(layer, ScoreLayer):
            nodes.append(Linear(name=name, weights=weights, bias=_fold_scores(name, layer)))
        else:
            weights, requantize = _fold_hidden(name, layer, weights, activation)
            nodes.append(Linear(name=name, weights=weights, requantize=requantize))
            activation = requantize.output
    return Network(
        input_shape=(nodes[0].weights.shape[1],),
        input_type=input_type,
        input_scale=quantizer.scale,
        nodes=nodes,
    )


@torch.no_grad()
def prove(network: Network, model: Mlp, inputs: Tensor) -> None:
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
    named = list(reference.named_layers())
    for start in range(0, len(inputs), _ROWS):
        real = inputs[start : start + _ROWS].cpu().double()
        x = reference.codes(real)
        codes = rules.quantize_input(real.flatten(1).numpy(), network.input_scale, network.input_type)
        _compare("input", codes, x.numpy(), start)
        trace = golden.trace(codes)
        for name, layer in named:
            x = layer(x)
            ours = trace[name].astype(np.float64)
            if isinstance(layer, ScoreLayer):
                ours = ours * layer.scale().numpy()
            _compare(name, ours, x.numpy(), start)


def _compare(name: str, ours: np.ndarray, reference: np.ndarray, start: int) -> None:
    different = ours != reference
    if different.any():
        image, channel = (int(i) for i in np.argwhere(different)[0])
        raise ExportError(
            f"{name}: the folded network differs from the model in {int(different.sum())} values; first at input "
            f"{start + image}, channel {channel}: {ours[image, channel]:g} instead of {reference[image, channel]:g}"
        )


def _fold_hidden(
    name: str, layer: HiddenLayer, weights: np.ndarray, activation: ActivationType
) -> tuple[np.ndarray, Requantization]:
    output = ActivationType(layer.activation.width, False)
    if isinstance(layer.normalize, PowerOfTwoNorm):
        return weights, _fold_shift(name, layer.normalize, output)
    low, high = _bounds(weights, activation)
    codes = _scan(layer, int(low.min()), int(high.max()))
    base = int(low.min())
    levels = np.empty((len(weights), 2**output.width - 1), dtype=np.int64)
    weights = weights.copy()
    for channel in range(len(weights)):
        first, last = int(low[channel]), int(high[channel])
        function = codes[first - base : last - base + 1, channel]
        steps = np.diff(function)
        if (steps < 0).any():
            if (steps > 0).any():
                raise ExportError(f"{name}: codes of channel {channel} both rise and fall with its accumulator")
            # A falling function of acc is a rising one of -acc.
            weights[channel] = -weights[channel]
            function, first = function[::-1], -last
        levels[channel] = first + np.searchsorted(function, np.arange(1, 2**output.width), side="left")
    return weights, Thresholds(output=output, levels=levels)


def _bounds(weights: np.ndarray, activation: ActivationType) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest accumulator of each row."""
    positive, negative = (weights > 0).sum(axis=1), (weights < 0).sum(axis=1)
    low = positive * activation.min - negative * activation.max
    high = positive * activation.max - negative * activation.min
    return low, high


def _scan(layer: HiddenLayer, low: int, high: int) -> np.ndarray:
    """Codes of all channels at the accumulators ``low`` to ``high``: int16, (high - low + 1, channels)."""
    channels = len(layer.linear.weight)
    parts = []
    for start in range(low, high + 1, _ROWS):
        acc = torch.arange(start, min(start + _ROWS, high + 1), dtype=torch.float64)
        parts.append(layer.requantize(acc[:, None].repeat(1, channels)).numpy().astype(np.int16))
    return np.concatenate(parts)


def _fold_shift(name: str, norm: PowerOfTwoNorm, output: ActivationType) -> ShiftRound:
    shift = int(norm.shift)
    power = norm.step * 2.0**-shift
    pairs = zip(norm.offset.tolist(), norm.running_mean.tolist(), strict=True)
    bias = np.array([math.floor(offset / power - mean + 0.5) for offset, mean in pairs])
    try:
        return ShiftRound(output=output, bias=bias, shift=np.array(shift))
    except ValueError as error:
        raise ExportError(f"{name}: {error}") from error


def _fold_scores(name: str, layer: ScoreLayer) -> np.ndarray:
    scales = layer.scale().reshape(-1).tolist()
    if len(set(scales)) != 1:
        raise ExportError(f"{name}: scores of different classes must share one real scale, not {len(set(scales))}")
    return np.array([math.floor(bias / scales[0] + 0.5) for bias in layer.bias.tolist()])
