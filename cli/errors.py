"""What went wrong, in one line: the only place that turns exceptions into messages and exit statuses."""

from __future__ import annotations

import errno

import typer

from sterna.cli.text import one_line
from sterna.net.errors import SternaError

__all__ = ["DEFECT", "FAILED", "INTERRUPTED", "is_users", "message", "status_of"]

#: Exit status after something that a user, the operating system or a tool caused.
FAILED = 1
#: Exit status after a defect of Sterna's (EX_SOFTWARE of sysexits.h).
DEFECT = 70
#: Exit status after Ctrl-C.
INTERRUPTED = 130

# What a user, the operating system or a tool can cause. Anything else is a defect, but for missing optional packages.
_USERS = (SternaError, OSError, MemoryError, typer.TyperException)

# The extra that brings each optional package.
_EXTRAS = {
    "torch": "train",
    "sklearn": "train",
    "pooch": "train",
    "matplotlib": "train",
    "cocotb": "sim",
    "cocotb_tools": "sim",
    "cocotbext": "sim",
    "filelock": "sim",
    "onnx": "import",
    "serial": "board",
    "amaranth_boards": "synth",
}

_REASONS = {
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of that path is a file, not a folder",
    errno.EEXIST: "it is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.EACCES: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its links lead in a circle",
}


def is_users(error: BaseException) -> bool:
    """Whether a user, the operating system or a tool caused this, and no defect of Sterna's."""
    if isinstance(error, ModuleNotFoundError):
        return _package(error) in _EXTRAS
    return isinstance(error, _USERS)


def status_of(error: BaseException) -> int:
    """The exit status after an exception."""
    return FAILED if is_users(error) else DEFECT


def message(error: BaseException) -> str:
    """One line for a user about any exception."""
    text = one_line(str(error))
    if not is_users(error):
        found = f"{type(error).__name__}: {text}" if text else type(error).__name__
        return (
            f"internal error: {found}; this is a defect of Sterna's: please report it with the output of the same "
            "command with --debug"
        )
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        help_command = f"{context.command_path} --help" if context else "sterna --help"
        return one_line(f"{error.format_message().rstrip('.')}; see `{help_command}`")
    if isinstance(error, MemoryError):
        return f"not enough memory for this command{text and ': '}{text}; give it less at once, or more memory"
    if isinstance(error, OSError) and error.errno is not None:
        reason = _REASONS.get(error.errno, (error.strerror or "").lower())
        return one_line(f"cannot use {_name(error.filename)}: {reason}" if error.filename else reason)
    if isinstance(error, ModuleNotFoundError):
        package = _package(error)
        return f"the Python package {package} is missing; install it with `pip install 'sterna[{_EXTRAS[package]}]'`"
    return text or type(error).__name__


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def _name(path: object) -> str:
    return path.decode(errors="surrogateescape") if isinstance(path, bytes) else str(path)
