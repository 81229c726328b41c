"""Data sets: shapes and splits, where files come from, and what is said when they are missing or damaged."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch

from sterna.train import data
from sterna.train.augment import Augmentation, augment
from sterna.train.data import DataError


def idx(array: np.ndarray) -> bytes:
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files named like MNIST's, with checksums of their own, in a data folder."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in data.MNIST_SHA256:
        count = 30 if name.startswith("train") else 10
        shape = (count, 28, 28) if "images" in name else (count,)
        content = idx(np.arange(np.prod(shape)).reshape(shape) % (256 if "images" in name else 10))
        (folder / name).write_bytes(content)
        monkeypatch.setitem(data.MNIST_SHA256, name, hashlib.sha256(content).hexdigest())
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
    mnist = data.load_data("mnist")
    assert mnist.train_images.shape == (30, 1, 28, 28)
    assert mnist.train_images.dtype == torch.uint8
    assert mnist.test_labels.tolist() == list(range(10))
    assert mnist.input_scale(4) == 17.0


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

    def retrieve(*, url: str, known_hash: str, fname: str, path: Path) -> str:
        asked.append((url, known_hash))
        if url.startswith(data.MNIST_MIRRORS[0]):
            raise OSError("no route")
        return str(small_mnist / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert len(data.load_mnist().train_images) == 30
    assert [url for url, _ in asked[:2]] == [mirror + "train-images-idx3-ubyte.gz" for mirror in data.MNIST_MIRRORS]
    assert all(known.removeprefix("sha256:") in data.MNIST_SHA256.values() for _, known in asked)


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
        (b"plain", "not a gzip file"),
        (gzip.compress(b"\0\0"), "not an IDX file of unsigned bytes"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\0"), "not an IDX file of unsigned bytes"),
        (gzip.compress(b"\0\0\x08\x02\0\0\0\x01"), "IDX header is cut short"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03ab"), r"2 bytes of data, but its header declares shape \(3,\)"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03abc")[:-9], "not a gzip file"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.gz: {message}"):
        data.read_idx(path)


def test_idx_round_trip(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "x.gz").write_bytes(idx(array))
    assert np.array_equal(data.read_idx(tmp_path / "x.gz"), array)


def test_unknown_data_set() -> None:
    with pytest.raises(DataError, match=r"data.name must be one of digits, mnist, not 'cifar'"):
        data.load_data("cifar")


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(16, 1, 9, 9, generator=torch.Generator().manual_seed(seed))


def test_no_augmentation_changes_nothing() -> None:
    same = images()
    assert augment(same, Augmentation(), torch.Generator()) is same


def test_augmentation_of_no_size_is_the_identity_of_the_grid() -> None:
    moved = augment(images(), Augmentation(shift=1e-9), torch.Generator().manual_seed(1))
    assert torch.allclose(moved, images(), atol=1e-5)


def test_augmentation_is_repeatable_and_moves_every_image() -> None:
    how = Augmentation(shift=1, rotate_degrees=10, scale=0.1, shear=0.1, elastic=0.5)
    one, other = (augment(images(), how, torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(one, other)
    assert ((one - images()).abs().flatten(1).max(dim=1).values > 0.01).all()


def test_shift_is_in_pixels() -> None:
    dot = torch.zeros(200, 1, 9, 9)
    dot[:, :, 4, 4] = 1
    moved = augment(dot, Augmentation(shift=2), torch.Generator().manual_seed(3))
    assert moved.sum(dim=(1, 2, 3)).allclose(torch.ones(200), atol=1e-4)
    for other_axis in (2, 3):
        place = (moved.sum(dim=other_axis) * torch.arange(9)).sum(dim=(1, 2))
        assert 2 <= place.min() < 2.2
        assert 5.8 < place.max() <= 6


def test_rotation_keeps_the_center_and_turns_the_rest() -> None:
    bar = torch.zeros(50, 1, 9, 9)
    bar[:, :, 4, 1:8] = 1
    moved = augment(bar, Augmentation(rotate_degrees=45), torch.Generator().manual_seed(4))
    assert (moved[:, 0, 4, 4] > 0.6).all()
    above, below = moved[:, 0, 2, 2] > 0.3, moved[:, 0, 6, 2] > 0.3  # the left half of the bar, turned either way
    assert above.any()
    assert below.any()
    assert not (above & below).any()
    assert torch.equal(above, moved[:, 0, 6, 6] > 0.3)


def test_rotation_is_rigid() -> None:
    ring = (torch.arange(31) - 15.0).square()
    ring = (-((ring[:, None] + ring).sqrt() - 9).square() / 4).exp().expand(20, 1, 31, 31)
    moved = augment(ring, Augmentation(rotate_degrees=60), torch.Generator().manual_seed(5))
    assert torch.allclose(moved, ring, atol=0.1)  # what interpolation blurs


def test_shear_and_scale_move_what_they_should() -> None:
    line = torch.zeros(100, 1, 21, 21)
    line[:, :, :, 10] = 1
    sheared = augment(line, Augmentation(shear=0.5), torch.Generator().manual_seed(6))
    assert torch.allclose(sheared[:, 0, 10], line[:, 0, 10], atol=1e-4)  # the middle row stays
    top = (sheared[:, 0, 0] * torch.arange(21)).sum(dim=1)
    assert 5 <= top.min() < 6
    assert 14 < top.max() <= 15
    block = torch.zeros(100, 1, 21, 21)
    block[:, :, 5:16, 5:16] = 1
    area = augment(block, Augmentation(scale=0.2), torch.Generator().manual_seed(7)).sum(dim=(1, 2, 3)) / 121
    assert 1 / 1.2**2 - 0.02 < area.min() < 0.8
    assert 1.3 < area.max() < 1 / 0.8**2 + 0.02
