"""Tensors of the original in the shape and order of the network's nodes."""

from __future__ import annotations

import numpy as np

PADDED = -1  # in place of an index: a value that is 0, and none of the node's


def to_own_order(tensor: np.ndarray, order: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor's values, (batch, ...), where ``order`` says; (batch, \\*shape)."""
    flat = tensor.reshape(len(tensor), -1)
    if order is None:
        return flat.reshape(len(tensor), *shape)
    places = order.ravel()
    held = places != PADDED
    own = np.empty((len(flat), int(held.sum())), dtype=flat.dtype)
    own[:, places[held]] = flat[:, held]
    return own.reshape(len(tensor), *shape)


def is_flat(order: np.ndarray) -> bool:
    """Whether values stand as they do in the node, in another shape."""
    return np.array_equal(order.ravel(), np.arange(order.size))
