"""How commands show what they do and what they found: tables, JSON, steps."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["console", "facts", "print_json", "share", "steps", "write_json"]

# Tables in a file or a pipe are not cut at 80 columns.
_PLAIN_WIDTH = 160
# A step that takes longer is announced where there is no terminal.
_PATIENCE_SECONDS = 3.0


def console(*, stderr: bool = False) -> Console:
    """Standard output (or standard error) as it is now."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False)


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Gives a function that shows the step at work on standard error: a spinner on a terminal, else a line.

    The line comes only when a step has taken a while, so that a mistake that is found at once gets its one line alone.
    """
    errors = console(stderr=True)
    if errors.is_terminal:
        with errors.status("") as status:
            yield lambda step: status.update(f"{step} ...")
        return
    timers: list[threading.Timer] = []

    def show(step: str) -> None:
        for timer in timers:
            timer.cancel()
        timers[:] = [threading.Timer(_PATIENCE_SECONDS, errors.print, (f"{step} ...",))]
        timers[0].daemon = True
        timers[0].start()

    try:
        yield show
    finally:
        for timer in timers:
            timer.cancel()


def facts(rows: Mapping[str, object]) -> Table:
    """A table of names and values, without lines."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


def share(value: float, digits: int = 2) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def print_json(value: object) -> None:
    """A JSON object on standard output."""
    print(json.dumps(value, indent=2))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    from sterna.net.container import write_text

    write_text(path, json.dumps(value, indent=2) + "\n")
