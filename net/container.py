"""Files that are there whole or not at all, and safetensors files with a JSON header in their metadata."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError, SternaError

_DIGEST = re.compile(r"[0-9a-f]{64}")


class FileFormatError(InvalidValueError):
    """A file that is not of the wanted format or of a version that is known; the message names file and field."""


def is_special(path: Path) -> bool:
    """Whether there is something that is neither a file nor a folder: a device, or a pipe, which may wait for ever."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def in_file(path: Path) -> Iterator[None]:
    """Makes what the checks in its block raise a :exc:`FileFormatError`, with the file's name in front.

    Errors that are no :exc:`~sterna.net.errors.SternaError` are no fault of the file's, and pass.
    """
    try:
        yield
    except SternaError as error:
        raise FileFormatError(f"{path}: {error}") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to ``path`` at the end of the block, removed after an error.

    ``path`` thus never holds half a file, whatever stops the program, and however many write to it at a time: the last
    one that ends wins. A link stays, and what it points at is replaced. The mode is that of a new file. What is neither
    a file nor a folder, as a pipe or ``/dev/null``, cannot be replaced, and is written to itself.
    """
    if is_special(path):
        yield path
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():  # realpath gives a link only where links lead to each other
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    beside = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.part")
    try:
        yield beside
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_container(path: Path, key: str, header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors and a header; the same contents give the same bytes.

    Parameters
    ----------
    path : path
    key : str
        Name of the header among the metadata. There is one entry, since safetensors writes several in no fixed order.
    header : mapping
        Turned into JSON; infinities and NaN are refused.
    tensors : mapping of str to array
    """
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    content = to_safetensors(dict(tensors), metadata={key: text})
    with replacing(path) as beside:
        beside.write_bytes(content)


class StoredTensors:
    """The tensors of an open container, read one by one; safetensors' errors are :exc:`ValueError` naming the tensor.

    Parameters
    ----------
    file : what ``safe_open`` gives
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._names = tuple(file.keys())

    @property
    def names(self) -> tuple[str, ...]:
        """Of all tensors."""
        return self._names

    def dtype(self, name: str) -> str:
        """As safetensors writes it: I8, U8, F32, …"""
        return str(self._file.get_slice(name).get_dtype())

    def read(self, name: str) -> np.ndarray:
        """The tensor; :exc:`ValueError` if NumPy has no such type, or cannot hold the shape."""
        try:
            tensor = np.asarray(self._file.get_tensor(name))
        except (TypeError, AttributeError):  # so safetensors looks for a type that NumPy has not
            tensor = None
        except (ValueError, SafetensorError) as error:  # as for a side of 0 beside one beyond all limits
            raise InvalidValueError(f"tensor {shown(name)} is no array: {error}") from None
        if tensor is None or tensor.dtype.isbuiltin != 1:  # other packages add types to NumPy
            raise InvalidValueError(f"tensor {shown(name)} is of type {self.dtype(name)}, which NumPy lacks")
        return tensor


@contextmanager
def open_container(
    path: Path, key: str, *, versions: tuple[int, ...], what: str
) -> Iterator[tuple[dict[str, Any], StoredTensors]]:
    """Open what :func:`write_container` wrote: its header, of a known ``version``, and its tensors.

    The block is one :func:`in_file`.

    Parameters
    ----------
    path : path
    key : str
    versions : tuple of int
        Versions that can be read, in order.
    what : str
        What the file is to hold, for the message.

    Raises
    ------
    :exc:`FileFormatError`
        If it is no such file.
    :exc:`OSError`
        If it cannot be read.
    """
    with in_file(path):
        if is_special(path):
            raise InvalidValueError("not a regular file")
        path.open("rb").close()  # names a missing or unreadable file better than safe_open does
        try:
            opened = safe_open(path, framework="numpy")
        except SafetensorError as error:
            raise InvalidValueError(f"not a whole safetensors file: {error}") from None
        with opened as file:
            text = (file.metadata() or {}).get(key)
            if text is None:
                raise InvalidValueError(f"its metadata has no '{key}' entry, so it holds no {what}")
            yield _header(text, versions), StoredTensors(file)


def check_digest(digest: object) -> None:
    """:exc:`ValueError` unless it may be a SHA-256."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidValueError(f"digest must be 64 hexadecimal digits, not {shown(digest)}")


def _header(text: str, versions: tuple[int, ...]) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise InvalidValueError(f"its header is no JSON: {error}") from None
    except RecursionError:
        raise InvalidValueError("its header is nested too deeply") from None
    if not isinstance(header, dict) or "version" not in header:
        raise InvalidValueError("its header lacks the field 'version'")
    version = header["version"]
    if type(version) is not int or version not in versions:
        known = f"versions {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"version {versions[0]}"
        raise InvalidValueError(f"its format version is {shown(version)}, and this Sterna reads {known}")
    return header
