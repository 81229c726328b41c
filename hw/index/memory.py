"""The memory of a schedule's words: in the bitstream, in banks where it is deep, or loaded."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from sterna.hw.index.schedule import Schedule
from sterna.hw.parts.loadable import LoadableMemory, MemoryImage, read_halved

#: Words of a bank: an ECP5's RAM block holds as many, of 9 bits, one of an iCE40 of 2 bits.
BANK = 2048


def image_of(schedule: Schedule) -> MemoryImage:
    """A schedule's words, to be loaded."""
    return MemoryImage(width=schedule.format.width, words=tuple(schedule.packed()))


def bank_depths(depth: int) -> tuple[int, ...]:
    """Words of each bank of a memory: all but the last have 2,048.

    Behind a memory that is deeper than its RAM blocks stands a multiplexer, and then the register. That path keeps a
    unit below 120 MHz on an ECP5. Of banks, each has its register, and the RAM block has it inside.
    """
    full, rest = divmod(depth, BANK)
    return (BANK,) * full + (rest,) * (rest > 0)


def fetch_words(
    m: Module, schedule: Schedule, step: Value, *, image: MemoryImage | None, load: Any, half: Value | None = None
) -> Signal:
    """A step's word, two cycles later.

    Parameters
    ----------
    step : Value
        Its number.
    image : MemoryImage, optional
        The words, where they are loaded: through the interface ``load``.
    half : Value, optional
        Which half of the memory is read, where the other one is loaded meanwhile.
    """
    width = schedule.format.width
    if image is not None and half is not None:
        return read_halved(m, image, name="index", address=step, half=half, load=load)
    if image is not None:
        word = Signal(width, reset_less=True)
        m.submodules.index = loadable = LoadableMemory(image)
        wiring.connect(m, wiring.flipped(load), loadable.load)
        m.d.comb += loadable.address.eq(step)
        m.d.sync += word.eq(loadable.data)
        return word
    packed = schedule.packed()
    depths = bank_depths(schedule.steps)
    if len(depths) == 1:
        return _fetch_bank(m, packed, step, width=width, name="index")
    words: list[Value] = []
    for k, depth in enumerate(depths):
        held = packed[k * BANK :][:depth]
        words.append(_fetch_bank(m, held, step, width=width, name=f"index_{k}") if depth > 1 else Const(held[0], width))
    return _choose_bank(m, words, step >> (BANK.bit_length() - 1))


def _fetch_bank(m: Module, packed: list[int], step: Value, *, width: int, name: str) -> Signal:
    """A bank's word, two cycles later; the second register is that of the RAM block, where it has one."""
    word = Signal(width, reset_less=True, name="word" if name == "index" else f"word_{name}")
    bank: Memory = Memory(shape=unsigned(width), depth=len(packed), init=packed)
    m.submodules[name] = bank
    fetch = bank.read_port()
    m.d.comb += fetch.addr.eq(step)
    m.d.sync += word.eq(fetch.data)
    return word


def _choose_bank(m: Module, words: list[Value], bank: Value) -> Signal:
    """The word of a bank that was asked two cycles ago."""
    fetched, chosen = (Signal(range(len(words)), name=name, reset_less=True) for name in ("bank_fetched", "bank"))
    m.d.sync += [fetched.eq(bank), chosen.eq(fetched)]
    word = Signal(len(words[0]), name="word")
    with m.Switch(chosen):
        for k, candidate in enumerate(words):
            with m.Case(k) if k < len(words) - 1 else m.Default():
                m.d.comb += word.eq(candidate)
    return word
