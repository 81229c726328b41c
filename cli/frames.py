"""The frames of ``sterna simulate``: from a file, from a data set, or at random."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sterna.cli.options import naming
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from sterna.net import Network

__all__ = ["load_codes", "random_codes", "test_set"]

_MOST_CODES = 2**28  # random ones, which are held in memory: 2 GiB


def load_codes(path: Path) -> np.ndarray:
    """The array of numbers in a ``.npy`` file, at least one frame. Nothing is unpickled.

    No more is read or reserved than the file holds, whatever its header says.

    Raises
    ------
    ValueError
        If it is no such file, or there are no frames in it.
    OSError
        If it cannot be read.
    """
    import numpy as np

    with open(path, "rb") as file:
        try:
            _check_header(file)
            file.seek(0)
            codes = np.asarray(np.lib.format.read_array(file, allow_pickle=False))
        # NumPy parses the header as Python, which fails in many ways on a hostile one.
        except (ValueError, TypeError, SyntaxError, EOFError, MemoryError, RecursionError, OverflowError) as error:
            raise InvalidValueError(
                f"{path}: not a whole .npy file of numbers: {str(error) or type(error).__name__}"
            ) from None
    if codes.size == 0:
        raise InvalidValueError(f"{path}: there are no frames in it: its shape is {codes.shape}")
    return np.atleast_1d(codes)


def _check_header(file: IO[bytes]) -> None:
    import numpy as np

    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in readers:  # later ones are for records with names beyond Latin
        raise InvalidValueError(f"arrays of numbers are of version 1 or 2, not {version[0]}")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise InvalidValueError("it holds Python objects, which are not loaded")
    if any(size < 0 for size in shape):
        raise InvalidValueError(f"its shape is {shape}")
    wanted, found = math.prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
    if wanted > found:
        raise InvalidValueError(f"an array of shape {shape} takes {wanted} bytes, and there are {found}")


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
    from sterna.net.arithmetic import quantize_input
    from sterna.train.data import load_data

    with naming("--dataset"):
        data = load_data(dataset)
    images = data.test_images.numpy()
    if images[0].size != math.prod(network.input_shape):
        raise InvalidValueError(
            f"{dataset} has images of shape {images.shape[1:]}, and the network takes {network.input_shape}"
        )
    codes = quantize_input(images.reshape(len(images), *network.input_shape), network.input_scale, network.input_type)
    return codes, data.test_labels.numpy()
