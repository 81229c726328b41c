"""Decoders of the codes that say of every element whether it is zero: 2 bits, five trits a byte, bitmap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from decoders import FILL, Decoder, Numbers

from sterna.codes import encode
from sterna.codes.base3 import TRITS
from sterna.codes.packing import unpack


class Walking(Decoder):
    """A position that goes from element to element, zeros too, from ``fill`` cycles after a reset on.

    Positions fill [offset, 2**address_width), so that the counter's own carry tells the end of a row.

    Parameters
    ----------
    matrix : int8, (rows, columns)
    memories : mapping of :class:`str` to (width, words)
    """

    def __init__(self, matrix: np.ndarray, memories: Mapping[str, tuple[int, Numbers]]) -> None:
        width = (matrix.shape[1] - 1).bit_length()
        super().__init__(
            shape=matrix.shape, offset=(1 << width) - matrix.shape[1], address_width=width, memories=memories
        )

    def _walk(self, m: Module) -> None:
        position, begins = Signal(self._address_width, init=self.offset), Signal(init=1)
        following = Signal(self._address_width + 1)
        m.d.comb += [following.eq(position + 1), self.found.address.eq(position), self.found.begins.eq(begins)]
        with m.If(self._started(m, self.fill)):
            m.d.sync += [position.eq(following), begins.eq(following[-1])]
            with m.If(following[-1]):
                m.d.sync += position.eq(self.offset)


class Packed(Walking):
    """2 bits an element, one element a cycle."""

    def __init__(self, matrix: np.ndarray) -> None:
        coded = encode(matrix, "packed", bits=2)
        values = coded.arrays["values"].tolist()
        if values[:1] != [0] or len(values) != 3:
            raise ValueError(f"matrix must hold 0, most often, and -1 and 1, not {values}")
        self._minus = values.index(-1) - 1  # the bit of the code that is set
        super().__init__(matrix, {"codes": (2, unpack(coded.arrays["codes"], 2, matrix.size))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        code = self._read(m, "codes", started, started)
        self._walk(m)
        m.d.sync += [self.found.valid.eq(code.any()), self.found.negative.eq(code[self._minus])]
        return m


class Base3(Walking):
    """Five elements a byte, one element a cycle.

    A byte that stands for x of 243 is stored as 256 x / 243, rounded up: three times that has the first digit above its
    eighth bit and, below, what stands for the others. One adder takes the digits out, and no table. The code's digits
    are in the opposite order.
    """

    fill = FILL + 2

    def __init__(self, matrix: np.ndarray) -> None:
        trits = encode(matrix, "base3").arrays["trits"].astype(np.int64)
        digits = trits[:, None] // 3 ** np.arange(TRITS) % 3
        backwards = digits @ 3 ** np.arange(TRITS)[::-1]
        super().__init__(matrix, {"trits": (8, -(-256 * backwards // 3**TRITS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        turn, rest, triple = Signal(TRITS, init=1 << TRITS - 1), Signal(8), Signal(10)
        byte = self._read(m, "trits", started, turn[-1])
        m.d.comb += triple.eq(rest + (rest << 1))
        with m.If(started):
            m.d.sync += [turn.eq(turn.rotate_left(1)), rest.eq(Mux(turn[-1], byte, triple[:8]))]
        self._walk(m)
        m.d.sync += [self.found.valid.eq(~triple[8]), self.found.negative.eq(~triple[9])]
        return m


class Bitmap(Decoder):
    """A bit an element, some of them a word, and a sign a weight: the first one of a word is found and cleared.

    A cycle a weight, and a cycle a word without any. Rows are filled up to whole words, which the code does not do.

    Parameters
    ----------
    matrix : int8, (rows, columns)
    word : :class:`int`
        Bits of a word, a power of two.
    """

    fill = FILL + 2

    def __init__(self, matrix: np.ndarray, *, word: int) -> None:
        rows, columns = matrix.shape
        a_row = -(-columns // word)
        self._word = word
        self._index_width = word.bit_length() - 1
        self._number_width = (a_row - 1).bit_length()
        self._first = (1 << self._number_width) - a_row
        bits = np.zeros((rows, a_row * word), np.int64)
        bits[:, :columns] = matrix != 0
        masks = [sum(int(bit) << k for k, bit in enumerate(row)) for row in bits.reshape(-1, word)]
        super().__init__(
            shape=matrix.shape,
            offset=self._first * word,
            address_width=self._index_width + self._number_width,
            memories={"masks": (word, masks), "signs": (1, matrix[matrix != 0] < 0)},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        left, rest = Signal(self._word), Signal(self._word)
        number, following = Signal(self._number_width, init=-1), Signal(self._number_width + 1)
        done, first = Signal(), Signal()
        one = left & -left
        m.d.comb += [rest.eq(left & ~one), done.eq(~rest.any()), following.eq(number + 1)]
        mask = self._read(m, "masks", started, done)
        sign = self._read(m, "signs", started, left.any())
        with m.If(started):
            m.d.sync += [left.eq(Mux(done, mask, rest)), first.eq(done & following[-1])]
            with m.If(done):
                m.d.sync += number.eq(following)
                with m.If(following[-1]):
                    m.d.sync += number.eq(self._first)
        m.d.sync += [
            self.found.valid.eq(left.any()),
            self.found.address.eq(Cat(self._index(one), number)),
            self.found.negative.eq(sign),
            self.found.begins.eq(first),
        ]
        return m

    def _index(self, one: Value) -> Value:
        """Number of the only bit that is set."""
        return Cat(Cat(one[k] for k in range(self._word) if k >> bit & 1).any() for bit in range(self._index_width))
