"""A Conv2d node on its way to a layer, whatever kind of unit computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sterna.hw.units.lowering import WeightedLowering
from sterna.net import ActivationType, Conv2d, Network, Node

if TYPE_CHECKING:
    from sterna.hw.units.protocol import Layer, Lowering


@dataclass(frozen=True, kw_only=True)
class WindowSizes:
    """Sizes of a convolution or a pool.

    Attributes
    ----------
    height, width : int
        Of the input map.
    kernel, stride, padding : (vertical, horizontal)
    """

    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @property
    def taps(self) -> int:
        """Taps of the kernel in one channel."""
        return self.kernel[0] * self.kernel[1]

    @cached_property
    def rows(self) -> int:
        """Rows of the output map."""
        return (self.height + 2 * self.padding[0] - self.kernel[0]) // self.stride[0] + 1

    @cached_property
    def columns(self) -> int:
        """Columns of the output map."""
        return (self.width + 2 * self.padding[1] - self.kernel[1]) // self.stride[1] + 1


class ConvLowering(WeightedLowering):
    """A Conv2d node while channels are left out; see :class:`~sterna.hw.units.protocol.Lowering`.

    Parameters
    ----------
    node : Conv2d
    input_type : ActivationType
    shape : tuple of int
        Of the input: (channels, height, width).
    made : callable
        What it becomes, of ``sizes`` and what every layer with weights has; weights are int8, (rows, input channels,
        kernel_h, kernel_w), 0 between channels of different groups.
    """

    def __init__(
        self, node: Conv2d, input_type: ActivationType, shape: tuple[int, ...], made: Callable[..., Layer]
    ) -> None:
        self._sizes = WindowSizes(
            height=shape[1], width=shape[2], kernel=node.kernel, stride=node.stride, padding=node.padding
        )
        super().__init__(node, input_type, ungrouped(node.weights, node.groups), made, sizes=self._sizes)

    def absorbs(self, constants: Mapping[int, int]) -> set[int]:
        """All; behind padding, where the border sees another code, only those that are 0 as the border is."""
        return {channel for channel, code in constants.items() if code == 0 or not any(self._sizes.padding)}


def ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """int8, (out, in, kernel_h, kernel_w): the same weights, with 0 between channels of different groups."""
    out, inside, *kernel = weights.shape
    whole = np.zeros((out, inside * groups, *kernel), np.int8)
    for group in range(groups):
        rows = slice(group * (out // groups), (group + 1) * (out // groups))
        whole[rows, group * inside : (group + 1) * inside] = weights[rows]
    return whole


def lower_convolution(network: Network, node: Node, made: Callable[..., Layer]) -> Lowering | None:
    """A Conv2d node's lowering; None for another node."""
    if not isinstance(node, Conv2d):
        return None
    input_type = network.types[node.inputs[0]]
    assert isinstance(input_type, ActivationType)  # held by Network
    return ConvLowering(node, input_type, network.shapes[node.inputs[0]], made)
