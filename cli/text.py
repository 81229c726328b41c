"""Text for terminals that may know ASCII only, from names and files that may hold anything."""

from __future__ import annotations

import codecs
import io
import re
from typing import TextIO

__all__ = ["degrade", "one_line", "printable"]

_HANDLER = "sterna.degrade"
# What Sterna prints beyond ASCII, with which a terminal without it can do.
_ASCII = {
    "×": "x",
    "→": "->",
    "µ": "u",
    "∞": "inf",
    "…": "...",
    "\N{COMBINING MACRON}": "_",
    "\N{COMBINING TILDE}": "~",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline


def degrade(stream: TextIO) -> None:
    """Let a stream write what its encoding lacks as near as ASCII comes, instead of failing."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_HANDLER)


def printable(text: str) -> str:
    """``text`` with its control characters spelled out: names and metadata must not steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def one_line(text: str) -> str:
    """``text`` in one line, and printable."""
    return printable(" ".join(text.split()))


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a path that is no text: the byte again
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _ASCII.get(character, character.encode("ascii", "backslashreplace").decode()), error.start + 1


codecs.register_error(_HANDLER, _replace)
