"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EpochProgress:
    """Shows epochs as they end.

    Parameters
    ----------
    total : epochs of the whole run.
    done : epochs of a resumed run that are done.
    console : where to; standard error unless given.
    every_seconds : pause between two plain lines, where there is no terminal.
    quiet : show nothing.
    """

    def __init__(
        self,
        *,
        total: int,
        done: int = 0,
        console: Console | None = None,
        every_seconds: float = 10.0,
        quiet: bool = False,
    ):
        self._console = console or Console(stderr=True, quiet=quiet)
        self._total = total
        self._done = done
        self._every = every_seconds
        self._last = float("-inf")
        self._bar: Progress | None = None
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console)
            self._task = self._bar.add_task("training", total=total, completed=done)

    def __enter__(self) -> EpochProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, record: dict[str, Any]) -> None:
        """One epoch's log record."""
        self._done += 1
        text = (
            f"{record['stage']}: loss {record['loss']:.4f}, zeros {100 * record['zeros']:.2f} %, "
            f"index {record['index_entropy_bits'] / 1000:.1f} kbit, cycles {record['lane_cycles']:,}, "
            f"validation {100 * record['validation_accuracy']:.2f} %"
        )
        if self._bar:
            self._bar.update(self._task, completed=self._done, description=text)
        elif time.monotonic() - self._last >= self._every or self._done == self._total:
            self._last = time.monotonic()
            self._console.print(f"epoch {self._done}/{self._total} {text}", highlight=False)
