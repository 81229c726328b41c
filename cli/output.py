"""How commands show what they do and what they found: tables, JSON, steps."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from sterna.cli.text import one_line, printable
from sterna.net.errors import InvalidValueError

__all__ = [
    "BLOCK_ALONE",
    "Steps",
    "console",
    "facts",
    "interval",
    "number",
    "print_json",
    "read_json",
    "share",
    "steps",
    "write_json",
]

#: What frames a second are.
BLOCK_ALONE = "clock / interval, of the block alone, without pins"

# In a file or a pipe, no path is broken at the end of a terminal's line: the longest path has so many characters.
_PLAIN_WIDTH = 4096
# A step that takes longer is announced where there is no terminal.
_PATIENCE_SECONDS = 3.0


def console(*, stderr: bool = False) -> Console:
    """Standard output (or standard error) as it is now. Brackets and colons in a text are printed as they are."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


class Steps:
    """Shows the step at work on standard error: a spinner on a terminal, else a line.

    The line comes only when a step has taken a while, so that a mistake that is found at once gets its one line alone.
    """

    def __init__(self, errors: Console, status: Status | None) -> None:
        self._errors = errors
        self._status = status
        self._timer: threading.Timer | None = None

    def __call__(self, step: str) -> None:
        """Name the step that begins."""
        line = Text(printable(f"{step} ..."))
        if self._status is not None:
            self._status.update(line)
            return
        self.stop()
        self._timer = threading.Timer(_PATIENCE_SECONDS, self._errors.print, (line,))
        self._timer.daemon = True
        self._timer.start()

    def note(self, text: str) -> None:
        """Say something that a user should know, though all is well."""
        self._errors.print(Text(f"note: {one_line(text)}"), soft_wrap=True)

    def stop(self) -> None:
        """Name no more steps."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def steps() -> Iterator[Steps]:
    """What shows the steps of a command."""
    errors = console(stderr=True)
    if errors.is_terminal:
        with errors.status("", spinner="dots" if errors.encoding.startswith("utf") else "line") as status:
            yield Steps(errors, status)
        return
    shown = Steps(errors, None)
    try:
        yield shown
    finally:
        shown.stop()


def facts(rows: Mapping[str, object]) -> Table:
    """A table of names and values, without lines."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, printable(str(value)))
    return table


def number(value: float) -> str:
    """A number of cycles: whole, or with up to three digits behind the point."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


def interval(timing: Mapping[str, Any]) -> str:
    """The interval that NAME.json states, with its period and the largest gap where they say more."""
    text, cycles = f"{number(timing['interval_cycles'])} cycles a frame", timing["interval_cycles"]
    more = []
    if timing["period_frames"] > 1:
        more.append(f"{number(timing['period_cycles'])} in {number(timing['period_frames'])} frames")
    if timing["largest_gap_cycles"] != cycles:
        more.append(f"largest gap {number(timing['largest_gap_cycles'])}")
    return f"{text} ({', '.join(more)})" if more else text


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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that a command of Sterna's wrote.

    Raises
    ------
    ValueError
        If there is none in it.
    OSError
        If it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"{path}: not a whole JSON file: {error}; run the command again that made it") from None
    if not isinstance(content, dict):
        raise InvalidValueError(f"{path}: it must hold a JSON object; run the command again that made it")
    return content
