"""Other people's networks, read from ONNX and Brevitas, folded into integers exactly or refused node by node."""

from __future__ import annotations

from sterna.imports.arrays import from_arrays

__all__ = ["from_arrays"]
