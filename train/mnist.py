"""MNIST, from its official IDX files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from sterna.train.dataset import DataError, DataSet
from sterna.train.files import locate

# The four files of http://yann.lecun.com/exdb/mnist (Y. LeCun, C. Cortes, C. Burges), which no longer serves them; the
# mirrors below are the ones torchvision and TensorFlow use.
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


def load_mnist() -> DataSet:
    """MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, 0 to 255."""
    files = {name: read_idx(locate("mnist", name, MNIST_SHA256[name], MNIST_MIRRORS)) for name in MNIST_SHA256}
    return DataSet(
        name="mnist",
        train_images=torch.from_numpy(files["train-images-idx3-ubyte.gz"])[:, None],
        train_labels=torch.from_numpy(files["train-labels-idx1-ubyte.gz"].astype(np.int64)),
        test_images=torch.from_numpy(files["t10k-images-idx3-ubyte.gz"])[:, None],
        test_labels=torch.from_numpy(files["t10k-labels-idx1-ubyte.gz"].astype(np.int64)),
        classes=10,
        full_scale=255,
    )


def read_idx(path: Path) -> np.ndarray:
    """A gzipped IDX file of unsigned bytes: uint8 of the shape it declares.

    Raises
    ------
    DataError
        If the file is not gzip, not IDX of unsigned bytes, or of another length than it declares.
    """
    try:
        with gzip.open(path) as stream:
            data = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file: {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise DataError(f"{path}: not an IDX file of unsigned bytes")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(f"{path}: IDX header is cut short")
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise DataError(f"{path}: {len(data) - header} bytes of data, but its header declares shape {shape}")
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape).copy()
