"""Values that never change: a copy is the value itself, and a pickle is made anew by the constructor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self


class Immutable:
    """Copying gives the object itself. Unpickling calls the constructor: everything is checked again, and arrays are
    read-only again, which pickled arrays are not.

    Subclasses are dataclasses, or say in :meth:`_arguments` what their constructor takes.
    """

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self._arguments())

    def _arguments(self) -> dict[str, Any]:
        """What the constructor takes, by keyword."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]  # only data classes inherit it


def _remake(kind: type[Any], arguments: Mapping[str, Any]) -> Any:
    return kind(**arguments)
