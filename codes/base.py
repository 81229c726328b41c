"""What every code of a matrix has: arrays, decoding, products, storage and operation counts."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from sterna.codes.products import check_operand, choose_compiled, frozen, result_dtype
from sterna.codes.storage import ArrayStorage, Storage
from sterna.codes.values import bits_for, check_matrix, check_matrix_size, code_bits, index_array
from sterna.net.checks import as_array, check_finite, check_integer, read_only, shown
from sterna.net.energy import OPERAND, RESULT, Access, Operations
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.immutable import Immutable


class Kind(Enum):
    """What an array of a code holds, which settles its width."""

    VALUES = "values"  #: of the matrix, in its dtype
    INDEX = "index"  #: numbers from 0, in the smallest of uint8, uint16 and uint32
    PACKED = "packed"  #: a stream of numbers of a few bits, in bytes


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Operations of one product before widths are known.

    Members
    -------
    multiplications, additions, operand : :class:`int`
        ``operand`` is the number of entries read from the vector.
    arrays : mapping
        Entries read of each array; those left out are not read. A packed array is read in bytes.
    """

    multiplications: int
    additions: int
    operand: int
    arrays: Mapping[str, int] = field(default_factory=dict)


class MatrixCode(Immutable, ABC):
    """A matrix in one code. Immutable; :meth:`encode` makes it, :meth:`decode` gives the matrix back.

    A code is a subclass, which names its arrays and says how to make, undo and multiply them. Sides of the matrix may
    be 0.

    Parameters
    ----------
    shape : (rows, columns)
    dtype : of the matrix
    arrays : mapping from name to array, (count,)
        As :attr:`ARRAYS` has them. Read-only copies are kept.
    parameters : mapping from name to :class:`int`
        As :attr:`PARAMETERS` has them.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If the arrays are not such as :meth:`encode` makes: the message names the array. Products never leave the bounds
        of arrays that this accepted.
    """

    NAME: ClassVar[str]
    ARRAYS: ClassVar[Mapping[str, Kind]]
    PARAMETERS: ClassVar[Mapping[str, tuple[int, int]]] = MappingProxyType({})  # name: least and greatest value

    def __init__(
        self,
        *,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        arrays: Mapping[str, np.ndarray],
        parameters: Mapping[str, int] | None = None,
    ) -> None:
        self._rows, self._columns = (check_integer(side, "side of the shape", low=0, high=2**32 - 1) for side in shape)
        check_matrix_size((self._rows, self._columns))
        self._dtype = check_matrix(np.zeros((0, 0), dtype=dtype)).dtype
        self._arrays = MappingProxyType(
            {name: self._check_array(arrays, name, kind) for name, kind in self.ARRAYS.items()}
        )
        self._converted: dict[np.dtype[Any], np.ndarray] = {}
        self._parameters = MappingProxyType(self._check_parameters(dict(parameters or {})))
        if extra := set(arrays) - set(self.ARRAYS):
            raise InvalidValueError(f"code {self.NAME} has no array {shown(min(extra))}")
        self._check()

    def _arguments(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "dtype": self._dtype,
            "arrays": dict(self._arrays),
            "parameters": dict(self._parameters),
        }

    def _check_array(self, arrays: Mapping[str, np.ndarray], name: str, kind: Kind) -> np.ndarray:
        if name not in arrays:
            raise InvalidValueError(f"code {self.NAME} lacks the array '{name}'")
        what = f"array '{name}'"
        array = as_array(arrays[name], what)
        if array.ndim != 1:
            raise InvalidValueError(f"{what} must have one dimension, not {array.ndim}")
        if kind is Kind.INDEX and array.dtype.kind == "u" and array.dtype.itemsize <= 4:
            wanted: np.dtype[Any] = index_array(array).dtype
        else:
            wanted = {Kind.VALUES: self._dtype, Kind.INDEX: np.dtype(np.uint8), Kind.PACKED: np.dtype(np.uint8)}[kind]
        if array.dtype != wanted:
            raise InvalidTypeError(f"{what} must be {wanted}, not {array.dtype}")
        if kind is Kind.VALUES and self._dtype.kind == "f":
            check_finite(array, what)
        return read_only(array, wanted)

    def _check_parameters(self, given: dict[str, int]) -> dict[str, int]:
        checked = {}
        for name, (low, high) in self.PARAMETERS.items():
            if name not in given:
                raise InvalidValueError(f"code {self.NAME} lacks the parameter '{name}'")
            checked[name] = check_integer(given.pop(name), name, low=low, high=high)
        if given:
            raise InvalidValueError(f"code {self.NAME} has no parameter {shown(min(given))}")
        return checked

    @classmethod
    @abstractmethod
    def encode(cls, matrix: Any) -> Self:
        """The matrix in this code.

        Parameters
        ----------
        matrix : (rows, columns), integers or floats, finite
            Any memory order and byte order. −0.0 becomes 0.0.

        Raises
        ------
        :exc:`TypeError`, :exc:`ValueError`
            If it is no such matrix, or the code cannot hold it.
        """

    @abstractmethod
    def decode(self) -> np.ndarray:
        """The matrix: equal to what was encoded, in its dtype, C-contiguous."""

    @abstractmethod
    def _check(self) -> None:
        """:exc:`ValueError` naming an array that is not such as :meth:`encode` makes."""

    @abstractmethod
    def _widths(self) -> Mapping[str, tuple[int, int]]:
        """Entries, and bits an entry, of the packed arrays."""

    @abstractmethod
    def _coefficients(self) -> np.ndarray:
        """What elements or sums of elements are multiplied by; without :attr:`background`, which is added for all."""

    @abstractmethod
    def _counts(self, *, multiplier_free: bool) -> Counts:
        """Operations of one product, without those that :attr:`background` adds."""

    @abstractmethod
    def _multiply(self, x: np.ndarray) -> np.ndarray:
        """Matrix times vector in NumPy, without the background: ``x`` (columns,) and the result in its dtype."""

    @abstractmethod
    def _multiply_compiled(self, x: np.ndarray, out: np.ndarray) -> None:
        """The same for one vector (columns,) or several (columns, count), into ``out``, by a compiled kernel."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._rows, self._columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the matrix."""
        return self._dtype

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The stored arrays by name, read-only, each (count,)."""
        return self._arrays

    @property
    def parameters(self) -> Mapping[str, int]:
        """Numbers that the code was made with and that decoding needs."""
        return self._parameters

    @property
    def background(self) -> int | float:
        """The value that all elements have which the code leaves out; 0 where it leaves out none."""
        return self._background_array[0].item() if self._background_array.size else 0

    @property
    def _background_array(self) -> np.ndarray:
        """The same in the matrix's dtype, (1,), or (0,) where there is none."""
        return np.zeros(0, dtype=self._dtype)

    @property
    def digest(self) -> str:
        """SHA-256 of code, shape, dtype, parameters and arrays, hexadecimal."""
        head = {"code": self.NAME, "shape": self.shape, "dtype": self._dtype.name, "parameters": dict(self._parameters)}
        state = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for name, array in sorted(self._arrays.items()):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            state.update(f"{name}:{array.dtype.name}:{array.size}:".encode() + little.tobytes())
        return state.hexdigest()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rows} x {self._columns}, {self._dtype}, {self.storage().bits} bits)"

    def matvec(self, x: Any, *, compiled: bool | None = None) -> np.ndarray:
        """Matrix times vector, computed in the code.

        Exact for integers. Floats are summed in an order of the code's own; the result is exact where every sum is
        representable.

        Parameters
        ----------
        x : (columns,), integers or floats, finite
        compiled : :class:`bool` or ``None``
            By numba or by NumPy. ``None`` takes numba where it is installed and the matrix is large enough to be worth
            the compilation, which takes seconds once.

        Returns
        -------
        (rows,)
            int64 from integers; float32 from a float16 or float32 operand unless the matrix is float64; else float64.

        Raises
        ------
        :exc:`TypeError`, :exc:`ValueError`
            If ``x`` does not fit, or a sum of integers could exceed 64 bits.
        :exc:`~sterna.net.errors.ToolError`
            If ``compiled`` is true and numba is missing.
        """
        return self._product(check_operand(x, (self._columns,), "x"), compiled)

    def matmat(self, x: Any, *, compiled: bool | None = None) -> np.ndarray:
        """Matrix times matrix, computed in the code; like :meth:`matvec`.

        Parameters
        ----------
        x : (columns, count), integers or floats, finite

        Returns
        -------
        (rows, count)
        """
        return self._product(check_operand(x, (self._columns, None), "x"), compiled)

    def _product(self, x: np.ndarray, compiled: bool | None) -> np.ndarray:
        dtype = result_dtype(self._dtype, x, self._magnitude * self._columns)
        x = x.astype(dtype, copy=False)
        if choose_compiled(compiled, self._rows * self._columns):
            out = np.zeros((self._rows, *x.shape[1:]), dtype=dtype)
            if out.size and self._columns:
                self._multiply_compiled(frozen(np.ascontiguousarray(x)), out)
        else:
            columns = [self._multiply(x)] if x.ndim == 1 else [self._multiply(column) for column in x.T]
            out = np.stack(columns, axis=-1) if columns else np.zeros((self._rows, 0), dtype=dtype)
            out = out[:, 0] if x.ndim == 1 else np.ascontiguousarray(out)
        if self.background:
            out += self._background_array.astype(dtype) * np.atleast_1d(x.sum(axis=0, dtype=dtype))
        return out

    def _factors(self, dtype: np.dtype[Any]) -> np.ndarray:
        """:meth:`_coefficients` in the result's dtype; integers modulo 2^64, which leaves sums that fit exact.

        Kept after the first product, since for some codes it is as long as the matrix.
        """
        if dtype not in self._converted:
            with np.errstate(over="ignore"):
                factors = self._coefficients().astype(dtype, copy=False)
            if dtype.kind == "f" and not np.isfinite(factors).all():
                raise InvalidValueError(f"values of the matrix differ by more than {dtype} holds")
            self._converted[dtype] = frozen(factors)
        return self._converted[dtype]

    @cached_property
    def _magnitude(self) -> int:
        """Greatest magnitude of a value, for integers; 0 for floats, whose sums do not wrap."""
        if self._dtype.kind == "f":
            return 0
        return max((abs(int(value)) for value in self._extremes()), default=0)

    def _extremes(self) -> list[Any]:
        values = self._arrays.get("values")
        return [] if values is None or not values.size else [values.min(), values.max()]

    @cached_property
    def is_multiplier_free(self) -> bool:
        """Whether a product needs no multiplication: the matrix is ternary, −1, 0 and 1.

        Where the most frequent value is −1 or 1, differences from it may be −2 or 2: an addition more.
        """
        return bool(np.isin(self._arrays["values"], (-1, 0, 1)).all())

    @cached_property
    def _only_signs(self) -> bool:
        """Whether :meth:`_coefficients` are −1 and 1 only, so that kernels need no multiplication."""
        return bool(np.isin(self._coefficients(), (-1, 1)).all())

    def _doubled(self) -> int:
        """Number of products with −2 or 2 that a ternary matrix needs."""
        return 0

    @cached_property
    def least_value_bits(self) -> int:
        """The least width that tells the stored values apart, at least 1."""
        stored = self._arrays.get("values")
        return 1 if stored is None else max(1, code_bits(len(np.unique(stored))))

    def storage(self, *, value_bits: int | None = None, tight: bool = False) -> Storage:
        """Exact storage, array by array.

        Parameters
        ----------
        value_bits : :class:`int`
            Width of a value of the matrix; ``None`` for that of its dtype. :attr:`least_value_bits` is the least.
        tight : :class:`bool`
            Every index array with just the bits that its greatest entry needs, and packed arrays without the bits left
            over in their last byte; otherwise arrays as they are: indices of 8, 16 or 32 bits, whole bytes.
        """
        value_width = self._value_width(value_bits)
        packed = self._widths()
        arrays = []
        for name, kind in self.ARRAYS.items():
            array = self._arrays[name]
            entries, width = array.size, array.dtype.itemsize * 8
            if kind is Kind.VALUES:
                width = value_width
            elif tight and kind is Kind.INDEX:
                width = bits_for(int(array.max())) if entries else 0
            elif tight:
                entries, width = packed[name]
            arrays.append(ArrayStorage(name=name, entries=entries, width=width))
        return Storage(arrays=tuple(arrays))

    def _value_width(self, value_bits: int | None) -> int:
        if value_bits is None:
            return self._dtype.itemsize * 8
        return check_integer(value_bits, "value_bits", low=self.least_value_bits, high=64)

    def operations(
        self,
        *,
        operand_bits: int = 32,
        result_bits: int = 32,
        value_bits: int | None = None,
        tight: bool = False,
        multiply_units: bool = False,
    ) -> Operations:
        """What one product with a vector does (docs/codes.md, "Operations").

        Parameters
        ----------
        operand_bits, result_bits : :class:`int`
            Widths of an entry of the vector and of the result; additions and multiplications have the operand's.
        value_bits, tight
            As in :meth:`storage`; they settle the widths of reads and the sizes of arrays.
        multiply_units : :class:`bool`
            Count the multiplications and the reads of values of ternary matrices too, as the paper's formulas do.
        """
        operand_bits = check_integer(operand_bits, "operand_bits", low=1, high=64)
        result_bits = check_integer(result_bits, "result_bits", low=1, high=64)
        free = self.is_multiplier_free and not multiply_units
        counts = self._counts(multiplier_free=free)
        multiplications, operand = counts.multiplications, counts.operand
        additions = counts.additions + (self._doubled() if free else 0)
        reads = dict(counts.arrays)
        if self.background:
            multiplications += 0 if free else 1
            additions += self._columns + self._rows
            operand += self._columns
            if not free:
                reads["values"] = reads.get("values", 0) + 1
        accesses = []
        for stored in self.storage(value_bits=value_bits, tight=tight).arrays:
            width = 8 if self.ARRAYS[stored.name] is Kind.PACKED else stored.width
            count = reads.get(stored.name, 0)
            accesses.append(Access(array=stored.name, reads=count, width=width, array_bits=stored.bits))
        vector, result = self._columns * operand_bits, self._rows * result_bits
        accesses.append(Access(array=OPERAND, reads=operand, width=operand_bits, array_bits=vector))
        accesses.append(Access(array=RESULT, reads=0, writes=self._rows, width=result_bits, array_bits=result))
        return Operations(
            multiplications=multiplications,
            additions=additions,
            operation_bits=operand_bits,
            accesses=tuple(accesses),
        )
