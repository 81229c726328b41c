"""Arrays from .npy and .npz files: whole ones come back, all others are refused before they take memory."""

from __future__ import annotations

import io
import os
import random
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.net import FileFormatError
from sterna.net.arrays import load_array, load_arrays

OBJECTS = "holds Python objects or named fields: save arrays of numbers"


def npy(head: str | bytes, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = head.encode() if isinstance(head, str) else head
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(2 if version == (1, 0) else 4, "little") + text + data


def described(shape: str, descr: str = "'<i4'", fortran: object = False) -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def npz(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refused(load: Callable[[Path], Any], path: Path, message: str, *, room: int = 4 << 20) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))}: {message}$"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < room
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(5, dtype=">i8"),
        np.array(3.5, dtype=">f2"),
        np.array([2**64 - 1], dtype=np.uint64),
        np.zeros((0, 7), dtype=np.int16),
        np.arange(300_000, dtype=np.int64),  # longer than one read
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    loaded = load_array(str(tmp_path / "a.npy"))
    assert (loaded.shape, loaded.dtype) == (array.shape, array.dtype.newbyteorder("="))
    assert np.array_equal(loaded, array)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", a=array, b=np.array([True]), c=np.array(["x"]))
        arrays = load_arrays(tmp_path / "a.npz")
        assert list(arrays) == ["a", "b", "c"]
        assert np.array_equal(arrays["a"], array)
        assert [arrays["b"].tolist(), arrays["c"].tolist()] == [[True], ["x"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"not a whole \.npy file: .*"),
        (b"\x93NUMPY", r"not a whole \.npy file: .*"),
        (b"weights of mine", r"not a whole \.npy file: .*"),
        (npy("{"), r"not a whole \.npy file: .*"),
        (npy("(" * 9000), r"not a whole \.npy file: .*"),
        (npy("[" * 9000 + "]" * 9000, version=(2, 0)), r"not a whole \.npy file: .*"),
        (npy("-" * 9000 + "1"), r"not a whole \.npy file: .*"),
        (npy(b"\xff" * 9), r"not a whole \.npy file: .*"),
        (npy(described("(3,)"), version=(9, 0)), r"not a .*: its version is \(9, 0\), and versions 1 and 2 are read"),
        (npy(described("(3,)", descr="'<q9'")), r"not a whole \.npy file: .*"),
        (npy(described("3")), r"not a whole \.npy file: .*"),
        (npy(described("(3,)"), bytes(11)), r"an array of shape \(3,\) takes 12 bytes, not 11"),
        (npy(described("(3,)"), bytes(13)), r"an array of shape \(3,\) takes 12 bytes, not 13"),
        (npy(described("(4294967297,)", "'|u1'"), bytes(1)), r"an array of shape \(4294967297,\) .* bytes, not 1"),
        (npy(described("(4294967297,)"), bytes(4)), r"an array of shape \(4294967297,\) takes more than .* bytes"),
        (npy(described(f"({'9' * 4000},)")), r"an array of shape \(an integer of \d+ bits,\) takes more than .* bytes"),
        (npy(described("(0, 4611686018427387904)")), r"an array of shape \(0, 46.*\) takes more than .* bytes"),
        (npy(described("(-1, -3)"), bytes(12)), r"its shape must be up to 32 sizes, not \(-1, -3\)"),
        (npy(described("(True,)"), bytes(4)), r"its shape must be up to 32 sizes, not \(True,\)"),
        (npy(described(f"({'1,' * 40})"), bytes(4)), r"its shape must be up to 32 sizes, not \(1, .*"),
        (npy(described("(1,)", "'|O'"), bytes(8)), OBJECTS),
        (npy(described("(1,)", "[('a', '<i4')]"), bytes(4)), OBJECTS),
        (npy(described("(1,)", "[('a', '<i4')]"), bytes(4), version=(3, 0)), r"not a .*: its version is \(3, 0\).*"),
        (npy(described("(1,)", "'|V0'")), OBJECTS),
        (npy(described("(1,)", "'|b1'"), b"\1"), r"must hold integers, or floats of 16, 32 or 64 bits, not bool"),
        (npy(described("(1,)", "'<c8'"), bytes(8)), r"must hold integers, .*, not complex64"),
        (npy(described("(1,)", "'<U1'"), bytes(4)), r"must hold integers, .*, not <U1"),
        (npy(described("(2,)", "'<f4'"), np.float32([1, np.nan]).tobytes()), r"its numbers .*, not nan at \[1\]"),
        (npy(described("()", "'<f8'"), np.float64(-np.inf).tobytes()), r"its numbers must be finite, not -inf"),
    ],
)  # fmt: skip
def test_bad_arrays(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    refused(load_array, path, message)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_array(tmp_path / "none.npy")
    with pytest.raises(IsADirectoryError):
        load_array(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it
    for load in (load_array, load_arrays):
        for path in (Path("/dev/zero"), tmp_path / "pipe"):
            refused(load, path, "not a regular file")


def test_a_header_that_python_2_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(described("(2L,)"), np.int32([1, -2]).tobytes()))
    assert load_array(path).tolist() == [1, -2]


def test_bad_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    whole = npy(described("(1,)"), bytes(4))
    refused(load_arrays, npz(path, {"a.txt": b"1"}), "'a.txt' is no NumPy array; use numpy.savez, one array a layer")
    refused(load_arrays, npz(path, {"a.npy": whole}, zipfile.ZIP_BZIP2), r"array 'a': encrypted, or packed as .*")
    refused(load_arrays, npz(path, {"a.npy": whole[:-1]}), r"array 'a': an array of shape \(1,\) takes 4 bytes, not 3")
    refused(load_arrays, npz(path, {"b.npy": whole, "a.npy": whole + b"1"}), r"array 'a': an array .*, not 5")
    refused(load_arrays, npz(path, {"a.npy": b""}), r"array 'a': not a whole \.npy file: .*")
    refused(load_arrays, npz(path, {"a.npy": npy(described("(9,)", "'|O'"))}), f"array 'a': {OBJECTS}")
    path.write_bytes(npz(path, {"a.npy": whole, "b.npy": whole}).read_bytes().replace(b"b.npy", b"a.npy"))
    refused(load_arrays, path, "two arrays are named 'a'")


def test_an_archive_that_unpacks_to_much_is_not_unpacked(tmp_path: Path) -> None:
    """Of a header that tells the truth about it, and of ones that do not."""
    path = npz(tmp_path / "a.npz", {"a.npy": npy(described("(16777216,)", "'|u1'"), bytes(1 << 24))})
    content = path.read_bytes()
    size = (len(npy(described("(16777216,)", "'|u1'"))) + (1 << 24)).to_bytes(4, "little")
    assert content.count(size) == 2  # in the member's own header, and in the directory
    path.write_bytes(content.replace(size, (2**32 - 2).to_bytes(4, "little")))
    refused(load_arrays, path, r"array 'a': an array of shape \(16777216,\) takes 16,777,216 bytes, not .*")
    path.write_bytes(content.replace(size, (200).to_bytes(4, "little")))
    refused(load_arrays, path, r"array 'a': damaged: Bad CRC-32 .*")
    many = {f"{i}.npy": npy(described("(1,)"), bytes(4)) for i in range(5)}
    content = npz(path, many).read_bytes()
    size = len(many["0.npy"]).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (2**32 - 2).to_bytes(4, "little")))
    refused(load_arrays, path, r"its arrays take 21,474,836,470 bytes, and at most 17,179,869,184 are read")
    declared = npy(described("(4294967295,)", "'|u1'"))
    content = npz(path, {"a.npy": declared + bytes(9)}).read_bytes()
    size, wrong = (len(declared) + 9).to_bytes(4, "little"), 2**32 - 2
    path.write_bytes(content.replace(size, wrong.to_bytes(4, "little")))
    refused(load_arrays, path, r"array 'a': an array of shape \(4294967295,\) takes 4,294,967,295 bytes, not .*")
    declared = npy(described(f"({wrong - len(declared)},)", "'|u1'"))
    content = npz(path, {"a.npy": declared + bytes(9)}).read_bytes()
    path.write_bytes(content.replace((len(declared) + 9).to_bytes(4, "little"), wrong.to_bytes(4, "little")))
    refused(load_arrays, path, r"array 'a': (damaged: .*|an array of 4,\S+ bytes ends after \d+)")


def test_damaged_files(tmp_path: Path) -> None:
    """Bytes of both kinds of file changed, cut off and put in: an error that names the file, or the array."""
    streams = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(streams[0], np.arange(6.0).reshape(2, 3))
    np.savez(streams[1], a=np.arange(3), b=np.float32([[1, 2]]))
    np.savez_compressed(streams[2], a=np.zeros((40, 40)))
    rng = random.Random(4)
    path, messages = tmp_path / "damaged", []
    for _ in range(1500):
        chosen = rng.randrange(3)
        content = bytearray(streams[chosen].getvalue())
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(content))
            new = rng.choice((b"", rng.randbytes(1), b"\xff", b"9", bytes(4)))
            content[at : at + rng.choice((0, 1, 1, 1, 4))] = new
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        try:
            (load_array if chosen == 0 else load_arrays)(path)
        except FileFormatError as error:
            messages.append(str(error))
    assert all(message.startswith(f"{path}: ") and "\n" not in message for message in messages)
    assert 750 < len(messages) < 1450
    assert os.listdir(tmp_path) == ["damaged"]
