"""Registers from one stage of a pipeline to the next; a unit's stages are an enumeration, in order."""

from __future__ import annotations

import enum
from typing import TypeVar

from amaranth.hdl import Module, Signal, Value, ValueLike

from sterna.hw.parts.rom import delay

StageT = TypeVar("StageT", bound=enum.IntEnum)


def stages(m: Module, order: type[StageT], **issued: Value) -> list[dict[StageT, Value]]:
    """For each of a step's flags, what it is in every stage; ``issued``: in the first."""
    first, *later = order
    flags: list[dict[StageT, Value]] = [{first: flag} for flag in issued.values()]
    for stage in later:
        for name, flag in zip(issued, flags, strict=True):
            flag[stage] = delay(m, flag[order(stage - 1)], 1, f"{name}_{stage.value}")
    return flags


def carried(m: Module, value: ValueLike, name: str, stage: enum.IntEnum) -> Signal:
    """What ``value`` was in the stage before, in ``stage``."""
    later = Signal.like(value, name=f"{name}_{stage.value}", init=0)
    m.d.sync += later.eq(value)
    return later
