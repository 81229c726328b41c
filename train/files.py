"""Official files of data sets, with checksums: from the folder ``STERNA_DATA``, or downloaded from their homes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sterna.train.dataset import DataError

DATA_VARIABLE = "STERNA_DATA"


def locate(folder: str, name: str, sha256: str, mirrors: tuple[str, ...]) -> Path:
    """Path of a checked file: in ``STERNA_DATA`` where that is set, else in pooch's cache, downloaded where needed.

    Raises
    ------
    DataError
        If the file is not there, has another checksum, or cannot be downloaded.
    """
    root = os.environ.get(DATA_VARIABLE)
    if root:
        return check_official(require(Path(root) / folder / name), sha256)
    remedy = f"put it into a folder {folder}/ and set {DATA_VARIABLE} to that folder's parent"
    return Path(download(name, mirrors, known_hash=f"sha256:{sha256}", folder=folder, remedy=remedy))


def require(path: Path) -> Path:
    """``path``, if a file is there.

    Raises
    ------
    DataError
        If none is.
    """
    if not path.is_file():
        raise DataError(f"{path}: not there; put the official file there, or unset {DATA_VARIABLE} to download it")
    return path


def check_official(path: Path, sha256: str) -> Path:
    """``path``, if its file has that SHA-256.

    Raises
    ------
    DataError
        If it has another.
    """
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise DataError(f"{path}: not the official file (its SHA-256 differs); remove it and get it again")
    return path


def download(
    name: str,
    mirrors: tuple[str, ...],
    *,
    known_hash: str,
    folder: str,
    remedy: str,
    processor: Callable[..., Any] | None = None,
) -> Any:
    """Path of a file in pooch's cache, downloaded where needed; with a ``processor``, what that makes of it.

    Parameters
    ----------
    name : the file's name, on the mirrors and in the cache.
    mirrors : URLs of the folders that hold it, tried in order.
    known_hash : its checksum, as ``algorithm:hexadecimal``.
    folder : subfolder of the cache.
    remedy : what the user can do when no mirror has it, for the message.
    processor : one of pooch's, such as ``Untar``.

    Raises
    ------
    DataError
        If no mirror gives a file with that checksum.
    """
    pooch = import_pooch(name)
    cache = pooch.os_cache("sterna") / folder
    failures = []
    for mirror in mirrors:
        try:
            return pooch.retrieve(url=mirror + name, known_hash=known_hash, fname=name, path=cache, processor=processor)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
            failures.append(f"{mirror}: {error}")
    raise DataError(f"{name} could not be downloaded ({'; '.join(failures)}); {remedy}")


def import_pooch(name: str) -> ModuleType:
    """The package pooch, for downloading ``name``.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        import pooch
    except ImportError as error:
        raise DataError(f"downloading {name} needs pooch: pip install pooch, or set {DATA_VARIABLE}") from error
    return pooch
