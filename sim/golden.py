"""What a network computes, exactly and vectorized: the oracle by which every other part is judged."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from sterna.net import (
    Add,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    Node,
    Requantization,
    SumNode,
    SumPool2d,
    Thresholds,
    WeightNode,
)
from sterna.net import arithmetic as rules
from sterna.net.errors import InvalidTypeError, InvalidValueError

_CHUNK_ELEMENTS = 1 << 23  # values of the widest array of a chunk of images: 64 MiB in int64


class GoldenModel:
    """The integer model of a :class:`~sterna.net.Network`.

    Exact by construction: sums of products run in BLAS, in float32 only where no partial sum, in whatever order, can
    reach 2^24, and in float64 otherwise, which is exact below 2^53; everything else is int64 (docs/arithmetic.md,
    rule 9).

    Parameters
    ----------
    network : :class:`~sterna.net.Network`
        What to compute.

    Raises
    ------
    :exc:`TypeError`
        If ``network`` is no network.
    """

    def __init__(self, network: Network) -> None:
        if not isinstance(network, Network):
            raise InvalidTypeError(f"network must be a Network, not {network!r}")
        self._network = network
        self._matrices = {node.name: _matrix(node, network) for node in network.nodes if isinstance(node, WeightNode)}
        self._chunk = max(1, _CHUNK_ELEMENTS // max(_elements(node, network) for node in network.nodes))

    @property
    def network(self) -> Network:
        """The network it computes."""
        return self._network

    def predict(self, x: npt.ArrayLike, *, real: bool = False) -> np.ndarray:
        """The output for a batch of inputs.

        Parameters
        ----------
        x : integers, or integral floats, (batch, \\*input_shape)
            Codes of the network's input type.
        real : :class:`bool`
            ``x`` holds real inputs instead, of which :meth:`sterna.net.Network.quantize` makes codes first.

        Returns
        -------
        int64, (batch, \\*output_shape)
            Codes, or accumulators, of the last node.

        Raises
        ------
        :exc:`TypeError`, :exc:`ValueError`
            If ``x`` has the wrong kind, shape or range (:func:`~sterna.net.arithmetic.check_input`).
        """
        name = self._network.output_name
        outputs = [values[name] for values in self._chunks(x, real)]
        return np.concatenate(outputs)

    def trace(self, x: npt.ArrayLike, *, real: bool = False) -> dict[str, np.ndarray]:
        """The outputs of every node, by name in the nodes' order, as :meth:`predict` gives the last one's."""
        chunks = list(self._chunks(x, real))
        return {node.name: np.concatenate([values[node.name] for values in chunks]) for node in self._network.nodes}

    def classify(self, x: npt.ArrayLike, *, real: bool = False) -> np.ndarray:
        """Index of the largest score, the lowest among equals; int64, (batch,). Takes what :meth:`predict` takes.

        Raises
        ------
        :exc:`ValueError`
            If the network's output is not of shape (classes,), or as :meth:`predict`.
        """
        if len(self._network.output_shape) != 1:
            raise InvalidValueError(f"classify needs an output of shape (classes,), not {self._network.output_shape}")
        return rules.argmax(self.predict(x, real=real))

    def _chunks(self, x: npt.ArrayLike, real: bool) -> Iterator[dict[str, np.ndarray]]:
        given = self._network.quantize(x) if real else x
        codes = rules.check_input(given, self._network.input_shape, self._network.input_type)
        for start in range(0, max(1, len(codes)), self._chunk):
            values = {"input": codes[start : start + self._chunk]}
            for node in self._network.nodes:
                operands = [values[name] for name in node.inputs]
                values[node.name] = self._evaluate(node, operands)
            yield values

    def _evaluate(self, node: Node, operands: list[np.ndarray]) -> np.ndarray:
        x = operands[0]
        match node:
            case Linear():
                acc = _with_bias(_linear(x, self._matrices[node.name]), node.bias)
            case Conv2d():
                acc = _with_bias(_conv2d(x, node, self._matrices[node.name]), node.bias)
            case MaxPool2d():
                lowest = int(np.iinfo(np.int64).min)  # below every value: padding never wins
                return _pool(x, node.kernel, node.steps, node.padding, lowest, np.maximum)
            case SumPool2d():
                acc = _pool(x, node.kernel, node.steps, node.padding, 0, np.add)
            case Flatten():
                return x.reshape(len(x), math.prod(x.shape[1:]))
            case Add():
                shifted = [operand << shift for operand, shift in zip(operands, node.shifts, strict=True)]
                acc = functools.reduce(np.add, shifted)
            case _:
                raise InvalidTypeError(f"no rule for {type(node).__name__}")
        return _requantize(acc, node.requantize) if isinstance(node, SumNode) else acc


def _matrix(node: WeightNode, network: Network) -> np.ndarray:
    """Weights as a matrix a group, (groups, out / groups, taps), in the narrowest float that is exact."""
    groups = node.groups if isinstance(node, Conv2d) else 1
    flat = node.weights.reshape(len(node.weights), -1)
    input_type = network.types[node.inputs[0]]
    largest = max(-input_type.min, input_type.max)
    partial_sum = int(np.count_nonzero(flat, axis=1).max()) * largest
    dtype = np.float32 if partial_sum < 1 << 24 else np.float64
    return flat.reshape(groups, len(flat) // groups, -1).astype(dtype)


def _elements(node: Node, network: Network) -> int:
    """Values of the widest array that the node needs for one image."""
    size = max(math.prod(network.shapes[name]) for name in (node.name, *node.inputs))
    if isinstance(node, Conv2d):
        channels = network.shapes[node.inputs[0]][0]
        return max(size, channels * math.prod(node.kernel) * math.prod(network.shapes[node.name][1:]))
    return size


def _linear(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (x.astype(matrix.dtype) @ matrix[0].T).astype(np.int64)


def _conv2d(x: np.ndarray, node: Conv2d, matrix: np.ndarray) -> np.ndarray:
    """One product of matrices a group: weights, times the windows of all images as columns.

    A product an image would make BLAS's threads wait for each other a hundred times as often.
    """
    windows = _windows(_pad(x.astype(matrix.dtype), node.padding, 0), node.kernel, node.stride)
    batch, _, height, width = windows.shape[:4]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(len(matrix), matrix.shape[2], batch * height * width)
    channels_first = (matrix @ columns).reshape(len(node.weights), batch, height, width)
    return channels_first.transpose(1, 0, 2, 3).astype(np.int64, order="C")


def _pool(
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    fill: int,
    combine: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """``combine`` over each window, tap by tap: the windows' values at one place of the kernel are one strided view."""
    windows = _windows(_pad(x, padding, fill), kernel, stride)
    result = windows[..., 0, 0].copy()
    for row, column in list(np.ndindex(*kernel))[1:]:
        result = combine(result, windows[..., row, column])
    return result


def _pad(x: np.ndarray, padding: tuple[int, int], fill: int) -> np.ndarray:
    (rows, columns) = padding
    if not (rows or columns):
        return x
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), constant_values=fill)


def _windows(x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """(batch, channels, height, width, kernel_h, kernel_w), a view."""
    return sliding_window_view(x, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def _with_bias(acc: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return acc if bias is None else acc + bias.astype(np.int64).reshape(-1, *[1] * (acc.ndim - 2))


def _requantize(acc: np.ndarray, requantize: Requantization | None) -> np.ndarray:
    if requantize is None:
        return acc
    if isinstance(requantize, Thresholds):
        return rules.thresholds(acc, requantize.levels, requantize.output.min)
    return rules.shift_round(acc, requantize.bias, requantize.shift, requantize.output)
