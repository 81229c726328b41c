"""Weights from .npz files, and files that hold none."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.codes import load_weights
from sterna.net import FileFormatError

NOT_AN_NPZ = "not a whole .npz file, which numpy.savez writes: one array a layer"
KINDS = "matrix must hold integers, or floats of 16, 32 or 64 bits"


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_matrices(tmp_path: Path) -> None:
    filters = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    dense = np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3))
    path = saved(
        tmp_path / "w.npz", conv=filters, bias=np.ones(2), dense=dense, count=np.int64(3), none=np.zeros((0, 4, 2))
    )
    weights = load_weights(path)
    assert list(weights.matrices) == ["conv", "dense", "none"]
    assert weights.skipped == 2
    assert weights.matrices["conv"].dtype == np.float32
    assert weights.matrices["conv"].tolist() == filters.reshape(2, 12).tolist()
    assert weights.matrices["dense"].tolist() == dense.tolist()
    assert weights.matrices["dense"].dtype == np.int16
    assert weights.matrices["none"].shape == (0, 8)
    with pytest.raises(TypeError, match="does not support item assignment"):
        weights.matrices["more"] = dense  # type: ignore[index]
    np.savez_compressed(tmp_path / "c.npz", dense=dense)
    assert load_weights(str(tmp_path / "c.npz")).matrices["dense"].tolist() == dense.tolist()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"a": np.ones(3), "b": np.ones(())}, "none of its 2 arrays has two dimensions or more: no weights"),
        ({}, "none of its 0 arrays has two dimensions or more: no weights"),
        ({"a": np.ones((2, 2), bool)}, f"array 'a': {KINDS}, not bool"),
        ({"a": np.array([[1, np.inf]])}, "array 'a': matrix must be finite, not inf at [0, 1]"),
        (
            {"a": np.array([[None]])},
            "array 'a': holds Python objects or named fields: save arrays of numbers",
        ),
    ],
)
def test_refused_arrays(arrays: dict[str, np.ndarray], reason: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.npz", **arrays)
    with pytest.raises(FileFormatError, match=f"^{re.escape(f'{path}: {reason}')}$"):
        load_weights(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"weights", b"\x93NUMPY"])
def test_not_an_npz(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=f"^{re.escape(f'{path}: {NOT_AN_NPZ}')}$"):
        load_weights(path)


def test_a_single_array(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    np.save(path, np.ones((2, 2)))
    with pytest.raises(FileFormatError, match=re.escape(NOT_AN_NPZ)):
        load_weights(path)


def test_another_zip_file(tmp_path: Path) -> None:
    """As torch.save writes."""
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"cposix\nsystem\n(S'exit 1'\ntR.")
    reason = "'archive/data.pkl' is no NumPy array; use numpy.savez, one array a layer"
    with pytest.raises(FileFormatError, match=f"^{re.escape(f'{path}: {reason}')}$"):
        load_weights(path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError):
        load_weights(tmp_path)


def test_damage_is_named(tmp_path: Path) -> None:
    """Every byte of a file changed in turn, and every length cut off: an error that names the file, or the weights."""
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.arange(4.0).reshape(2, 2))
    content = stream.getvalue()
    path = tmp_path / "w.npz"
    damaged = [content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :] for at in range(len(content))]
    reasons = []
    for changed in [*damaged, *(content[:end] for end in range(len(content)))]:
        path.write_bytes(changed)
        try:
            load_weights(path)
        except FileFormatError as error:
            reasons.append(str(error))
    assert all(reason.startswith(f"{path}: ") for reason in reasons)
    assert len(reasons) > 1.5 * len(content)
