"""Arrays of numbers from ``.npy`` and ``.npz`` files, whose sizes are checked before anything is read or unpacked."""

from __future__ import annotations

import math
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from sterna.net.checks import check_finite, naming, shown
from sterna.net.container import in_file, is_special
from sterna.net.errors import InvalidTypeError, InvalidValueError

MAX_BYTES = 1 << 34  # of a file's arrays together: 16 GiB
_HEADER = 16384  # bytes; NumPy itself reads headers of at most 10,000 characters
_CHUNK = 1 << 20
_MOST_AXES = 32  # NumPy 1 has no more
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_DAMAGE = (
    ValueError, EOFError, OSError, RuntimeError, IndexError, OverflowError, zipfile.BadZipFile, zlib.error, struct.error
)  # fmt: skip


def load_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Read the numbers of one ``.npy`` file, as ``numpy.save`` writes it.

    Nothing is unpickled, and nothing is allocated before the file is found to be as long as its header says.

    Returns
    -------
    integers, or floats of 16, 32 or 64 bits
        In the file's shape and type, in native byte order.

    Raises
    ------
    :exc:`~sterna.net.FileFormatError`
        If it is no such file, or a number is infinite or none; the message names the file.
    :exc:`OSError`
        If the file cannot be read.
    """
    path = Path(path)
    with in_file(path), _open(path) as file:
        array = _read(file, os.fstat(file.fileno()).st_size)
        if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
            raise InvalidTypeError(f"must hold integers, or floats of 16, 32 or 64 bits, not {array.dtype}")
        if array.dtype.kind == "f":
            check_finite(array, "its numbers")
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file, as ``numpy.savez`` writes it, in its order and of any type but objects.

    Nothing is unpickled. All sizes are checked before the first array is read, and no more memory is taken than what is
    unpacked needs: a file that only says that it is large takes none.

    Raises
    ------
    :exc:`~sterna.net.FileFormatError`
        If it is no such file; the message names file and array.
    :exc:`OSError`
        If the file cannot be read.
    """
    path = Path(path)
    with in_file(path), _open(path) as file:
        if not zipfile.is_zipfile(file):
            raise InvalidValueError("not a whole .npz file, which numpy.savez writes: one array a layer")
        file.seek(0)
        with _damage():
            archive = zipfile.ZipFile(file)
        return {name: _unpack(archive, member, name) for name, member in _check_members(archive).items()}


def _open(path: Path) -> IO[bytes]:
    if is_special(path):
        raise InvalidValueError("not a regular file")
    return path.open("rb")


@contextmanager
def _damage() -> Iterator[None]:
    """Around calls of zipfile only: whatever it raises is the file's fault."""
    try:
        yield
    except _DAMAGE as error:
        raise InvalidValueError(f"damaged: {error}") from None


def _check_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """What an archive holds, by the names of its arrays, if it may be unpacked."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            raise InvalidValueError(f"{shown(name)} is no NumPy array; use numpy.savez, one array a layer")
        if name in members:
            raise InvalidValueError(f"two arrays are named {shown(name)}")
        if member.compress_type not in _COMPRESSIONS or member.flag_bits & 1:
            raise InvalidValueError(f"array {shown(name)}: encrypted, or packed as NumPy never does")
        members[name] = member
    total = sum(member.file_size for member in members.values())
    if total > MAX_BYTES:
        raise InvalidValueError(f"its arrays take {total:,} bytes, and at most {MAX_BYTES:,} are read")
    return members


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    with naming(f"array {shown(name)}"):
        with _damage():
            stream = archive.open(member)
        with stream:
            return _read(stream, member.file_size)


@dataclass(frozen=True)
class _Header:
    """What a ``.npy`` file says of its array; ``length`` is the header's, in bytes."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    length: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _read(file: IO[bytes], size: int) -> np.ndarray:
    """The array of an open ``.npy`` file of ``size`` bytes."""
    head = _take(file, _HEADER)
    header = _parse(head)
    if header.length + header.bytes != size:
        left = max(size - header.length, 0)
        raise InvalidValueError(f"an array of shape {header.shape} takes {header.bytes:,} bytes, not {left:,}")
    content = bytearray(head[header.length :])
    while chunk := _take(file, _CHUNK):
        content += chunk
    if len(content) != header.bytes:
        raise InvalidValueError(f"an array of {header.bytes:,} bytes ends after {len(content):,}")
    flat = np.frombuffer(content, dtype=header.dtype) if content else np.zeros(0, dtype=header.dtype)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _take(file: IO[bytes], count: int) -> bytes:
    try:
        return file.read(count)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InvalidValueError(f"damaged: {error}") from None


def _parse(head: bytes) -> _Header:
    stream = BytesIO(head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a header of Python 2 is read too, and a damaged one may look like anything
            version = np.lib.format.read_magic(stream)
            if version not in _READERS:  # version 3 is for names of fields
                raise ValueError(f"its version is {version}, and versions 1 and 2 are read")
            shape, fortran, dtype = _READERS[version](stream)
    except Exception as error:  # NumPy evaluates the header as Python: no list of what that may raise is complete
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InvalidValueError(f"not a whole .npy file: {reason}") from None
    if dtype.hasobject or dtype.names or not dtype.itemsize:
        raise InvalidValueError("holds Python objects or named fields: save arrays of numbers")
    if len(shape) > _MOST_AXES or any(type(side) is not int or side < 0 for side in shape):
        raise InvalidValueError(f"its shape must be up to {_MOST_AXES} sizes, not {shown(shape)}")
    if math.prod(max(side, 1) for side in shape) * dtype.itemsize > MAX_BYTES:
        raise InvalidValueError(f"an array of shape {shown(shape)} takes more than {MAX_BYTES:,} bytes")
    return _Header(shape, bool(fortran), dtype, stream.tell())
