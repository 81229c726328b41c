"""Errors that several rooms share."""

from __future__ import annotations


class ToolError(RuntimeError):
    """A tool is missing, or failed: one line that says what to install or which variable to set."""
