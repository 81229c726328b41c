"""Memories whose words a host replaces: one that is filled before it is read, and one that is filled meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.rom import BLOCK_DEPTH, NO_COLLISION

#: Attribute of a memory that large single-port RAM blocks can hold. It must be emitted without initial values
#: (``emit/verilog.py``): such blocks have none.
SINGLE_PORT: dict[str, Any] = {"single_port": 1}


@dataclass(frozen=True, kw_only=True)
class MemoryImage:
    """What a loadable memory is filled with.

    Attributes
    ----------
    width : int
        Bits of a word.
    words : tuple of int
        By address.
    """

    width: int
    words: tuple[int, ...]

    @property
    def word_bytes(self) -> int:
        """Whole bytes that hold a word."""
        return -(-self.width // 8)

    def to_bytes(self) -> bytes:
        """The words by address, each in whole bytes, low byte first."""
        return b"".join(word.to_bytes(self.word_bytes, "little") for word in self.words)


class LoadSignature(wiring.Signature):
    """What fills a memory, a word in each cycle in which ``write`` is high.

    Members
    -------
    write : Out(1)
    address : Out(range(depth)); data : Out(width)
    """

    def __init__(self, image: MemoryImage) -> None:
        super().__init__({"write": Out(1), "address": Out(range(len(image.words))), "data": Out(image.width)})


def load_members(image: MemoryImage | None) -> dict[str, Any]:
    """The member ``load`` of a component one of whose memories is loaded; none without an image."""
    return {} if image is None else {"load": In(LoadSignature(image))}


class LoadableMemory(wiring.Component):
    """A memory that is written through ``load``, and read in all other cycles.

    Reads and writes share one port, as in an iCE40 UP5K's SPRAM; elsewhere it is block RAM. Latency: one cycle.
    Throughput: one word a cycle, read or written. What was never written is not defined; a word that is read while
    another is written is that of the cycle before.

    Parameters
    ----------
    image : :class:`MemoryImage`
        What it will hold: its size follows, its words are not in the hardware.

    Members
    -------
    load : ``In(LoadSignature)``
        Writes a word.
    address : ``In(range(depth))``; data : ``Out(width)``
        Reads one.
    """

    load: Any  # the members of LoadSignature
    address: Signal
    data: Signal

    def __init__(self, image: MemoryImage) -> None:
        self._image = image
        super().__init__({**load_members(image), "address": In(range(len(image.words))), "data": Out(image.width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memory: Memory = Memory(
            shape=unsigned(self._image.width),
            depth=len(self._image.words),
            init=[],
            attrs={**SINGLE_PORT, **NO_COLLISION},
        )
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        address = Signal.like(self.address)  # one for both: two would be two ports
        m.d.comb += [
            address.eq(Mux(self.load.write, self.load.address, self.address)),
            write.en.eq(self.load.write),
            write.addr.eq(address),
            write.data.eq(self.load.data),
            read.en.eq(~self.load.write),
            read.addr.eq(address),
            self.data.eq(read.data),
        ]
        return m


def halved_members(images: Sequence[MemoryImage]) -> dict[str, Any]:
    """The members ``half`` and ``load_0``, ``load_1``, … of a component with halved memories; none without any."""
    loads = {f"load_{k}": In(LoadSignature(image)) for k, image in enumerate(images)}
    return {"half": In(1), **loads} if images else {}


class HalvedMemory(wiring.Component):
    """Two memories in one: a half is read, and the other one written through ``load``.

    Read latency: ``ROM_LATENCY`` cycles, as of a :class:`~sterna.hw.parts.rom.Rom`; ``half`` counts when the address
    comes. Throughput: one word a cycle. A half that is read is never written, so no address is both at once.

    Parameters
    ----------
    image : :class:`MemoryImage`
        What half 0 begins with; half 1 begins with zeros.

    Members
    -------
    half : ``In(1)``
        Which half is read; the other one is written.
    load : ``In(LoadSignature)``
        Writes a word.
    address : ``In(range(depth))``; data : ``Out(width)``
        Reads one.
    """

    half: Signal
    load: Any  # the members of LoadSignature
    address: Signal
    data: Signal

    def __init__(self, image: MemoryImage) -> None:
        self._image = image
        super().__init__(
            {
                "half": In(1),
                **load_members(image),
                "address": In(range(len(image.words))),
                "data": Out(image.width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = self._image.words
        style = {"ram_style": "block"} if 2 * len(words) > BLOCK_DEPTH else {}
        memory: Memory = Memory(
            shape=unsigned(self._image.width),
            depth=2 * len(words),  # the halves' words alternate: neither wastes what the other one has not
            init=[part for word in words for part in (word, 0)],
            attrs={**NO_COLLISION, **style},
        )
        m.submodules.memory = memory
        write, read = memory.write_port(), memory.read_port()
        # without reset or enable, so that it can become the memory's own output register
        register = Signal(self._image.width, reset_less=True)
        m.d.comb += [
            write.en.eq(self.load.write),
            write.addr.eq(Cat(~self.half, self.load.address)),
            write.data.eq(self.load.data),
            read.addr.eq(Cat(self.half, self.address)),
            self.data.eq(register),
        ]
        m.d.sync += register.eq(read.data)
        return m


def read_halved(m: Module, image: MemoryImage, *, name: str, address: Value, half: Value, load: Any) -> Signal:
    """The data of a :class:`HalvedMemory` that is filled through a component's own interface ``load``."""
    m.submodules[name] = memory = HalvedMemory(image)
    wiring.connect(m, wiring.flipped(load), memory.load)
    m.d.comb += [memory.address.eq(address), memory.half.eq(half)]
    return memory.data
