"""Networks built from a recipe."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import torch
from torch import Tensor, nn

from sterna.train.layers import HiddenLayer, ScoreLayer, TernaryLinear
from sterna.train.normalize import PowerOfTwoNorm
from sterna.train.quantizers import ActivationQuantizer, InputQuantizer, TernaryQuantizer

QuantizerFactory = Callable[[tuple[int, ...]], TernaryQuantizer]


class Requantize(Enum):
    """How a hidden layer gets back to few bits, in training and, after folding, in hardware."""

    THRESHOLDS = "thresholds"  # BatchNorm, folded into one comparison a code
    SHIFT = "shift"  # PowerOfTwoNorm, folded into a bias and a shift


class Mlp(nn.Module):
    """Fully connected ternary network: codes in, scores out.

    Parameters
    ----------
    sizes : features of the input, of each hidden layer, and number of classes.
    input_quantizer : from real inputs to codes; ``forward`` takes real inputs of shape (batch, ...) and flattens them.
    activation_width : bits of the hidden activations.
    requantize : which normalization, and so which requantization.
    quantizer : makes the weight quantizer of a layer from the weights' shape (the method's).
    learned_step : train the activation quantizers' steps (thresholds only).
    """

    def __init__(
        self,
        *,
        sizes: Sequence[int],
        input_quantizer: InputQuantizer,
        activation_width: int,
        requantize: Requantize,
        quantizer: QuantizerFactory,
        learned_step: bool = False,
    ):
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"sizes must name at least the input and the classes, not {list(sizes)}")
        if learned_step and requantize is Requantize.SHIFT:
            raise ValueError('a learned activation step cannot be folded into a shift: use requantize = "thresholds"')
        self.input_quantizer = input_quantizer
        # Normalized accumulators have deviation 1 at the start: the codes reach to 4 deviations.
        step = 2.0 ** (2 - activation_width) if activation_width > 1 else 1.0
        layers: list[HiddenLayer | ScoreLayer] = []
        for inputs, outputs in itertools.pairwise(sizes[:-1]):
            linear = TernaryLinear(inputs=inputs, outputs=outputs, quantizer=quantizer((outputs, inputs)))
            normalize: nn.Module
            if requantize is Requantize.THRESHOLDS:
                normalize = nn.BatchNorm1d(outputs)
            else:
                normalize = PowerOfTwoNorm(channels=outputs, step=step)
            activation = ActivationQuantizer(width=activation_width, step=step, learned=learned_step)
            layers.append(HiddenLayer(linear=linear, normalize=normalize, activation=activation))
        inputs, outputs = sizes[-2], sizes[-1]
        linear = TernaryLinear(inputs=inputs, outputs=outputs, quantizer=quantizer((outputs, inputs)))
        layers.append(ScoreLayer(linear=linear, classes=outputs))
        self.layers = nn.ModuleList(layers)

    def named_layers(self) -> Iterator[tuple[str, HiddenLayer | ScoreLayer]]:
        """Layers with their names in the exported network: fc1, fc2, ..."""
        for index, layer in enumerate(self.layers, start=1):
            assert isinstance(layer, HiddenLayer | ScoreLayer)
            yield f"fc{index}", layer

    def codes(self, x: Tensor) -> Tensor:
        """Real inputs to input codes, (batch, features)."""
        code: Tensor = self.input_quantizer(x)
        return code.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.codes(x)
        for layer in self.layers:
            x = layer(x)
        return x

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Set the scale of the scores from one batch of real inputs, in training mode."""
        x = self.codes(x)
        for _, layer in self.named_layers():
            if isinstance(layer, ScoreLayer):
                layer.start(layer.linear(x))
            else:
                x = layer(x)


def ternary_layers(model: nn.Module) -> list[TernaryLinear]:
    """All ternary layers of a model, in the order of the forward pass."""
    return [module for module in model.modules() if isinstance(module, TernaryLinear)]


@torch.no_grad()
def zeros(model: nn.Module) -> float:
    """Share of zero weights over all ternary layers."""
    weights = [layer.ternary() for layer in ternary_layers(model)]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
