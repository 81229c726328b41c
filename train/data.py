"""Data sets as tensors: from the folder ``STERNA_DATA``, or downloaded from their official homes with checksums."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA_VARIABLE = "STERNA_DATA"


class DataError(ValueError):
    """A data set is missing or damaged; the message names the file and the remedy."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSet:
    """A data set in memory.

    Parameters
    ----------
    name : its name in recipes.
    train_images, test_images : uint8, (images, channels, height, width).
    train_labels, test_labels : int64, (images,), 0 to ``classes`` - 1.
    classes : number of classes.
    full_scale : the largest value an input can have; the input's real unit is the images' own.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    full_scale: int

    def input_scale(self, width: int) -> float:
        """Real value of input code 1 that makes the largest code the full scale."""
        return self.full_scale / (2**width - 1)


def load_digits() -> DataSet:
    """scikit-learn's digits: 1,797 images of 8 x 8 pixels, 0 to 16, that come with that package.

    The package has no split. Ours: a permutation by NumPy's ``default_rng(0)``; the first 360 images are the test set.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError("the digits data set needs scikit-learn: pip install scikit-learn") from error
    bunch = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = torch.from_numpy(bunch.images.astype(np.uint8)[order])[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64)[order])
    return DataSet(
        name="digits",
        train_images=images[360:],
        train_labels=labels[360:],
        test_images=images[:360],
        test_labels=labels[:360],
        classes=10,
        full_scale=16,
    )


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


DATA_SETS: dict[str, Callable[[], DataSet]] = {"digits": load_digits, "mnist": load_mnist}


def load_data(name: str) -> DataSet:
    """A data set by its name in recipes.

    Raises
    ------
    DataError
        If the name is unknown, or files are missing or damaged.
    """
    if name not in DATA_SETS:
        raise DataError(f"data.name must be one of {', '.join(DATA_SETS)}, not {name!r}")
    return DATA_SETS[name]()


def locate(folder: str, name: str, sha256: str, mirrors: tuple[str, ...]) -> Path:
    """Path of a checked file: in ``STERNA_DATA`` where that is set, else in pooch's cache, downloaded where needed.

    Raises
    ------
    DataError
        If the file is not there, has another checksum, or cannot be downloaded.
    """
    root = os.environ.get(DATA_VARIABLE)
    if root:
        path = Path(root) / folder / name
        if not path.is_file():
            raise DataError(f"{path}: not there; put the official file there, or unset {DATA_VARIABLE} to download it")
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise DataError(f"{path}: not the official file (its SHA-256 differs); remove it and get it again")
        return path
    try:
        import pooch
    except ImportError as error:
        raise DataError(f"downloading {name} needs pooch: pip install pooch, or set {DATA_VARIABLE}") from error
    failures = []
    for mirror in mirrors:
        try:
            cache = pooch.os_cache("sterna") / folder
            return Path(pooch.retrieve(url=mirror + name, known_hash=f"sha256:{sha256}", fname=name, path=cache))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
            failures.append(f"{mirror}: {error}")
    raise DataError(
        f"{name} could not be downloaded ({'; '.join(failures)}); "
        f"put it into a folder {folder}/ and set {DATA_VARIABLE} to that folder's parent"
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
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: not a gzip file: {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise DataError(f"{path}: not an IDX file of unsigned bytes")
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise DataError(f"{path}: IDX header is cut short")
    shape = struct.unpack(f">{data[3]}I", data[4:header])
    if len(data) - header != int(np.prod(shape)):
        raise DataError(f"{path}: {len(data) - header} bytes of data, but its header declares shape {shape}")
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape).copy()
