"""Networks built from a topology."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum

import torch
from torch import Tensor, nn

from sterna.net.errors import InvalidValueError
from sterna.net.nodes import INPUT
from sterna.train.layers import (
    AddLayer,
    HiddenLayer,
    ScoreLayer,
    SumPool,
    TernaryConv2d,
    TernaryLayer,
    TernaryLinear,
)
from sterna.train.normalize import PositiveBatchNorm2d, PowerOfTwoNorm
from sterna.train.quantizers import ActivationQuantizer, InputQuantizer, WeightQuantizer
from sterna.train.topology import AveragePool, Conv, Dense, Layer, MaxPool, Residual

QuantizerFactory = Callable[[tuple[int, ...]], WeightQuantizer]
Shape = tuple[int, ...]

MOST_WEIGHTS = 1 << 26  # of a network; training keeps some eight numbers a weight
MOST_VALUES = 1 << 20  # of a layer's output, for one image


class Requantize(Enum):
    """How a hidden layer gets back to few bits, in training and, after folding, in hardware."""

    THRESHOLDS = "thresholds"  # BatchNorm, folded into one comparison a code
    SHIFT = "shift"  # PowerOfTwoNorm, folded into a bias and a shift


class TernaryNetwork(nn.Module):
    """Ternary network: real inputs in, scores out. Its layers are named, and name their inputs, as the exported nodes.

    Parameters
    ----------
    input_quantizer : from real inputs of shape (batch, channels, height, width), or (batch, features), to codes.
    input_shape : (features,) flattens the inputs; (channels, height, width) keeps them.
    layers : by name, in topological order.
    inputs : names of each layer's inputs, ``"input"`` among them.
    """

    def __init__(
        self,
        *,
        input_quantizer: InputQuantizer,
        input_shape: Shape,
        layers: Mapping[str, nn.Module],
        inputs: Mapping[str, tuple[str, ...]],
    ):
        super().__init__()
        self.input_quantizer = input_quantizer
        self.input_shape = input_shape
        self.layers = nn.ModuleDict(layers)
        self.inputs = dict(inputs)
        last_use = {name: reader for reader, names in self.inputs.items() for name in names}
        self._done_after = {
            reader: [name for name, last in last_use.items() if last == reader] for reader in self.inputs
        }

    def named_layers(self) -> Iterator[tuple[str, nn.Module]]:
        """Layers with their names, in topological order."""
        yield from self.layers.items()

    def codes(self, x: Tensor) -> Tensor:
        """Real inputs to input codes, (batch, \\*input_shape)."""
        code: Tensor = self.input_quantizer(x)
        return code.reshape(len(x), *self.input_shape)

    def walk(self, codes: Tensor) -> Iterator[tuple[str, nn.Module, list[Tensor], Tensor]]:
        """Every layer with its name, its inputs and its output, in order; keeps only what later layers need."""
        values = {INPUT: codes}
        for name, layer in self.named_layers():
            operands = [values[source] for source in self.inputs[name]]
            values[name] = layer(*operands)
            yield name, layer, operands, values[name]
            for source in self._done_after[name]:
                del values[source]

    def forward(self, x: Tensor) -> Tensor:
        scores = x
        for _name, _layer, _operands, output in self.walk(self.codes(x)):
            scores = output
        return scores

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Set the scale of the scores from one batch of real inputs, in training mode."""
        for _, layer, operands, _ in self.walk(self.codes(x)):
            if isinstance(layer, ScoreLayer):
                layer.start(layer.linear(operands[0]))


class _Builder:
    """Appends layers to a network, and keeps its shapes and names."""

    def __init__(
        self,
        *,
        input_shape: Shape,
        input_width: int,
        activation_width: int,
        requantize: Requantize,
        quantizer: QuantizerFactory,
        learned_step: bool,
    ):
        self.layers: dict[str, nn.Module] = {}
        self.inputs: dict[str, tuple[str, ...]] = {}
        self.shape = input_shape
        self._last = INPUT
        self._width = input_width
        self._activation_width = activation_width
        self._requantize = requantize
        self._quantizer = quantizer
        self._learned_step = learned_step
        self._numbers: dict[str, int] = {}
        self._weights = 0

    def add(self, layer: Layer) -> None:
        match layer:
            case Dense():
                self.flatten()
                linear = self._linear(layer.outputs)
                self._append("fc", self._hidden(linear, nn.BatchNorm1d(layer.outputs)), (layer.outputs,))
            case Conv():
                conv, shape = self._conv(layer)
                self._append("conv", self._hidden(conv, nn.BatchNorm2d(layer.outputs)), shape)
            case MaxPool():
                self._append("pool", nn.MaxPool2d(layer.kernel), self._pooled(layer.kernel))
            case AveragePool():
                pool = SumPool(kernel=layer.kernel, input_width=self._width)
                self._append("pool", pool, self._pooled(layer.kernel), width=pool.width)
            case Residual():
                self._residual(layer)

    def flatten(self) -> None:
        """Maps to a vector, unless it is one."""
        if len(self.shape) == 3:
            self._append("flatten", nn.Flatten(), (self.shape[0] * self.shape[1] * self.shape[2],), width=self._width)

    def classes(self, count: int) -> None:
        """The last layer."""
        self.flatten()
        self._append("fc", ScoreLayer(linear=self._linear(count), classes=count), (count,))

    def _residual(self, layer: Residual) -> None:
        """acc(conv(act(conv(x)))) + shortcut(x), which is x itself where shape and stride allow, else 1 x 1 sums."""
        source, shape, width = self._last, self.shape, self._width
        self.add(Conv(outputs=layer.outputs, kernel=3, stride=layer.stride, padding=1))
        second, out_shape = self._conv(Conv(outputs=layer.outputs, kernel=3, padding=1))
        self._append("conv", second, out_shape)
        branch = self._last
        if layer.stride != 1 or shape[0] != layer.outputs:
            self._last, self.shape, self._width = source, shape, width
            shortcut, _ = self._conv(Conv(outputs=layer.outputs, kernel=1, stride=layer.stride))
            self._append("shortcut", shortcut, out_shape)
            source = self._last
        join = AddLayer(
            branches=2,
            normalize=self._normalize(layer.outputs, PositiveBatchNorm2d(layer.outputs)),
            activation=self._activation(),
        )
        self._append("add", join, out_shape, inputs=(branch, source))

    def _append(
        self, kind: str, module: nn.Module, shape: Shape, *, inputs: tuple[str, ...] = (), width: int | None = None
    ) -> None:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        name = kind if kind == "flatten" else f"{kind}{self._numbers[kind]}"
        self.layers[name] = module
        self.inputs[name] = inputs or (self._last,)
        self._last, self.shape = name, shape
        if not isinstance(module, nn.MaxPool2d):
            self._width = width or self._activation_width

    def _linear(self, outputs: int) -> TernaryLinear:
        (inputs,) = self.shape
        self._claim((outputs, inputs), outputs)
        return TernaryLinear(inputs=inputs, outputs=outputs, quantizer=self._quantizer((outputs, inputs)))

    def _conv(self, layer: Conv) -> tuple[TernaryConv2d, Shape]:
        channels, *size = self._maps()
        height, width = ((n + 2 * layer.padding - layer.kernel) // layer.stride + 1 for n in size)
        if height < 1 or width < 1:
            raise InvalidValueError(
                f"topology: a kernel of {layer.kernel} does not fit into maps of {size[0]} x {size[1]}"
            )
        shape = (layer.outputs, channels, layer.kernel, layer.kernel)
        self._claim(shape, layer.outputs * height * width)
        conv = TernaryConv2d(
            inputs=channels,
            outputs=layer.outputs,
            kernel=layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            quantizer=self._quantizer(shape),
            positions=height * width,
        )
        return conv, (layer.outputs, height, width)

    def _claim(self, shape: Shape, values: int) -> None:
        """Refuse what no memory holds, before it is allocated."""
        self._weights += math.prod(shape)
        if self._weights > MOST_WEIGHTS:
            raise InvalidValueError(f"topology: more than {MOST_WEIGHTS} weights, with {math.prod(shape)} in one layer")
        if values > MOST_VALUES:
            raise InvalidValueError(f"topology: a layer with {values} outputs an image, more than {MOST_VALUES}")

    def _pooled(self, kernel: int) -> Shape:
        channels, height, width = self._maps()
        if kernel > min(height, width):
            raise InvalidValueError(f"topology: a window of {kernel} does not fit into maps of {height} x {width}")
        return channels, height // kernel, width // kernel

    def _maps(self) -> Shape:
        if len(self.shape) != 3:
            raise InvalidValueError(f"topology: convolutions and pools need images, not {self.shape[0]} features")
        return self.shape

    def _hidden(self, linear: TernaryLayer, batch_norm: nn.Module) -> HiddenLayer:
        normalize = self._normalize(len(linear.weight), batch_norm)
        return HiddenLayer(linear=linear, normalize=normalize, activation=self._activation())

    def _normalize(self, channels: int, batch_norm: nn.Module) -> nn.Module:
        if self._requantize is Requantize.THRESHOLDS:
            return batch_norm
        return PowerOfTwoNorm(channels=channels, step=self._step())

    def _activation(self) -> ActivationQuantizer:
        return ActivationQuantizer(width=self._activation_width, step=self._step(), learned=self._learned_step)

    def _step(self) -> float:
        # Normalized accumulators have deviation 1 at the start: the codes reach to 4 deviations.
        return 2.0 ** (2 - self._activation_width) if self._activation_width > 1 else 1.0


def build(
    *,
    topology: tuple[Layer, ...],
    image_shape: Shape,
    classes: int,
    input_quantizer: InputQuantizer,
    activation_width: int,
    requantize: Requantize,
    quantizer: QuantizerFactory,
    learned_step: bool = False,
) -> TernaryNetwork:
    """A network with fresh weights from torch's generator.

    Parameters
    ----------
    topology : hidden layers. Where the first one is fully connected, or there is none, inputs are taken as vectors.
    image_shape : (channels, height, width), or (features,).
    classes : number of scores.
    input_quantizer : from real inputs to codes.
    activation_width : bits of the hidden activations.
    requantize : which normalization, and so which requantization.
    quantizer : makes the weight quantizer of a layer from the weights' shape (the method's).
    learned_step : train the activation quantizers' steps (thresholds only).

    Raises
    ------
    ValueError
        If layers do not fit the shapes or are too large, or ``learned_step`` is asked for with shifts.
    """
    if learned_step and requantize is Requantize.SHIFT:
        raise InvalidValueError(
            'a learned activation step cannot be folded into a shift: use requantize = "thresholds"'
        )
    flat = not topology or isinstance(topology[0], Dense)
    input_shape = (torch.Size(image_shape).numel(),) if flat else image_shape
    builder = _Builder(
        input_shape=input_shape,
        input_width=input_quantizer.width,
        activation_width=activation_width,
        requantize=requantize,
        quantizer=quantizer,
        learned_step=learned_step,
    )
    for layer in topology:
        builder.add(layer)
    builder.classes(classes)
    return TernaryNetwork(
        input_quantizer=input_quantizer, input_shape=input_shape, layers=builder.layers, inputs=builder.inputs
    )


def ternary_layers(model: nn.Module) -> list[TernaryLayer]:
    """All ternary layers of a model, in the order of the forward pass."""
    return [module for module in model.modules() if isinstance(module, TernaryLayer)]


@torch.no_grad()
def nonzeros(layers: Sequence[TernaryLayer]) -> list[int]:
    """Numbers of weights that are not zero, of each layer; fetched from the device at once."""
    counts: list[int] = torch.stack([torch.count_nonzero(layer.ternary()) for layer in layers]).tolist()
    return counts


def zeros(model: nn.Module) -> float:
    """Share of zero weights over all ternary layers."""
    layers = ternary_layers(model)
    count = sum(layer.weight.numel() for layer in layers)
    return (count - sum(nonzeros(layers))) / count


def hold_shifts(model: nn.Module) -> None:
    """Freeze all power-of-two gains and ratios where they are."""
    for module in model.modules():
        if isinstance(module, PowerOfTwoNorm | AddLayer):
            module.frozen = True
