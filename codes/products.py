"""Operands and results of products, and the choice between NumPy and compiled kernels."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from sterna.net.checks import as_array, check_finite, shown
from sterna.net.errors import InvalidTypeError, InvalidValueError, ToolError

_COMPILE_FROM = 1 << 16  # elements; NumPy takes less than a millisecond for fewer


def check_operand(x: Any, shape: tuple[int | None, ...], what: str) -> np.ndarray:
    """A vector or matrix that may be multiplied: any integers as int64, float16 and float32 as float32, or float64.

    Raises
    ------
    :exc:`TypeError`
        If it holds neither integers nor floats.
    :exc:`ValueError`
        If its shape is not ``shape`` (``None`` is any length), or a float is infinite or not a number.
    """
    array = as_array(x, what)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise InvalidTypeError(f"{what} must hold integers, or floats of 16, 32 or 64 bits, not {array.dtype}")
    if array.ndim != len(shape) or any(b is not None and a != b for a, b in zip(array.shape, shape, strict=True)):
        wanted = ", ".join("any" if side is None else str(side) for side in shape) + ("," if len(shape) == 1 else "")
        raise InvalidValueError(f"{what} must have shape ({wanted}), not {array.shape}")
    if array.dtype.kind == "f":
        check_finite(array, what)
        return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32, copy=False)
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InvalidValueError(f"{what} must be below 2^63, not {array.max()}")
    return array.astype(np.int64, copy=False)


def result_dtype(matrix: np.dtype[Any], x: np.ndarray, magnitude: int) -> np.dtype[Any]:
    """Dtype of a product.

    Parameters
    ----------
    matrix : dtype of the matrix
    x : what :func:`check_operand` returns
    magnitude : :class:`int`
        No sum of magnitudes of a row exceeds it.

    Raises
    ------
    :exc:`ValueError`
        If a sum of integers could exceed 64 bits.
    """
    if matrix.kind == "f" and x.dtype.kind != "f":
        return np.dtype(np.float64)
    if x.dtype.kind == "f":
        return np.dtype(np.float64 if matrix == np.float64 else x.dtype)
    largest = max(abs(int(x.min())), abs(int(x.max()))) if x.size else 0
    if magnitude * largest >= 1 << 63:
        raise InvalidValueError(f"sums of up to {magnitude * largest} do not fit 64 bits; multiply floats instead")
    return np.dtype(np.int64)


@cache
def has_numba() -> bool:
    """Whether compiled kernels can be had: numba is installed, and this machine is little-endian, as they assume."""
    return sys.byteorder == "little" and importlib.util.find_spec("numba") is not None


def choose_compiled(compiled: bool | None, elements: int) -> bool:
    """Whether to use kernels; :exc:`~sterna.net.errors.ToolError` if they are wanted and cannot be had."""
    if compiled is None:
        return elements >= _COMPILE_FROM and has_numba()
    if not isinstance(compiled, bool):
        raise InvalidTypeError(f"compiled must be True, False or None, not {shown(compiled)}")
    if compiled and not has_numba():
        raise ToolError("compiled products need numba; install it: pip install 'sterna[codes]'")
    return compiled


def frozen(array: np.ndarray) -> np.ndarray:
    """A read-only view: numba would compile a kernel again for an array that may be written."""
    view = array.view()
    view.setflags(write=False)
    return view


def kernel_columns(columns: np.ndarray) -> np.ndarray:
    """Column indices of 16 or 32 bits, so that there are two kernels and not three."""
    return frozen(columns if columns.itemsize > 1 else columns.astype(np.uint16))


def kernels() -> ModuleType:
    """The compiled kernels; numba is imported here and nowhere else."""
    from sterna.codes import kernels as module

    return module
