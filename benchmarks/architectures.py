"""Shapes of the matrices of AlexNet, VGG-16, ResNet-152 and DenseNet-161 for images of 3 x 224 x 224 and 1,000 classes.

Written down from the architectures' rules. A convolution is the matrix of its filters, (out, in * height * width),
multiplied at every place of its output map. AlexNet is the variant without groups and with 64 filters in its first
layer ("One weird trick", Krizhevsky 2014); ResNet-152 reduces maps in its blocks' 3 x 3 convolutions. Both are
torchvision's choices, as is DenseNet-161's 48 new channels a layer. The numbers of all parameters, biases and batch
normalization included, are the known ones (``parameters``), which tests hold against the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer's matrix.

    Members
    -------
    name : :class:`str`
    rows, columns : :class:`int`
    positions : :class:`int`
        Products with a vector for one image: places of a convolution's output map, 1 for a dense layer.
    """

    name: str
    rows: int
    columns: int
    positions: int

    @property
    def weights(self) -> int:
        """Elements."""
        return self.rows * self.columns


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network's layers with weights.

    Members
    -------
    layers : tuple of :class:`Layer`
    others : :class:`int`
        Parameters that are no element of a matrix: biases, gains and offsets of batch normalization.
    parameters : :class:`int`
        Known number of all parameters.
    """

    layers: tuple[Layer, ...]
    others: int
    parameters: int

    @property
    def weights(self) -> int:
        """Elements of all matrices."""
        return sum(layer.weights for layer in self.layers)

    @property
    def rows(self) -> int:
        """Rows of all matrices."""
        return sum(layer.rows for layer in self.layers)


class _Shapes:
    """Follows a map of features from layer to layer, and takes down what has weights."""

    def __init__(self) -> None:
        self.channels, self.side = 3, 224
        self.layers: list[Layer] = []
        self.others = 0

    def conv(
        self, name: str, out: int, kernel: int, *, stride: int = 1, padding: int | None = None, bias: bool = False
    ) -> None:
        """``padding`` is half the kernel unless given."""
        padding = kernel // 2 if padding is None else padding
        self.side = (self.side + 2 * padding - kernel) // stride + 1
        columns = self.channels * kernel * kernel
        self.layers.append(Layer(name=name, rows=out, columns=columns, positions=self.side**2))
        self.others += out if bias else 0
        self.channels = out

    def norm(self) -> None:
        """Batch normalization: a gain and an offset a channel."""
        self.others += 2 * self.channels

    def pool(self, kernel: int, stride: int, padding: int = 0) -> None:
        self.side = (self.side + 2 * padding - kernel) // stride + 1

    def pool_to(self, side: int) -> None:
        self.side = side

    def linear(self, name: str, out: int) -> None:
        """Dense, with a bias, of all features of the map."""
        self.layers.append(Layer(name=name, rows=out, columns=self.channels * self.side**2, positions=1))
        self.others += out
        self.channels, self.side = out, 1


def _alexnet(shapes: _Shapes) -> None:
    shapes.conv("conv1", 64, 11, stride=4, padding=2, bias=True)
    shapes.pool(3, 2)
    shapes.conv("conv2", 192, 5, bias=True)
    shapes.pool(3, 2)
    for number, channels in ((3, 384), (4, 256), (5, 256)):
        shapes.conv(f"conv{number}", channels, 3, bias=True)
    shapes.pool(3, 2)
    for number, features in ((6, 4096), (7, 4096), (8, 1000)):
        shapes.linear(f"fc{number}", features)


def _vgg16(shapes: _Shapes) -> None:
    for stage, (channels, count) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1):
        for number in range(1, count + 1):
            shapes.conv(f"conv{stage}_{number}", channels, 3, bias=True)
        shapes.pool(2, 2)
    for number, features in ((6, 4096), (7, 4096), (8, 1000)):
        shapes.linear(f"fc{number}", features)


def _resnet152(shapes: _Shapes) -> None:
    shapes.conv("conv1", 64, 7, stride=2)
    shapes.norm()
    shapes.pool(3, 2, padding=1)
    for stage, (width, count) in enumerate(((64, 3), (128, 8), (256, 36), (512, 3)), start=2):
        for number in range(1, count + 1):
            stride = 2 if number == 1 and stage > 2 else 1
            _bottleneck(shapes, f"conv{stage}_{number}", width, stride=stride, shortcut=number == 1)
    shapes.pool_to(1)
    shapes.linear("fc", 1000)


def _bottleneck(shapes: _Shapes, name: str, width: int, *, stride: int, shortcut: bool) -> None:
    entered = shapes.channels, shapes.side
    for part, out, kernel, step in (("reduce", width, 1, 1), ("map", width, 3, stride), ("expand", 4 * width, 1, 1)):
        shapes.conv(f"{name}_{part}", out, kernel, stride=step)
        shapes.norm()
    if shortcut:
        shapes.channels, shapes.side = entered
        shapes.conv(f"{name}_shortcut", 4 * width, 1, stride=stride)
        shapes.norm()


def _densenet161(shapes: _Shapes) -> None:
    growth = 48
    shapes.conv("conv0", 2 * growth, 7, stride=2)
    shapes.norm()
    shapes.pool(3, 2, padding=1)
    for block, count in enumerate((6, 12, 36, 24), start=1):
        for number in range(1, count + 1):
            entered = shapes.channels
            shapes.norm()
            shapes.conv(f"block{block}_{number}_reduce", 4 * growth, 1)
            shapes.norm()
            shapes.conv(f"block{block}_{number}_grow", growth, 3)
            shapes.channels += entered
        shapes.norm()
        if block < 4:
            shapes.conv(f"transition{block}", shapes.channels // 2, 1)
            shapes.pool(2, 2)
    shapes.pool_to(1)
    shapes.linear("classifier", 1000)


def _made(rules: Callable[[_Shapes], None], parameters: int) -> Architecture:
    shapes = _Shapes()
    rules(shapes)
    return Architecture(layers=tuple(shapes.layers), others=shapes.others, parameters=parameters)


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "AlexNet": _made(_alexnet, 61_100_840),
        "VGG-16": _made(_vgg16, 138_357_544),
        "ResNet-152": _made(_resnet152, 60_192_808),
        "DenseNet-161": _made(_densenet161, 28_681_000),
    }
)
