"""Windows that slide over an image: how many there are, and which of their places meet the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sterna.net.checks import check_elements, check_pair
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
    """Windows down and across.

    Raises
    ------
    :exc:`ValueError`
        If the padded input holds none, or is too large (rule 11); the message names the node.
    """
    sizes = tuple(size + 2 * margin for size, margin in zip(shape[1:], padding, strict=True))
    check_elements((shape[0], *sizes), f"the padded input of node '{name}'")
    if any(size < extent for size, extent in zip(sizes, kernel, strict=True)):
        raise InvalidValueError(f"kernel {kernel} of node '{name}' does not fit its padded input {sizes}")
    vertical, horizontal = (
        (size - extent) // step + 1 for size, extent, step in zip(sizes, kernel, stride, strict=True)
    )
    return vertical, horizontal


def window_spans(size: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    """Every different span of a kernel's taps that meets the input along one axis, the others meeting padding.

    However many windows there are, at most 2 · kernel + 1 spans are different: those over an edge, one inside the
    input, and one in the padding alone.

    Returns
    -------
    int64, (spans, 2)
        First tap and the one behind the last, 0 to ``kernel``; equal where no tap meets the input.
    """
    count = (size + 2 * padding - kernel) // stride + 1
    first_inside, behind_input = -(-padding // stride), -(-(padding + size) // stride)
    over_left = range(max(0, (padding - kernel) // stride + 1), min(first_inside, count))
    over_right = range(max(first_inside, (padding + size - kernel) // stride + 1), min(behind_input, count))
    spare = [window for window in (0, first_inside, count - 1) if window < count]  # in the padding, inside, at the end
    windows = np.array([*spare, *over_left, *over_right], dtype=np.int64)
    start = windows * stride - padding
    first = np.clip(-start, 0, kernel)
    return np.unique(np.stack([first, np.clip(size - start, first, kernel)], axis=1), axis=0)


def fewest_and_most_taps(size: int, kernel: int, stride: int, padding: int) -> Pair:
    """Least and greatest number of a kernel's taps that meet the input in one window, along one axis.

    The number rises with the window's place, stays, and falls: only the first and the last window and those where it
    stops rising need be looked at.
    """
    last = (size + 2 * padding - kernel) // stride
    top = (padding + min(0, size - kernel)) // stride
    starts = [min(max(window, 0), last) * stride - padding for window in (0, top, top + 1, last)]
    counts = [max(0, min(kernel, size - start) - max(0, -start)) for start in starts]
    return min(counts), max(counts)


def window_sums(taps: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Iterator[np.ndarray]:
    """Sums of a kernel's taps over all windows that are a span of rows and one of columns, by summed areas.

    Parameters
    ----------
    taps : int64, (channels, kernel_h, kernel_w)
    rows, columns : int64, (spans, 2)
        As :func:`window_spans` gives them.

    Yields
    ------
    int64, (channels, spans)
        For each span of the axis that has fewer of them, all windows of the other axis.
    """
    if len(rows) > len(columns):
        taps, rows, columns = taps.swapaxes(1, 2), columns, rows
    areas = np.zeros(tuple(side + extra for side, extra in zip(taps.shape, (0, 1, 1), strict=True)), dtype=np.int64)
    np.cumsum(taps, axis=1, out=areas[:, 1:, 1:])
    np.cumsum(areas[:, 1:, 1:], axis=2, out=areas[:, 1:, 1:])
    for first, end in rows:
        strip = areas[:, end] - areas[:, first]
        yield strip[:, columns[:, 1]] - strip[:, columns[:, 0]]
