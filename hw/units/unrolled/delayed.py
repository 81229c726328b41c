"""A value, and the same in later cycles."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value


class Delayed:
    """A value that is computed in some cycle, with registers for as many cycles after it as anybody asks for.

    Parameters
    ----------
    m : Module
    value : Value
    cycle : int
        In which it is there.
    name : str
        Of the registers.
    """

    def __init__(self, m: Module, value: Value, cycle: int, name: str) -> None:
        self._m = m
        self._cycle = cycle
        self._name = name
        self._values = [value]

    def at(self, cycle: int) -> Value:
        """The value in a cycle, that in which it is computed or a later one."""
        while len(self._values) <= cycle - self._cycle:
            before = self._values[-1]
            later = Signal.like(before, name=f"{self._name}_after_{len(self._values)}", reset_less=True, attrs={})
            self._m.d.sync += later.eq(before)
            self._values.append(later)
        return self._values[cycle - self._cycle]
