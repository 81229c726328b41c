"""How much there is of each part of a unit's logic: what kinds of units have in common.

Such counts are what a device's logic is estimated from (``hw/fit/``): a count's name stands for some logic, and says
what of. Prices are fitted to synthesis; a count says nothing of a device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sterna.hw.index.schedule import Schedule
from sterna.hw.parts.tables import LevelTables, LineTables, ScoreTables, ShiftTables, Tables

#: How often each part is there.
Parts = Counter[str]


def bits(count: int) -> int:
    """Bits of a counter of so many values."""
    return max(count - 1, 1).bit_length()


def count_walks(schedule: Schedule) -> Parts:
    """What follows a schedule's words: the sequencer, each lane's walker, and the streams of escapes."""
    fmt, window, lanes = schedule.format, schedule.window, schedule.lanes
    return Parts(
        {
            "counter bit": bits(schedule.steps) + sum(bits(max(len(group), 1)) for group in schedule.escapes),
            "word bit": fmt.width,
            "walk": lanes,
            "walk bit": lanes * (window.address_width + fmt.run_width),
            "walk offset": lanes * window.address_width if window.offset else 0,
            "walk escape": lanes * fmt.high_width,
            "escapes": fmt.memories,
        }
    )


def count_requantizer(tables: Tables | None, *, width: int = 1, beats: int = 1) -> Parts:
    """A requantizer of ``width`` sums a beat, ``beats`` of them for each row of its tables, if there is one."""
    if tables is None or not tables.latency:
        return Parts()
    sums = tables.sum_shape.width
    parts = Parts({"counter bit": bits(tables.rows) + (bits(beats) if beats > 1 else 0)})
    if isinstance(tables, ScoreTables):
        parts["bias bit"] = width * max(sums, tables.bias.shape.width)
    elif isinstance(tables, ShiftTables):
        biased = max(sums, tables.bias.shape.width) + 1
        parts["bias bit"] = width * biased
        parts["clamp bit"] = width * (biased + tables.output.width)
        parts["shift bit"] = 0 if tables.shift.constant else width * biased * tables.shift.shape.width
    elif isinstance(tables, LineTables):
        rest = max(sums + tables.fraction, tables.bias.shape.width) + 1
        parts["bias bit"] = width * rest
        parts["division bit"] = width * rest * tables.output.width
        parts["step bit"] = tables.step.shape.width * tables.output.width
    elif isinstance(tables, LevelTables):
        parts["search bit"] = width * sums * tables.output.width
        parts["search row"] = bits(tables.rows) * tables.output.width
    return parts


def count_fifo(*, depth: int, width: int) -> Parts:
    """An output FIFO, without its memory."""
    return Parts({"fifo": 1, "fifo bit": width, "counter bit": 3 * bits(depth)})


def total(parts: Iterable[Parts]) -> Parts:
    """All of them."""
    return sum(parts, start=Parts())
