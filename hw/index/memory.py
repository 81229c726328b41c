"""The memory of a schedule's words: in the bitstream, or loaded."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from sterna.hw.index.schedule import Schedule
from sterna.hw.parts.loadable import LoadableMemory, MemoryImage


def image_of(schedule: Schedule) -> MemoryImage:
    """A schedule's words, to be loaded."""
    return MemoryImage(width=schedule.format.width, words=tuple(schedule.packed()))


def fetch_words(m: Module, schedule: Schedule, step: Value, *, image: MemoryImage | None, load: Any) -> Signal:
    """A step's word, two cycles later.

    Parameters
    ----------
    step : Value
        Its number.
    image : MemoryImage, optional
        The words, where they are loaded: through the interface ``load``.
    """
    word = Signal(schedule.format.width, reset_less=True)
    if image is None:
        index: Memory = Memory(shape=unsigned(len(word)), depth=schedule.steps, init=schedule.packed())
        m.submodules.index = index
        fetch = index.read_port()
        m.d.comb += fetch.addr.eq(step)
        m.d.sync += word.eq(fetch.data)
    else:
        m.submodules.index = loadable = LoadableMemory(image)
        wiring.connect(m, wiring.flipped(load), loadable.load)
        m.d.comb += loadable.address.eq(step)
        m.d.sync += word.eq(loadable.data)
    return word
