"""Bits that an encoded matrix takes, array by array."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ArrayStorage:
    """Size of one array.

    Members
    -------
    name : :class:`str`
    entries : :class:`int`
    width : :class:`int`
        Bits an entry.
    bits : :class:`int`
        ``entries * width``.
    """

    name: str
    entries: int
    width: int

    @property
    def bits(self) -> int:
        """Bits of the whole array."""
        return self.entries * self.width


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Sizes of all arrays of a code.

    Members
    -------
    arrays : tuple of :class:`ArrayStorage`
    bits : :class:`int`
        Their sum.
    """

    arrays: tuple[ArrayStorage, ...]

    @property
    def bits(self) -> int:
        """Bits of all arrays."""
        return sum(array.bits for array in self.arrays)

    @property
    def entries(self) -> int:
        """Entries of all arrays."""
        return sum(array.entries for array in self.arrays)

    def array(self, name: str) -> ArrayStorage:
        """The entry of one array; :exc:`KeyError` if there is none."""
        for array in self.arrays:
            if array.name == name:
                return array
        raise KeyError(name)
