"""Uniform quantization: real weights on a grid of few values, so that codes have something to work with."""

from __future__ import annotations

from typing import Any

import numpy as np

from sterna.codes.values import check_matrix
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidTypeError, InvalidValueError

MIN_BITS, MAX_BITS = 2, 16  # with one bit, 0 would be one of two values, and a symmetric matrix would become all 0
_LARGEST = float(np.finfo(np.float32).max) / 2  # the outermost value may lie half a step, a sixth of the range, farther


def quantize_uniform(matrix: Any, bits: int) -> np.ndarray:
    """The nearest of 2^bits equally spaced values for every element; 0 stays exactly 0.

    The values are a step of (max − min) / (2^bits − 1) apart and reach from min to max, moved all together by at most
    half a step so that 0 is one of them: value = step · k, with k from −z to 2^bits − 1 − z and z the integer nearest
    to −min / step. So zeros of a pruned matrix stay zeros, and no element moves by more than half a step. Where 0 is
    not between min and max, nothing is moved: value = min + step · k. A matrix of one value stays as it is.

    Computed in float64; an element halfway between two values goes to the even k. Wiedemann, Müller and Samek 2018
    quantize uniformly; the zero among the values is ours.

    Parameters
    ----------
    matrix : (rows, columns), floats of 16, 32 or 64 bits, finite
    bits : :class:`int`
        2 to 16.

    Returns
    -------
    float32, (rows, columns), at most 2^bits distinct values

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If it is no such matrix, ``bits`` is out of range, or an element is too large for a grid in float32.
    """
    matrix = check_matrix(matrix)
    bits = check_integer(bits, "bits", low=MIN_BITS, high=MAX_BITS)
    if matrix.dtype.kind != "f":
        raise InvalidTypeError(f"matrix must hold floats to be quantized, not {matrix.dtype}")
    if not matrix.size:
        return matrix.astype(np.float32)
    low, high = float(matrix.min()), float(matrix.max())
    if (largest := max(-low, high)) > _LARGEST:
        raise InvalidValueError(f"matrix must stay within ±{_LARGEST:.2g} to be quantized, not reach {largest:g}")
    top = 2**bits - 1
    step = (high - low) / top
    if not step:
        return matrix.astype(np.float32)
    zero = int(np.floor(-low / step + 0.5)) if low <= 0 <= high else 0
    base = 0.0 if low <= 0 <= high else low
    codes = np.clip(np.rint((matrix.astype(np.float64) - base) / step), -zero, top - zero)
    return (base + step * codes + 0.0).astype(np.float32)
