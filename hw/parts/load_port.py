"""Fills memories, one after the other, from a stream of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sterna.hw.parts.loadable import LoadSignature, MemoryImage

#: Bits of a beat: what an SPI bridge, a UART or a flash gives, and a network's own words need no more.
LOAD_WIDTH = 8
#: Cycles from the writing of the last word to ``loaded``: whoever reads a memory has read a word of this load by then.
SETTLED = 3


class LoadPort(wiring.Component):
    """Writes the words of all memories from one stream, a byte a beat.

    The memories follow each other, and their words by address, each in whole bytes, low byte first. ``i_last`` must
    come with exactly the last byte. Then ``loaded`` rises. Where ``i_last`` comes early, the next byte is the first of
    another load; where it does not come, all bytes up to and including the next one with it are dropped. Either way
    ``error`` is high for a cycle, and nothing counts as loaded.

    The first byte of a load ends ``loaded``. A reset does not, unless it cuts a load short: the words are still there.

    Latency: a word is written in the cycle after its last byte; ``loaded`` rises ``SETTLED`` cycles after the writing
    of the last one. Throughput: a byte every other cycle. Cost: the widest word in registers, two counters, two
    comparisons for each memory.

    Parameters
    ----------
    images : sequence of :class:`MemoryImage`
        Of each memory, in the order of the stream.

    Members
    -------
    i : ``In(stream.Signature(8))``; i_last : ``In(1)``
    load_0, load_1, … : ``Out(LoadSignature)``
        To each memory.
    complete, loaded : ``Out(1)``
        All words have come; they can be read, too.
    error : ``Out(1)``
        A load had a wrong length.
    """

    i: stream.Interface
    i_last: Signal
    complete: Signal
    loaded: Signal
    error: Signal

    def __init__(self, *, images: Sequence[MemoryImage]) -> None:
        self._images = tuple(images)
        super().__init__(
            {
                "i": In(stream.Signature(LOAD_WIDTH)),
                "i_last": In(1),
                **{f"load_{k}": Out(LoadSignature(image)) for k, image in enumerate(self._images)},
                "complete": Out(1),
                "loaded": Out(1),
                "error": Out(1),
            }
        )

    def memory(self, number: int) -> Any:
        """The interface to a memory."""
        return getattr(self, f"load_{number}")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes = [image.word_bytes for image in self._images]
        depths = [len(image.words) for image in self._images]
        busy, skipping, taken, done = Signal(), Signal(), Signal(), Signal()
        turn = Signal(len(sizes), init=1)
        byte, word = Signal(range(max(sizes))), Signal(range(max(depths)))
        # seen in the cycle between two bytes, so that no comparison stands before a counter
        word_ends, memory_ends = Signal(init=sizes[0] == 1), Signal(init=depths[0] == 1)
        complete, settled = Signal(reset_less=True), Signal(SETTLED, reset_less=True)
        m.d.comb += [
            self.i.ready.eq(~busy),
            taken.eq(self.i.valid & ~busy & ~skipping),
            done.eq(word_ends & memory_ends & turn[-1]),
            self.complete.eq(complete),
            self.loaded.eq(settled[-1]),
        ]
        m.d.sync += [
            busy.eq(self.i.valid & ~busy),
            word_ends.eq(self._at_end(byte, turn, sizes)),
            memory_ends.eq(self._at_end(word, turn, depths)),
            self.error.eq(taken & (self.i_last ^ done)),
            settled.eq(Cat(complete, settled)),
        ]
        with m.If(self.i.valid & ~busy):
            m.d.sync += skipping.eq(~self.i_last & (skipping | done))
        with m.If(taken):
            m.d.sync += [complete.eq(done & self.i_last), settled.eq(0), byte.eq(Mux(word_ends, 0, byte + 1))]
            with m.If(word_ends):
                m.d.sync += word.eq(Mux(memory_ends, 0, word + 1))
            with m.If(word_ends & memory_ends):
                m.d.sync += turn.eq(turn.rotate_left(1))
            with m.If(self.i_last):
                m.d.sync += [byte.eq(0), word.eq(0), turn.eq(1)]
        self._write(m, taken, taken & word_ends, turn, word)
        return m

    def _at_end(self, count: Signal, turn: Signal, sizes: Sequence[int]) -> Value:
        """Whether a counter stands at the last of as many as the memory whose turn it is has."""
        ends = {size: Cat(*(turn[k] for k, other in enumerate(sizes) if other == size)).any() for size in sizes}
        return Cat(*(turns & (count == size - 1) for size, turns in ends.items())).any()

    def _write(self, m: Module, taken: Value, whole: Value, turn: Signal, word: Signal) -> None:
        """Collects bytes, the last one at the top, and gives each whole word to its memory a cycle later."""
        most = max(image.word_bytes for image in self._images)
        data, address = Signal(LOAD_WIDTH * most, reset_less=True), Signal.like(word, reset_less=True)
        m.d.sync += address.eq(word)
        with m.If(taken):
            m.d.sync += data.eq(Cat(data, self.i.payload)[LOAD_WIDTH:])
        for k, image in enumerate(self._images):
            memory = self.memory(k)
            write = Signal(name=f"write_{k}", reset_less=True)  # the last word of a load, whatever comes with it
            m.d.sync += write.eq(whole & turn[k])
            m.d.comb += [
                memory.write.eq(write),
                memory.address.eq(address),
                memory.data.eq(data[len(data) - LOAD_WIDTH * image.word_bytes :]),
            ]
