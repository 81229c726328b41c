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
    if place := data_folder(folder):
        return check_official(require(place / name), sha256)
    remedy = f"put it into a folder {folder}/ and set {DATA_VARIABLE} to that folder's parent"
    return Path(download(name, mirrors, known_hash=f"sha256:{sha256}", folder=folder, remedy=remedy))


def data_folder(folder: str) -> Path | None:
    """A data set's folder in ``STERNA_DATA``; ``None`` where that is not set.

    Raises
    ------
    DataError
        If it is set, and there is no such folder.
    """
    root = os.environ.get(DATA_VARIABLE)
    if not root:
        return None
    place = Path(root) / folder
    if place.is_dir():
        return place
    remedy = f"set it to the folder that {folder}/ lies in, or unset it to download the files"
    if not Path(root).is_dir():
        what = "a file" if Path(root).exists() else "not there"
        raise DataError(f"{DATA_VARIABLE} is {root}, which is {what}; {remedy}")
    if Path(root).resolve().name == folder:
        raise DataError(f"{DATA_VARIABLE} is {root}, the data set's own folder; {remedy}")
    raise DataError(f"{DATA_VARIABLE} is {root}, which has no folder {folder}; {remedy}")


def require(path: Path) -> Path:
    """``path``, if a file is there.

    Raises
    ------
    DataError
        If none is.
    """
    if not path.is_file():
        what = "no file" if path.exists() else "not there"
        raise DataError(f"{path}: {what}; put the official file there, or unset {DATA_VARIABLE} to download it")
    return path


def check_official(path: Path, sha256: str, what: str = "the official file") -> Path:
    """``path``, if its file has that SHA-256; ``what`` that is the one of, for the message.

    Raises
    ------
    DataError
        If it has another.
    """
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise DataError(f"{path}: not {what} (its SHA-256 differs); remove it and get it again")
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
