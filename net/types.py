"""Types of the values that flow between nodes: activation codes, and accumulators of exactly known range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sterna.net.arithmetic import bits_for_range
from sterna.net.checks import check_integer, shown
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.immutable import Immutable


@dataclass(frozen=True)
class ActivationType(Immutable):
    """Codes of 1 to 8 bits. The code is the integer value (docs/arithmetic.md, rule 1).

    Parameters
    ----------
    width : :class:`int`
        Bits of a code, 1 to 8.
    signed : :class:`bool`
        Two's complement, [-2^(w-1), 2^(w-1) - 1], or unsigned, [0, 2^w - 1]. Signed width 1 is {-1, 0}.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If ``width`` is no integer from 1 to 8, or ``signed`` no ``bool``.
    """

    width: int
    signed: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", check_integer(self.width, "width", low=1, high=8))
        if not isinstance(self.signed, (bool, np.bool_)):
            raise InvalidTypeError(f"signed must be True or False, not {shown(self.signed)}")
        object.__setattr__(self, "signed", bool(self.signed))

    @property
    def min(self) -> int:
        """Smallest code."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest code."""
        return (1 << (self.width - self.signed)) - 1

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.width}"


@dataclass(frozen=True)
class AccumulatorType(Immutable):
    """Values without a requantization, with their exact bounds (docs/arithmetic.md, rule 6).

    Parameters
    ----------
    min, max : :class:`int`
        Smallest and largest value that some input can produce.

    Raises
    ------
    :exc:`TypeError`, :exc:`ValueError`
        If the bounds are no integers, or ``min`` is above ``max``.
    """

    min: int
    max: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "min", check_integer(self.min, "min"))
        object.__setattr__(self, "max", check_integer(self.max, "max"))
        if self.min > self.max:
            raise InvalidValueError(f"min must not exceed max, but {self.min} is above {self.max}")

    @property
    def signed(self) -> bool:
        """Whether any value is negative."""
        return self.min < 0

    @property
    def width(self) -> int:
        """Bits of the narrowest representation, at least 1: two's complement if ``signed``, else unsigned."""
        return bits_for_range(self.min, self.max)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.width}"


ValueType = ActivationType | AccumulatorType
