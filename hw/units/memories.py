"""Memories that units of several kinds have."""

from __future__ import annotations

from sterna.hw.index.memory import bank_depths
from sterna.hw.index.schedule import Schedule
from sterna.hw.parts.loadable import MemoryImage
from sterna.hw.parts.requantize import shares_block
from sterna.hw.parts.rom import BLOCK_DEPTH
from sterna.hw.parts.tables import LevelTables, LineTables, Tables
from sterna.hw.units.protocol import MemoryUse


def outlet_memories(tables: Tables | None, *, depth: int, width: int, sums: int = 1) -> tuple[MemoryUse, ...]:
    """The requantizers' tables, and the output FIFO.

    Parameters
    ----------
    depth, width : int
        Words of the FIFO, and their bits.
    sums : int
        Sums in a beat.
    """
    fifo = MemoryUse(name="fifo", depth=depth, width=width, writable=True)
    return (*(() if tables is None else table_memories(tables, sums=sums)), fifo)


def table_memories(tables: Tables, *, sums: int = 1) -> tuple[MemoryUse, ...]:
    """The tables of a requantizer of several sums a beat: each searches tables of its own, all else is shared."""
    if tables.images:
        return tuple(halved_memory(f"table_{k}", image) for k, image in enumerate(tables.images))
    stored = {
        f"table_{k}": (len(table.entries), table.shape.width)
        for k, table in enumerate(tables.tables)
        if not table.constant
    }
    if isinstance(tables, LineTables) and shares_block(tables):
        stored = {"line": (tables.rows, sum(width for _, width in stored.values()))}
    return tuple(
        MemoryUse(
            name=name + (f"_of_{copy}" if copy else ""),
            depth=depth,
            width=width,
            writable=False,
            block=depth > BLOCK_DEPTH,
        )
        for copy in range(sums if isinstance(tables, LevelTables) else 1)
        for name, (depth, width) in stored.items()
    )


def halved_memory(name: str, image: MemoryImage) -> MemoryUse:
    """Two halves, one of which is loaded while the other is read."""
    depth = 2 * len(image.words)
    return MemoryUse(
        name=name,
        depth=depth,
        width=image.width,
        writable=True,
        image=image,
        block=depth > BLOCK_DEPTH,
        halved=True,
    )


def index_memories(schedule: Schedule, image: MemoryImage | None, *, halved: bool = False) -> tuple[MemoryUse, ...]:
    """The memory of a schedule's words, or its banks; a bank of one word is no memory.

    Parameters
    ----------
    image : MemoryImage, optional
        The words, where they are loaded.
    halved : bool
        Others are loaded while they are read.
    """
    if image is not None and halved:
        return (halved_memory("index", image),)
    width = schedule.format.width
    depths = bank_depths(schedule.steps) if image is None else (schedule.steps,)
    if len(depths) == 1:
        return (MemoryUse(name="index", depth=schedule.steps, width=width, writable=False, image=image),)
    return tuple(
        MemoryUse(name=f"index_{k}", depth=depth, width=width, writable=False)
        for k, depth in enumerate(depths)
        if depth > 1
    )


def escape_memories(schedule: Schedule) -> tuple[MemoryUse, ...]:
    """The memories of a schedule's streams of escapes, as deep as their counters count."""
    if not schedule.format.escape_width:
        return ()
    counts = [max(len(group), 1) for group in schedule.escapes]
    return tuple(
        MemoryUse(
            name=f"escapes_{k}",
            depth=1 << (count - 1).bit_length(),
            width=schedule.format.escape_width,
            writable=False,
            block=count > BLOCK_DEPTH,
        )
        for k, count in enumerate(counts)
    )
