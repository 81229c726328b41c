"""Other people's networks, read from ONNX and Brevitas, folded into integers exactly or refused node by node."""

from __future__ import annotations

from sterna.imports.api import Imported, from_qonnx, import_model
from sterna.imports.arrays import from_arrays
from sterna.imports.brevitas import from_brevitas
from sterna.imports.errors import MismatchError, ModelFileError, RefusedError
from sterna.imports.options import ImportOptions

__all__ = [
    "ImportOptions",
    "Imported",
    "MismatchError",
    "ModelFileError",
    "RefusedError",
    "from_arrays",
    "from_brevitas",
    "from_qonnx",
    "import_model",
]
