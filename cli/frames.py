"""The frames of ``sterna simulate`` and ``sterna infer``: from a file, from a data set, or at random."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sterna.cli.options import naming
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from sterna.net import Network

__all__ = ["DatasetOption", "InputsOption", "load_codes", "random_codes", "test_set"]

InputsOption = Annotated[
    Path | None,
    typer.Option(
        help="Input codes: a .npy file of integers, (frames, *input shape), channels first.", show_default=False
    ),
]
DatasetOption = Annotated[
    str | None, typer.Option(help="Test images of a data set: digits, mnist, cifar10 or fsdd.", show_default=False)
]

_MOST_CODES = 2**28  # random ones, which are held in memory: 2 GiB


def load_codes(path: Path) -> np.ndarray:
    """The array of numbers in a ``.npy`` file, at least one frame; see :func:`sterna.net.arrays.load_array`.

    Raises
    ------
    ValueError
        If it is no such file, or there are no frames in it.
    OSError
        If it cannot be read.
    """
    import numpy as np

    from sterna.net.arrays import load_array

    codes = load_array(path)
    if codes.size == 0:
        raise InvalidValueError(f"{path}: there are no frames in it: its shape is {codes.shape}")
    return np.atleast_1d(codes)


def random_codes(network: Network, count: int, seed: int) -> np.ndarray:
    """Frames of random codes of the network's input type."""
    import numpy as np

    kind, size = network.input_type, math.prod(network.input_shape)
    most = max(_MOST_CODES // size, 1)
    if count > most:
        raise InvalidValueError(f"--limit must be at most {most} for random frames of {size} codes, not {count}")
    rng = np.random.default_rng(seed)
    return rng.integers(kind.min, kind.max + 1, (count, *network.input_shape))


def test_set(network: Network, dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """A data set's test images as the network's input codes, and their labels."""
    from sterna.train.data import load_data

    with naming("--dataset"):
        data = load_data(dataset)
    images = data.test_images.numpy()
    if images[0].size != math.prod(network.input_shape):
        raise InvalidValueError(
            f"{dataset} has images of shape {images.shape[1:]}, and the network takes {network.input_shape}"
        )
    return network.quantize(images.reshape(len(images), *network.input_shape)), data.test_labels.numpy()
