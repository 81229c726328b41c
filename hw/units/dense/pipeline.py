"""The dense unit's pipeline: its stages, and every latency that follows from them."""

from __future__ import annotations

import enum

from amaranth.hdl import Module, Signal, Value, ValueLike

from sterna.hw.parts.rom import delay


class Stage(enum.IntEnum):
    """What happens to a step in the cycle that is so many after its issue."""

    ISSUE = 0
    """The sequencer issues the step."""
    FETCH = 1
    """The index memory gives its word."""
    DECODE = 2
    """The word is in a register; escapes replace the marks of their distances."""
    MOVE = 3
    """Each lane's position moves by its distance."""
    READ = 4
    """The position reads the input buffer."""
    HOLD = 5
    """The memory's word is in a register."""
    CHOOSE = 6
    """The code is chosen from the word, masked and, for a weight of +1, inverted."""
    ADD = 7
    """It is taken from the sum."""


#: Cycles from the acceptance of a beat to its writing. So late that a buffer is free for new beats as soon as the last
#: step of its frame is issued, and early enough that the step issued after a frame's last beat reads it.
LOAD_LATENCY = int(Stage.READ)
#: Cycles from the acceptance of a frame's last beat to the issue of its first step.
ACCEPT_TO_ISSUE = 1
#: Cycles from the issue of a frame's last step to the first in which a beat can be taken into its buffer.
ISSUE_TO_RELEASE = 1
#: Cycles from the issue of the step at whose time a row ends to the cycle before its sum can be taken.
ISSUE_TO_END = int(Stage.CHOOSE)
#: Cycles from a sum's taking to the requantizer's input.
TAKE_TO_SUM = 2
#: Cycles from the FIFO's level to the stop of issue.
LEVEL_TO_STALL = 1


def stages(m: Module, **issued: Value) -> list[dict[Stage, Value]]:
    """For each of a step's flags, what it is in every stage."""
    flags: list[dict[Stage, Value]] = [{Stage.ISSUE: flag} for flag in issued.values()]
    for stage in list(Stage)[1:]:
        for name, flag in zip(issued, flags, strict=True):
            flag[stage] = delay(m, flag[Stage(stage - 1)], 1, f"{name}_{stage.value}")
    return flags


def carried(m: Module, value: ValueLike, name: str, stage: Stage) -> Signal:
    """What ``value`` was in the stage before, in ``stage``."""
    later = Signal.like(value, name=f"{name}_{stage.value}", init=0)
    m.d.sync += later.eq(value)
    return later
