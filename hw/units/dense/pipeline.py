"""The dense unit's pipeline: its stages, and every latency that follows from them."""

from __future__ import annotations

import enum


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
