"""Data sets: shapes and splits, where files come from, and what is said when they are missing or damaged."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch

from sterna.train import cifar, data, mnist
from sterna.train.data import DataError


def idx(array: np.ndarray) -> bytes:
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files named like MNIST's, with checksums of their own, in a data folder."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in mnist.MNIST_SHA256:
        count = 30 if name.startswith("train") else 10
        shape = (count, 28, 28) if "images" in name else (count,)
        content = idx(np.arange(np.prod(shape)).reshape(shape) % (256 if "images" in name else 10))
        (folder / name).write_bytes(content)
        monkeypatch.setitem(mnist.MNIST_SHA256, name, hashlib.sha256(content).hexdigest())
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    return folder


def test_digits_split_is_fixed_and_whole() -> None:
    digits = data.load_data("digits")
    assert digits.train_images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    assert digits.test_labels[:10].tolist() == [6, 6, 6, 2, 5, 6, 6, 2, 2, 1]
    assert int(digits.train_images.max()) == digits.full_scale == 16
    assert torch.bincount(digits.test_labels).min() > 20
    again = data.load_digits()
    assert torch.equal(again.test_images, digits.test_images)


def test_mnist_comes_from_the_data_folder(small_mnist: Path) -> None:
    digits = data.load_data("mnist")
    assert digits.train_images.shape == (30, 1, 28, 28)
    assert digits.train_images.dtype == torch.uint8
    assert digits.test_labels.tolist() == list(range(10))
    assert digits.input_scale(4) == 17.0


def test_missing_file_names_the_remedy(small_mnist: Path) -> None:
    (small_mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz: not there; put the official file there, or unset"):
        data.load_mnist()


def test_other_content_is_refused(small_mnist: Path) -> None:
    (small_mnist / "train-images-idx3-ubyte.gz").write_bytes(idx(np.zeros((30, 28, 28))))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: not the official file \(its SHA-256 differs\)"):
        data.load_mnist()


def test_downloads_try_every_mirror_with_the_checksum(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE)
    asked = []

    def retrieve(*, url: str, known_hash: str, fname: str, path: Path, processor: None) -> str:
        asked.append((url, known_hash))
        if url.startswith(mnist.MNIST_MIRRORS[0]):
            raise OSError("no route")
        return str(small_mnist / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(data.load_mnist().train_images) == 30
    assert [url for url, _ in asked[:2]] == [mirror + "train-images-idx3-ubyte.gz" for mirror in mnist.MNIST_MIRRORS]
    assert all(known.removeprefix("sha256:") in mnist.MNIST_SHA256.values() for _, known in asked)


def test_pooch_refuses_a_bad_checksum_in_its_cache(
    small_mnist: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache")
    monkeypatch.setattr(pooch.core, "stream_download", lambda *a, **k: (_ for _ in ()).throw(ValueError("SHA256 hash")))
    with pytest.raises(DataError, match=r"could not be downloaded \(https://.*SHA256 hash.*set STERNA_DATA"):
        data.load_mnist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"plain", "not a whole gzip file"),
        (gzip.compress(b"\0\0", mtime=0), "not an IDX file of unsigned bytes"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\0", mtime=0), "not an IDX file of unsigned bytes"),
        (gzip.compress(b"\0\0\x08\x02\0\0\0\x01", mtime=0), "IDX header is cut short"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03ab", mtime=0), r"2 bytes of data, but its header declares shape \(3,\)"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03abc", mtime=0)[:-9], "not a whole gzip file"),
        (gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "not a whole gzip file"),
    ],
    ids=["plain", "short", "wrong type", "header cut short", "data cut short", "gzip cut short", "not deflated"],
)
def test_damaged_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.gz: {message}"):
        mnist.read_idx(path)


def test_idx_round_trip(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "x.gz").write_bytes(idx(array))
    assert np.array_equal(mnist.read_idx(tmp_path / "x.gz"), array)


def batch(labels: range | list[int], *, seed: int) -> tuple[bytes, np.ndarray]:
    """A file of CIFAR-10's binary version, and its images, (images, 3, 32, 32)."""
    images = np.random.default_rng(seed).integers(256, size=(len(labels), 3, 32, 32), dtype=np.uint8)
    return b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, images, strict=True)), images


@pytest.fixture
def small_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files named like CIFAR-10's, with checksums of their own, in a data folder; test batches of 20 or 10 images."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for number in range(1, 6):
        name = f"data_batch_{number}.bin"
        content, _ = batch(range(number), seed=number)
        (folder / name).write_bytes(content)
        monkeypatch.setitem(cifar.TRAIN_SHA256, name, hashlib.sha256(content).hexdigest())
    whole, _ = batch([*range(10), *range(10)], seed=0)
    (folder / "test_batch.bin").write_bytes(whole)
    parts = (whole[: 10 * cifar.RECORD_BYTES], whole)
    sums = {len(part) // cifar.RECORD_BYTES: hashlib.sha256(part).hexdigest() for part in parts}
    monkeypatch.setattr(cifar, "TEST_SHA256", sums)
    monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path))
    return folder


def test_cifar10_comes_from_the_data_folder(small_cifar: Path) -> None:
    loaded = data.load_data("cifar10")
    expected = [torch.from_numpy(batch(range(number), seed=number)[1]) for number in range(1, 6)]
    assert loaded.train_images.dtype == loaded.test_images.dtype == torch.uint8
    assert torch.equal(loaded.train_images, torch.cat(expected))
    assert loaded.train_labels.dtype == loaded.test_labels.dtype == torch.int64
    assert loaded.train_labels.tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert torch.equal(loaded.test_images, torch.from_numpy(batch([0] * 20, seed=0)[1]))
    assert loaded.test_labels.tolist() == [*range(10), *range(10)]
    assert (loaded.name, loaded.classes, loaded.full_scale) == ("cifar10", 10, 255)


def test_cifar10_records_are_a_label_and_planes_of_rows(tmp_path: Path) -> None:
    rows, columns = np.indices((32, 32), dtype=np.uint8)
    path = tmp_path / "x.bin"
    path.write_bytes(
        bytes([7]) + rows.tobytes() + columns.tobytes() + bytes([255]) * 1024 + bytes([9]) + bytes([1, 2, 3]) * 1024
    )
    images, labels = cifar.read_cifar10(path)
    assert images.is_contiguous()
    assert labels.tolist() == [7, 9]
    assert images[0, :, 5, 30].tolist() == [5, 30, 255]
    assert images[0, :, 31, 0].tolist() == [31, 0, 255]
    assert images[1, :, 0, 0].tolist() == [1, 2, 3]  # 1,024 is 1 more than a multiple of 3


def test_the_first_test_images_of_cifar10_will_do(small_cifar: Path) -> None:
    whole = data.load_cifar10()
    path = small_cifar / "test_batch.bin"
    path.write_bytes(path.read_bytes()[: 10 * 3073])
    short = data.load_cifar10()
    assert torch.equal(short.test_images, whole.test_images[:10])
    assert short.test_labels.tolist() == list(range(10))
    assert torch.equal(short.train_images, whole.train_images)


@pytest.mark.parametrize(
    ("images", "what"), [(10, "the official file's first 10 images"), (20, "the official file")], ids=["short", "whole"]
)
def test_other_test_images_of_cifar10_are_refused(small_cifar: Path, images: int, what: str) -> None:
    path = small_cifar / "test_batch.bin"
    content = bytearray(path.read_bytes()[: images * 3073])
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        data.load_cifar10()
    assert str(caught.value) == f"{path}: not {what} (its SHA-256 differs); remove it and get it again"


def test_lengths_of_cifar10_test_batches(tmp_path: Path) -> None:
    path = tmp_path / "test_batch.bin"
    with path.open("wb") as stream:
        for images, what in ((1_000, "the official file's first 1000 images"), (10_000, "the official file")):
            stream.truncate(images * 3073)  # of the right length, and all zero
            with pytest.raises(DataError) as caught:
                cifar.check_test_batch(path)
            assert str(caught.value) == f"{path}: not {what} (its SHA-256 differs); remove it and get it again"
        for size in (0, 999 * 3073, 1_000 * 3073 - 1, 1_000 * 3073 + 1, 50_000 * 3073):
            stream.truncate(size)
            with pytest.raises(DataError) as caught:
                cifar.check_test_batch(path)
            assert str(caught.value) == (
                f"{path}: must be 1000 or 10000 images of 3073 bytes, not {size} bytes; remove it and get it again"
            )


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin"])
def test_missing_cifar10_file_names_the_remedy(small_cifar: Path, name: str) -> None:
    (small_cifar / name).unlink()
    with pytest.raises(DataError, match=rf"cifar-10-batches-bin.{name}: not there; put the official file there, or un"):
        data.load_cifar10()


@pytest.mark.parametrize("name", ["data_batch_1.bin", "data_batch_5.bin", "test_batch.bin"])
def test_other_cifar10_content_is_refused(small_cifar: Path, name: str) -> None:
    path = small_cifar / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=rf"{name}: not the official file \(its SHA-256 differs\)"):
        data.load_cifar10()


def test_truncated_cifar10_batch_is_refused(small_cifar: Path) -> None:
    path = small_cifar / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-3073])
    with pytest.raises(DataError, match=r"data_batch_3.bin: not the official file \(its SHA-256 differs\)"):
        data.load_cifar10()


def test_cifar10_labels_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(batch([0, 9, 1, 10, 4, 200, 0, 0, 0, 0], seed=0)[0])
    with pytest.raises(DataError) as caught:
        cifar.read_cifar10(path)
    assert str(caught.value) == f"{path}: image 3 has label 10, not 0 to 9; remove it and get it again"


@pytest.mark.parametrize("size", [0, 3072, 2 * 3073 + 1])
def test_cifar10_records_are_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(DataError) as caught:
        cifar.read_cifar10(path)
    assert str(caught.value) == (
        f"{path}: must be images of 3073 bytes each, not {size} bytes; remove it and get it again"
    )


@pytest.fixture
def home(small_cifar: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """CIFAR-10's home with an archive of the small files, and pooch's cache, both for the test; the URLs asked for."""
    asked: list[str] = []
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(small_cifar, "cifar-10-batches-bin")

    def choose_downloader(url: str, progressbar: bool) -> Callable[..., None]:
        asked.append(url)
        return lambda url, path, pooch: Path(path).write_bytes(content.getvalue())

    monkeypatch.delenv(data.DATA_VARIABLE)
    monkeypatch.setattr(pooch.core, "choose_downloader", choose_downloader)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(cifar, "ARCHIVE_MD5", hashlib.md5(content.getvalue()).hexdigest())
    return asked


def test_cifar10_is_downloaded_once_and_unpacked(home: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        loaded = data.load_cifar10()
        assert len(loaded.train_images) == 15
        assert len(loaded.test_images) == 20
    assert home == ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"]
    assert (tmp_path / "cache" / "sterna" / "cifar10" / "cifar-10-binary.tar.gz").is_file()


def test_unpacked_cifar10_files_are_checked_and_can_be_got_again(home: list[str], tmp_path: Path) -> None:
    data.load_cifar10()
    (path,) = (tmp_path / "cache").rglob("data_batch_2.bin")
    path.write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"data_batch_2.bin: not the official file .* remove it and get it again"):
        data.load_cifar10()
    path.unlink()
    assert len(data.load_cifar10().train_images) == 15
    assert len(home) == 1


def test_another_cifar10_archive_is_refused(home: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "ARCHIVE_MD5", "c32a1d4ab5d03f1284b67883e8d87530")
    with pytest.raises(DataError) as caught:
        data.load_cifar10()
    message = str(caught.value)
    assert message.startswith("cifar-10-binary.tar.gz could not be downloaded (https://www.cs.toronto.edu/~kriz/: MD5 ")
    assert message.endswith("; unpack it into a folder and set STERNA_DATA to that folder")


@pytest.mark.parametrize(
    ("name", "file"), [("mnist", "train-images-idx3-ubyte.gz"), ("cifar10", "cifar-10-binary.tar.gz")]
)
def test_downloads_need_pooch(name: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(data.DATA_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=rf"downloading {file} needs pooch: pip install pooch, or set STERNA_DATA"):
        data.load_data(name)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "mnist"), ("cifar10", "cifar-10-batches-bin")])
def test_a_data_folder_that_is_none_names_the_remedy(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / folder).mkdir()
    remedy = f"set it to the folder that {folder}/ lies in, or unset it to download the files"
    for place, what in (
        ("none", "which is not there"),
        ("file", "which is a file"),
        ("empty", f"which has no folder {folder}"),
        (folder, "the data set's own folder"),
    ):
        monkeypatch.setenv(data.DATA_VARIABLE, str(tmp_path / place))
        with pytest.raises(DataError) as caught:
            data.load_data(name)
        assert str(caught.value) == f"STERNA_DATA is {tmp_path / place}, {what}; {remedy}"


def test_a_folder_in_a_files_place_is_named(small_mnist: Path) -> None:
    path = small_mnist / "t10k-labels-idx1-ubyte.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz: no file; put the official file there, or unset"):
        data.load_mnist()


def test_unknown_data_set() -> None:
    with pytest.raises(DataError, match=r"data.name must be one of digits, mnist, cifar10, fsdd, not 'cifar'"):
        data.load_data("cifar")
