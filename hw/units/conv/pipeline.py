"""The convolution unit's pipeline: its stages, and every latency that follows from them."""

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
    """Each group's position moves by its distance."""
    TAP = 4
    """The position gives a tap of the kernel and a channel."""
    SLOT = 5
    """The tap's row gives a slot of the ring, or lies in the padding."""
    ADDRESS = 6
    """Slot and channel give an address."""
    READ = 7
    """The address reads the row buffer."""
    HOLD = 8
    """The memory gives the row."""
    CHOOSE = 9
    """It is in a register; each lane's code is chosen by the tap's column, masked and, for a weight of +1, inverted."""
    ADD = 10
    """It is taken from the sum."""


#: Cycles from the acceptance of a beat to the writing of the row that it completes. So late that a row's slot is free
#: for new beats as soon as the last step that reads it is issued.
LOAD_LATENCY = int(Stage.READ)
#: Cycles from the acceptance of a row's last beat to the first step that may need it.
ACCEPT_TO_ISSUE = 2
#: Cycles from the issue of an output row's last step to the first in which a beat can be taken into a slot it freed.
ISSUE_TO_RELEASE = 1
#: Cycles from the issue of the step at whose time a channel ends to the cycle before its sums can be taken.
ISSUE_TO_END = int(Stage.CHOOSE)
#: Cycles from the taking of sums to the requantizers' input.
TAKE_TO_SUM = 2
#: Cycles from the FIFO's level to the stop of issue.
LEVEL_TO_STALL = 1
