"""What a product costs: operations and accesses to arrays, and their energy by Wiedemann, Müller and Samek's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sterna.net.errors import InvalidValueError

OPERAND, RESULT = "operand", "result"  # the arrays of a product that are no part of the matrix


@dataclass(frozen=True, kw_only=True)
class Access:
    """Reads and writes of one array.

    Members
    -------
    array : :class:`str`
        An array of the encoded matrix, ``"operand"`` or ``"result"``.
    reads, writes : :class:`int`
        Numbers of entries read and written.
    width : :class:`int`
        Bits of an entry.
    array_bits : :class:`int`
        Size of the whole array, which chooses the memory it lies in.
    """

    array: str
    reads: int
    writes: int = 0
    width: int
    array_bits: int


@dataclass(frozen=True, kw_only=True)
class Operations:
    """What one or several products of a matrix do.

    Members
    -------
    multiplications, additions : :class:`int`
    operation_bits : :class:`int`
        Width of their operands.
    accesses : tuple of :class:`Access`
        An entry an array.
    """

    multiplications: int
    additions: int
    operation_bits: int
    accesses: tuple[Access, ...]

    @property
    def reads(self) -> int:
        """Entries read, of all arrays."""
        return sum(access.reads for access in self.accesses)

    @property
    def writes(self) -> int:
        """Entries written, of all arrays."""
        return sum(access.writes for access in self.accesses)

    @property
    def total(self) -> int:
        """Multiplications, additions, reads and writes."""
        return self.multiplications + self.additions + self.reads + self.writes

    def access(self, array: str) -> Access:
        """The entry of one array; :exc:`KeyError` if there is none."""
        for access in self.accesses:
            if access.array == array:
                return access
        raise KeyError(array)

    def times(self, products: int) -> Operations:
        """The same for so many products, with arrays of the same sizes."""
        accesses = tuple(
            replace(access, reads=access.reads * products, writes=access.writes * products) for access in self.accesses
        )
        return replace(
            self,
            multiplications=self.multiplications * products,
            additions=self.additions * products,
            accesses=accesses,
        )


def _by_width(at_8: float, at_16: float, at_32: float) -> Mapping[int, float]:
    return MappingProxyType({8: at_8, 16: at_16, 32: at_32})


@dataclass(frozen=True, kw_only=True)
class EnergyTable:
    """Energy of one operation, in picojoules, by width in bits.

    Members
    -------
    addition, multiplication : mapping from width to pJ
    access : tuple of (bytes, mapping from width to pJ)
        Of a read or write in an array of at most so many bytes, in ascending order; the last entry's size is ``None``.
    """

    addition: Mapping[int, float]
    multiplication: Mapping[int, float]
    access: tuple[tuple[int | None, Mapping[int, float]], ...]

    def access_energy(self, width: int, array_bits: int) -> float:
        """pJ of one read or write of ``width`` bits in an array of ``array_bits`` bits."""
        for size, energies in self.access:
            if size is None or array_bits <= 8 * size:
                return _pick(energies, width, "access")
        raise InvalidValueError(f"the energy table has no memory for an array of {array_bits} bits")


#: Wiedemann, Müller, Samek 2018, Table I: floating point and memories at 45 nm. The figures are those of third-party
#: code; that they are the paper's is remembered, since its table was not at hand. That a KB has 1,024 bytes, and that a
#: width between columns counts as the next column, is our reading.
TABLE_I = EnergyTable(
    addition=_by_width(0.2, 0.4, 0.9),
    multiplication=_by_width(0.6, 1.1, 3.7),
    access=(
        (8 * 1024, _by_width(1.25, 2.5, 5.0)),
        (32 * 1024, _by_width(2.5, 5.0, 10.0)),
        (1024 * 1024, _by_width(12.5, 25.0, 50.0)),
        (None, _by_width(250.0, 500.0, 1000.0)),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Picojoules by kind of operation.

    Members
    -------
    multiplications, additions, reads, writes : :class:`float`
        pJ.
    """

    multiplications: float
    additions: float
    reads: float
    writes: float

    @property
    def total(self) -> float:
        """pJ altogether."""
        return self.multiplications + self.additions + self.reads + self.writes


def energy(operations: Operations, table: EnergyTable = TABLE_I) -> Energy:
    """Energy of operations and accesses, each array in the memory of the class that its size chooses.

    Raises
    ------
    :exc:`ValueError`
        If an operation or access is wider than the table's widest column.
    """
    costs = {access.array: table.access_energy(access.width, access.array_bits) for access in operations.accesses}
    return Energy(
        multiplications=operations.multiplications
        * _pick(table.multiplication, operations.operation_bits, "multiplication"),
        additions=operations.additions * _pick(table.addition, operations.operation_bits, "addition"),
        reads=sum(access.reads * costs[access.array] for access in operations.accesses),
        writes=sum(access.writes * costs[access.array] for access in operations.accesses),
    )


def _pick(energies: Mapping[int, float], width: int, what: str) -> float:
    """The entry of the least width that is enough."""
    for column in sorted(energies):
        if width <= column:
            return energies[column]
    raise InvalidValueError(f"the energy table has no {what} of {width} bits")
