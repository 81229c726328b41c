"""One run at a time in a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sterna.net.errors import InvalidValueError
from sterna.train.distributed import Group

LOCK_NAME = ".lock"


class RunLockedError(InvalidValueError):
    """Another run is at work in the folder."""


@contextmanager
def locked(folder: Path, group: Group) -> Iterator[None]:
    """Hold a run folder for the processes of one run, and clear what a killed run left half written.

    The first process holds the lock. The operating system gives it back when that process ends, however it ends; the
    file stays, and says nothing.

    Parameters
    ----------
    folder : the run folder; exists.
    group : the processes of the run.

    Raises
    ------
    RunLockedError
        In all of them, if another run holds the folder.
    """
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    taken = group.first and _take(lock)
    try:
        if not group.says(taken):
            raise RunLockedError(
                f"{folder}: another run is training in this folder; wait for its end, or choose another output folder"
            )
        if group.first:
            _clear(folder)
        yield
    finally:
        if taken:
            lock.release()


def _take(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    return True


def _clear(folder: Path) -> None:
    """Remove what processes that were killed left of files they were writing; pictures may be in the making."""
    for name in ("checkpoint.safetensors", "log.jsonl", "recipe.json", "results.json", "*.safetensors"):
        for path in folder.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)
