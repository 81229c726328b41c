"""CIFAR-10, from its official binary batches."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sterna.train.dataset import DataError, DataSet
from sterna.train.files import DATA_VARIABLE, check_official, data_folder, download, import_pooch, require

# The binary version of https://www.cs.toronto.edu/~kriz/cifar.html; the MD5 is given there.
HOMES = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
FOLDER = "cifar-10-batches-bin"
TRAIN_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
}
TEST_NAME = "test_batch.bin"
# By number of images: of the whole file, and of its first 1,000 records alone.
TEST_SHA256 = {
    1_000: "8314c96d7cd65618193bab23acdd5d4c4af15bf6dd00a1781d55beedf3be1ef5",
    10_000: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
SHAPE = (3, 32, 32)
RECORD_BYTES = 1 + math.prod(SHAPE)  # the label, then the red, green and blue planes, row by row


def load_cifar10() -> DataSet:
    """CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels; channels red, green, blue, 0 to 255.

    A ``test_batch.bin`` of the official file's first 1,000 images is taken too; they are then the whole test set.
    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.

    Raises
    ------
    DataError
        If a file is missing or damaged, or the archive cannot be downloaded.
    """
    folder = locate_cifar10()
    batches = [read_cifar10(check_official(require(folder / name), sha256)) for name, sha256 in TRAIN_SHA256.items()]
    test_images, test_labels = read_cifar10(check_test_batch(folder / TEST_NAME))
    return DataSet(
        name="cifar10",
        train_images=torch.cat([images for images, _ in batches]),
        train_labels=torch.cat([labels for _, labels in batches]),
        test_images=test_images,
        test_labels=test_labels,
        classes=10,
        full_scale=255,
    )


def locate_cifar10() -> Path:
    """Folder of the batches: in ``STERNA_DATA`` where that is set, else unpacked in pooch's cache.

    Raises
    ------
    DataError
        If there is no such folder, or the archive cannot be downloaded.
    """
    if place := data_folder(FOLDER):
        return place
    members = [f"{FOLDER}/{name}" for name in (*TRAIN_SHA256, TEST_NAME)]
    batches = download(
        ARCHIVE,
        HOMES,
        known_hash=f"md5:{ARCHIVE_MD5}",
        folder="cifar10",
        remedy=f"unpack it into a folder and set {DATA_VARIABLE} to that folder",
        processor=import_pooch(ARCHIVE).Untar(members=members),
    )
    return Path(batches[0]).parent


def check_test_batch(path: Path) -> Path:
    """``path`` of the test batch, if it is the official file, or that file's first 1,000 images.

    Raises
    ------
    DataError
        If it is not there, or is neither.
    """
    size = require(path).stat().st_size
    images, rest = divmod(size, RECORD_BYTES)
    if rest or images not in TEST_SHA256:
        counts = " or ".join(f"{count}" for count in TEST_SHA256)
        raise DataError(
            f"{path}: must be {counts} images of {RECORD_BYTES} bytes, not {size} bytes; remove it and get it again"
        )
    whole = images == max(TEST_SHA256)
    return check_official(
        path, TEST_SHA256[images], "the official file" if whole else f"the official file's first {images} images"
    )


def read_cifar10(path: Path) -> tuple[Tensor, Tensor]:
    """Images, uint8 (images, 3, 32, 32), and labels, int64 (images,), of a file of whole records.

    Raises
    ------
    DataError
        If there is no image, a record is cut short, or a label is not 0 to 9.
    """
    content = np.fromfile(path, dtype=np.uint8)
    if not len(content) or len(content) % RECORD_BYTES:
        raise DataError(
            f"{path}: must be images of {RECORD_BYTES} bytes each, not {len(content)} bytes; remove it and get it again"
        )
    records = content.reshape(-1, RECORD_BYTES)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        wrong = int((labels > 9).argmax())
        raise DataError(f"{path}: image {wrong} has label {labels[wrong]}, not 0 to 9; remove it and get it again")
    return torch.from_numpy(records[:, 1:].reshape(-1, *SHAPE)).contiguous(), torch.from_numpy(labels)
