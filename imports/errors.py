"""What stops an import: a file that is none, a network that cannot be imported, an import that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError

if TYPE_CHECKING:
    from sterna.imports.preflight import Preflight


class ModelFileError(InvalidValueError):
    """A file that is no ONNX model, or not a whole one; the message names the file and the part of it."""


class EvaluationError(InvalidValueError):
    """A node of the original graph cannot be executed; the message names the node.

    Parameters
    ----------
    node, operator, reason : str
    """

    def __init__(self, node: str, operator: str, reason: str) -> None:
        super().__init__(f"node {shown(node)} ({operator}): {reason}")
        self.reason = reason


class MismatchError(InvalidValueError):
    """The network that was made does not compute what the model does; the message names the node."""


class RefusedError(InvalidValueError):
    """Nodes of a model cannot be imported: one line with the first, and all of them in ``preflight``.

    Parameters
    ----------
    message : str
    preflight : Preflight
        Every node, and what became of it.
    """

    def __init__(self, message: str, preflight: Preflight) -> None:
        super().__init__(message)
        self.preflight = preflight


class NodeRefused(Exception):
    """Why a node cannot be imported, and what its owner can do; the fold goes on with the next node."""
