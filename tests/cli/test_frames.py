"""The frames of `sterna simulate`: hostile files, none at all, too many."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sterna.cli.frames import load_codes, random_codes
from sterna.net.errors import InvalidValueError
from sterna.net.file import load


def npy(shape: str, *, descr: str = "'<i8'", order: str = "False", data: bytes = b"") -> bytes:
    """A .npy file with a header of one's own."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        b"\x93NUMPY\x01\x00",
        npy("(1000000000000000, 8)"),
        npy("(3, 8)", data=bytes(191)),
        npy("(1, 8)", descr="'|O'", data=bytes(64)),
        npy("(1, 8)", descr="[" * 150 + "]" * 150),
    ],
)
def test_hostile_file(content: bytes, folder: Path, tmp_path: Path, sterna: Callable) -> None:
    """One line that names the file (tests/net/test_arrays.py has the reasons), and nothing is touched."""
    (tmp_path / "x.npy").write_bytes(content)
    before = sorted(folder.rglob("*"))
    error = sterna("simulate", folder, "--inputs", tmp_path / "x.npy").error
    assert error.startswith(f"{tmp_path / 'x.npy'}: ")
    assert len(error) > len(f"{tmp_path / 'x.npy'}: ")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i8", ">i2", "u1", "f4"])
def test_whole_file(order: str, dtype: str, tmp_path: Path) -> None:
    codes = np.arange(24, dtype=dtype).reshape(3, 8)
    np.save(tmp_path / "x.npy", np.asarray(codes, order=order))
    loaded = load_codes(tmp_path / "x.npy")
    assert loaded.dtype == codes.dtype.newbyteorder("=")
    np.testing.assert_array_equal(loaded, codes)


@pytest.mark.parametrize("target", ["folder", "model"])
def test_no_frames(
    target: str, folder: Path, model: Path, tmp_path: Path, sterna: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before anything is generated or a simulator is looked for, and the last result stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (folder / "simulation.json").write_text("of an earlier run")
    np.save(tmp_path / "x.npy", np.zeros((0, 8), dtype=np.int64))
    before = sorted(tmp_path.rglob("*"))
    arguments = ("simulate", folder if target == "folder" else model)
    error = sterna(*arguments, "--inputs", tmp_path / "x.npy").error
    assert error == f"{tmp_path / 'x.npy'}: there are no frames in it: its shape is (0, 8)"
    assert "'--limit'" in sterna(*arguments, "--limit", "0").error
    assert sorted(tmp_path.rglob("*")) == before
    assert (folder / "simulation.json").read_text() == "of an earlier run"


def test_random_frames(model: Path) -> None:
    network = load(model)
    codes = random_codes(network, 500, seed=3)
    assert codes.shape == (500, 8)
    assert (codes.min(), codes.max()) == (0, 3)
    np.testing.assert_array_equal(codes, random_codes(network, 500, seed=3))
    with pytest.raises(
        InvalidValueError, match=r"^--limit must be at most 33554432 for random frames of 8 codes, not 3"
    ):
        random_codes(network, 2**28 // 8 + 1, seed=0)
