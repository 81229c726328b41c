"""A place for the compiled tools where the user's own cache cannot be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["writable_cache"]

_VARIABLE = "XDG_CACHE_HOME"
# Below the cache: where wasmtime (for Amaranth's Yosys) and YoWASP's tools keep themselves, compiled.
_USERS = ("wasmtime", "YoWASP")


@contextmanager
def writable_cache() -> Iterator[None]:
    """Tools that start in the block find a cache that they can write: the user's, or else one for the block alone.

    They stop without one. In an empty cache each tool is compiled again, in up to a minute.
    """
    if _is_writable():
        yield
        return
    before = os.environ.get(_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="sterna-cache-") as folder:
        os.environ[_VARIABLE] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before


def _is_writable() -> bool:
    try:
        cache = Path(os.environ.get(_VARIABLE) or Path.home() / ".cache")
    except RuntimeError:  # no home is known
        return False
    return cache.is_absolute() and all(_can_write(cache / user) for user in _USERS)


def _can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself, if it is not there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
