"""Memories that units of several kinds have."""

from __future__ import annotations

from sterna.hw.parts.tables import Tables
from sterna.hw.units.protocol import MemoryUse


def outlet_memories(tables: Tables | None, *, depth: int, width: int) -> tuple[MemoryUse, ...]:
    """The requantizers' tables, and the output FIFO: ``depth`` words of ``width`` bits."""
    return (
        *(
            MemoryUse(name=f"table_{k}", depth=len(table.entries), width=table.shape.width, writable=False)
            for k, table in enumerate(tables.tables if tables is not None else ())
            if not table.constant
        ),
        MemoryUse(name="fifo", depth=depth, width=width, writable=True),
    )
