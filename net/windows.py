"""Windows that slide over an image: how many there are, and which of their places meet the image."""

from __future__ import annotations

import numpy as np

from sterna.net.checks import check_pair
from sterna.net.errors import InvalidValueError

Shape = tuple[int, ...]
Pair = tuple[int, int]


def check_pool(name: str, kernel: object, stride: object, padding: object) -> dict[str, Pair]:
    """The window of a pool as pairs, by field; :exc:`TypeError` or :exc:`ValueError` naming the node."""
    sizes = check_pair(kernel, f"kernel of node '{name}'", low=1)
    steps = sizes if stride is None else check_pair(stride, f"stride of node '{name}'", low=1)
    margins = check_pair(padding, f"padding of node '{name}'", low=0)
    if any(2 * margin > size for margin, size in zip(margins, sizes, strict=True)):
        raise InvalidValueError(f"padding of node '{name}' must be at most half its kernel {sizes}, not {margins}")
    return {"kernel": sizes, "stride": steps, "padding": margins}


def pool_shape(name: str, shape: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Shape:
    """Output shape of a pool; :exc:`ValueError` naming the node if its input has no height and width."""
    if len(shape) != 3:
        raise InvalidValueError(f"node '{name}' takes inputs of shape (channels, height, width), not {shape}")
    return (shape[0], *window_counts(name, shape, kernel, stride, padding))


def window_counts(name: str, shape: Shape, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """Windows down and across; :exc:`ValueError` naming the node if the padded input holds none."""
    sizes = [size + 2 * margin for size, margin in zip(shape[1:], padding, strict=True)]
    if any(size < extent for size, extent in zip(sizes, kernel, strict=True)):
        raise InvalidValueError(f"kernel {kernel} of node '{name}' does not fit its padded input {tuple(sizes)}")
    vertical, horizontal = (
        (size - extent) // step + 1 for size, extent, step in zip(sizes, kernel, stride, strict=True)
    )
    return vertical, horizontal


def window_taps(shape: Shape, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    """Every set of the kernel's taps that meets the input, the others padding; bool, (sets, kernel_h, kernel_w)."""
    counts = window_counts("", shape, kernel, stride, padding)
    inside = []
    for axis in range(2):
        first = np.arange(counts[axis]) * stride[axis] - padding[axis]
        position = first[:, None] + np.arange(kernel[axis])
        inside.append(np.unique((position >= 0) & (position < shape[1 + axis]), axis=0))
    rows, columns = inside
    taps = rows[:, None, :, None] & columns[None, :, None, :]
    return taps.reshape(-1, *kernel)
