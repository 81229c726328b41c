"""Files that are there whole or not at all, and safetensors files with a JSON header in their metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from sterna.net.errors import InvalidValueError


class FileFormatError(InvalidValueError):
    """A file that is not of the wanted format or of a version that is known; the message names file and field."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to ``path`` at the end of the block, removed after an error.

    ``path`` thus never holds half a file, whatever stops the program.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(path)
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


@contextmanager
def open_container(
    path: Path, key: str, *, versions: tuple[int, ...], what: str
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Open what :func:`write_container` wrote: its header, of a known ``version``, and safetensors' open file.

    Errors of type and value that the block raises become :exc:`FileFormatError`, with the file's name in front.

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
    path.open("rb").close()  # names a missing or unreadable file better than safe_open does
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(key)
            if text is None:
                raise InvalidValueError(f"its metadata has no '{key}' entry, so it holds no {what}")
            yield _header(text, versions), file
    except SafetensorError as error:
        raise FileFormatError(f"{path}: not a whole safetensors file: {error}") from None
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from None


def _header(text: str, versions: tuple[int, ...]) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise InvalidValueError(f"its header is no JSON: {error}") from None
    if not isinstance(header, dict) or "version" not in header:
        raise InvalidValueError("its header lacks the field 'version'")
    version = header["version"]
    if type(version) is not int or version not in versions:
        known = f"versions {versions[0]} to {versions[-1]}" if len(versions) > 1 else f"version {versions[0]}"
        raise InvalidValueError(f"its format version is {version!r}, and this Sterna reads {known}")
    return header
