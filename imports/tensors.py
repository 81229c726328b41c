"""Tensors of ONNX files as arrays: sizes are checked against the bytes that are there before anything is made."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from sterna.net.checks import shown
from sterna.net.errors import InvalidValueError

MAX_AXES = 8
#: Element types that networks are made of: their arrays, and the field that has them where there are no raw bytes.
_TYPES: dict[int, tuple[str, str]] = {
    TensorProto.FLOAT: ("<f4", "float_data"),
    TensorProto.DOUBLE: ("<f8", "double_data"),
    TensorProto.FLOAT16: ("<f2", "int32_data"),
    TensorProto.INT64: ("<i8", "int64_data"),
    TensorProto.INT32: ("<i4", "int32_data"),
    TensorProto.INT16: ("<i2", "int32_data"),
    TensorProto.INT8: ("<i1", "int32_data"),
    TensorProto.UINT8: ("<u1", "int32_data"),
    TensorProto.UINT16: ("<u2", "int32_data"),
    TensorProto.UINT32: ("<u4", "uint64_data"),
    TensorProto.UINT64: ("<u8", "uint64_data"),
    TensorProto.BOOL: ("|b1", "int32_data"),
}


def element_type(code: int) -> np.dtype[Any]:
    """The array type of an ONNX element type; :exc:`ValueError` if networks are not made of it."""
    if code not in _TYPES:
        known = {number: name for name, number in TensorProto.DataType.items()}
        raise InvalidValueError(f"elements of type {known.get(code, code)} are not understood")
    return np.dtype(_TYPES[code][0]).newbyteorder("=")


def is_element_type(code: int) -> bool:
    """Whether networks are made of an ONNX element type."""
    return code in _TYPES


def read_tensor(tensor: TensorProto, folder: Path) -> np.ndarray:
    """The array of a tensor.

    Parameters
    ----------
    tensor : TensorProto
    folder : path
        Of the model, where external data lies.

    Raises
    ------
    :exc:`ValueError`
        If the sizes, the type and the bytes do not go together.
    """
    dims = list(tensor.dims)
    if len(dims) > MAX_AXES or any(side < 0 for side in dims):
        raise InvalidValueError(f"its shape must be at most {MAX_AXES} sizes, none negative, not {shown(dims)}")
    element_type(tensor.data_type)
    stored, field = _TYPES[tensor.data_type]
    dtype, elements = np.dtype(stored), math.prod(dims)
    if tensor.data_location == TensorProto.EXTERNAL:
        content = _external(tensor, folder, elements * dtype.itemsize)
    elif tensor.HasField("raw_data"):
        content = tensor.raw_data
    else:
        return _typed(getattr(tensor, field), dtype, elements, dims)
    if len(content) != elements * dtype.itemsize:
        raise InvalidValueError(
            f"its shape {shown(tuple(dims))} needs {elements * dtype.itemsize} bytes, and there are {len(content)}"
        )
    return np.frombuffer(content, dtype).reshape(dims).astype(dtype.newbyteorder("="), copy=False)


def _typed(values: Any, dtype: np.dtype[Any], elements: int, dims: list[int]) -> np.ndarray:
    """From a field of numbers; 16-bit floats stand there as the integers with their bits."""
    if len(values) != elements:
        raise InvalidValueError(f"its shape {shown(tuple(dims))} needs {elements} values, and there are {len(values)}")
    try:
        if dtype.kind == "f" and dtype.itemsize == 2:
            return np.array(values, dtype=np.uint16).view(np.float16).reshape(dims)
        return np.array(values, dtype=dtype.newbyteorder("=")).reshape(dims)
    except (OverflowError, ValueError) as error:
        raise InvalidValueError(f"its values do not fit their type: {error}") from None


def _external(tensor: TensorProto, folder: Path, size: int) -> bytes:
    """The bytes of a tensor that lie in another file of the model's folder."""
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = fields.get("location", "")
    path = folder / location
    if not location or Path(location).is_absolute() or ".." in Path(location).parts or "\0" in location:
        raise InvalidValueError(f"its external file must lie in the model's folder, not at {shown(location)}")
    if not path.is_file():
        raise InvalidValueError(f"its external file {shown(location)} is missing; put it beside the model")
    try:
        offset, length = int(fields.get("offset", 0)), int(fields.get("length", size))
    except ValueError:
        raise InvalidValueError("its place in the external file is no number") from None
    if offset < 0 or length != size or offset + length > path.stat().st_size:
        raise InvalidValueError(f"its external file {shown(location)} does not hold {size} bytes at byte {offset}")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
