"""Errors that several rooms share: whatever a user can cause is a :class:`SternaError`, anything else is a defect."""

from __future__ import annotations


class SternaError(Exception):
    """What a user can cause: one line that says what is wrong and what to do.

    The command line prints it and exits with 1. Any other exception that reaches it, but for those of the operating
    system, is a defect of Sterna's.
    """


class InvalidValueError(SternaError, ValueError):
    """A parameter has a wrong value, or does not go with another."""


class InvalidTypeError(SternaError, TypeError):
    """A parameter is of a wrong kind."""


class ToolError(SternaError, RuntimeError):
    """A tool is missing, or failed: one line that says what to install or which variable to set."""
