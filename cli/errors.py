"""What a user did wrong, in one line: the only place that turns exceptions into messages."""

from __future__ import annotations

import errno

import typer

from sterna.net.errors import SternaError

__all__ = ["USER_ERRORS", "message"]

#: What a user, the operating system or a tool can cause. Anything else is a defect of Sterna's.
USER_ERRORS = (SternaError, OSError, ModuleNotFoundError, typer.TyperException)

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
}

_REASONS = {
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of that path is a file, not a folder",
    errno.EEXIST: "it is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.EACCES: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
}


def message(error: BaseException) -> str:
    """One line for a user about an exception of :data:`USER_ERRORS`."""
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        help_command = f"{context.command_path} --help" if context else "sterna --help"
        return _one_line(f"{error.format_message().rstrip('.')}; see `{help_command}`")
    if isinstance(error, OSError) and error.errno is not None:
        reason = _REASONS.get(error.errno, (error.strerror or "").lower())
        return f"cannot use {error.filename}: {reason}" if error.filename else reason
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        extra = _EXTRAS.get(package)
        remedy = f"pip install 'sterna[{extra}]'" if extra else f"pip install {package}"
        return f"the Python package {package} is missing; install it with `{remedy}`"
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
