"""Decoders of the codes that store only weights: by column, by distance in words of one width, and by Rice code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from decoders import FILL, Decoder, Numbers
from index_bits import MAX_UNARY, best_rice, linear_runs, rice_split, sign_planes

from sterna.codes import encode
from sterna.codes.packing import unpack

#: Bits of a memory word of the Rice code.
RICE_WORD = 16


def _width(numbers: np.ndarray) -> int:
    """Bits of the greatest number, 1 at least."""
    return max(int(numbers.max(initial=0)).bit_length(), 1)


class Csr(Decoder):
    """A column and a sign a weight; rows end where a counter of their weights does.

    A cycle a weight, and a cycle an empty row. The pointers are stored as differences, which are what it counts.
    """

    fill = FILL + 2

    def __init__(self, matrix: np.ndarray) -> None:
        coded = encode(matrix, "csr")
        columns = coded.arrays["columns"].astype(np.int64)
        lengths = np.diff(coded.arrays["row_pointers"].astype(np.int64))
        width = _width(columns)
        super().__init__(
            shape=matrix.shape,
            offset=0,
            address_width=width,
            memories={
                "elements": (width + 1, columns | (coded.arrays["values"] < 0).astype(np.int64) << width),
                "lengths": (_width(lengths), lengths),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        left = Signal(self._memories["lengths"][0])
        last, valid, first = Signal(), Signal(), Signal()
        length = self._read(m, "lengths", started, last)
        element = self._read(m, "elements", started, valid)
        m.d.comb += [last.eq(~left[1:].any()), valid.eq(~last | left[0])]
        with m.If(started):
            m.d.sync += [left.eq(Mux(last, length, left - 1)), first.eq(last)]
        m.d.sync += [
            self.found.valid.eq(valid),
            Cat(self.found.address, self.found.negative).eq(element),
            self.found.begins.eq(first),
        ]
        return m


class Grouped(Decoder):
    """CER or CSER: columns by row and value; counters of a row's groups and a group's weights say where they end.

    A cycle a weight, a cycle an empty row, and in CER a cycle an empty group. Pointers are stored as differences.

    Parameters
    ----------
    matrix : int8, (rows, columns)
    code : :class:`str`
        ``"cer"``: the sign follows from a group's place in its row. ``"cser"``: it is stored with the group.
    """

    fill = FILL + 2

    def __init__(self, matrix: np.ndarray, *, code: str) -> None:
        arrays = encode(matrix, code).arrays
        columns = arrays["columns"].astype(np.int64)
        sizes = np.diff(arrays["group_pointers"].astype(np.int64))
        self._negative = (arrays["values"][1:] < 0).tolist()
        if len(self._negative) != 2:
            raise ValueError(f"matrix must hold 0, most often, and -1 and 1, not {arrays['values'].tolist()}")
        self._size_width = _width(sizes)
        groups = sizes
        if "group_values" in arrays:
            groups = sizes | (arrays["values"][arrays["group_values"]] < 0).astype(np.int64) << self._size_width
        self._named = "group_values" in arrays
        super().__init__(
            shape=matrix.shape,
            offset=0,
            address_width=_width(columns),
            memories={
                "columns": (_width(columns), columns),
                "groups": (self._size_width + self._named, groups),
                "counts": (2, np.diff(arrays["row_pointers"].astype(np.int64))),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        left, another = Signal(self._size_width), Signal()
        last, valid, first, negative = Signal(), Signal(), Signal(), Signal()
        ends, opens = Signal(), Signal()
        count = self._read(m, "counts", started, ends)
        group = self._read(m, "groups", started, opens)
        column = self._read(m, "columns", started, valid)
        m.d.comb += [
            last.eq(~left[1:].any()),
            valid.eq(~last | left[0]),
            ends.eq(last & ~another),
            opens.eq(last & (another | count.any())),
        ]
        with m.If(started):
            m.d.sync += [first.eq(ends), left.eq(left - 1)]
            with m.If(last):
                m.d.sync += [another.eq(~another & count[1]), negative.eq(self._sign(group, another))]
                m.d.sync += left.eq(group[: self._size_width] & opens.replicate(self._size_width))
        m.d.sync += [
            self.found.valid.eq(valid),
            self.found.address.eq(column),
            self.found.negative.eq(negative),
            self.found.begins.eq(first),
        ]
        return m

    def _sign(self, group: Signal, second: Signal) -> Value:
        """Whether the weights of the group that opens are -1."""
        return group[-1] if self._named else Mux(second, int(self._negative[1]), int(self._negative[0]))


class Striding(Decoder):
    """A position that moves by distances, across the ends of rows, which its carry tells.

    Parameters
    ----------
    matrix : int8, (rows, columns)
    most : :class:`int`
        The longest move; more than a row is too much.
    memories : mapping of :class:`str` to (width, words)
    """

    def __init__(self, matrix: np.ndarray, *, most: int, memories: Mapping[str, tuple[int, Numbers]]) -> None:
        columns = matrix.shape[1]
        if most > columns:
            raise ValueError(f"words move by up to {most}, further than a row of {columns} columns is long")
        width = (columns - 1).bit_length()
        self._left_width = (most - 1).bit_length()
        super().__init__(shape=matrix.shape, offset=(1 << width) - columns, address_width=width, memories=memories)

    def _stride(self, m: Module, started: Signal, distance: Value, hits: Value) -> Value:
        """Moves the position by the distance, and one more where it hits a weight; whether it carries."""
        position, moved = Signal(self._address_width, init=-1), Signal(self._address_width + 1)
        m.d.comb += [
            moved.eq((Cat(1, position) + Cat(hits, distance))[1:]),  # one more is the adder's carry
            self.found.address.eq(position),
        ]
        with m.If(started):
            m.d.sync += position.eq(self._wrapped(m, moved, self._left_width))
        m.d.sync += self.found.valid.eq(hits)
        return moved[-1]


class RunLength(Striding):
    """Run length of codes: words of one width, an escape of all ones, and a sign a weight.

    A cycle a word: a weight, or an escape.
    """

    def __init__(self, matrix: np.ndarray, *, run_bits: int | None = None) -> None:
        coded = encode(matrix, "run_length", run_bits=run_bits)
        width = coded.parameters["run_bits"]
        super().__init__(
            matrix,
            most=(1 << width) - 1,
            memories={
                "runs": (width, unpack(coded.arrays["runs"], width, coded.parameters["words"])),
                "signs": (1, matrix[matrix != 0] < 0),
            },
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        run = self._read(m, "runs", started, started)
        hits = ~run.all()
        sign = self._read(m, "signs", started, hits)
        carries = self._stride(m, started, run, hits)
        m.d.sync += [self.found.begins.eq(carries), self.found.negative.eq(sign)]
        return m


class SignGroups(Striding):
    """Run length of a row's plus ones, then of its minus ones, as if they were two rows; no signs.

    A cycle a word: a weight, or an escape.
    """

    def __init__(self, matrix: np.ndarray, *, run_bits: int | None = None) -> None:
        coded = encode(sign_planes(matrix), "run_length", run_bits=run_bits)
        width = coded.parameters["run_bits"]
        runs = unpack(coded.arrays["runs"], width, coded.parameters["words"])
        super().__init__(matrix, most=(1 << width) - 1, memories={"runs": (width, runs)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m)
        run = self._read(m, "runs", started, started)
        carries = self._stride(m, started, run, ~run.all())
        negative = Signal(init=1)
        m.d.comb += self.found.negative.eq(negative)
        m.d.sync += self.found.begins.eq(carries & negative)
        with m.If(started):
            m.d.sync += negative.eq(negative ^ carries)
        return m


class Rice(Striding):
    """A Rice code: sign, remainder, and a unary part, up to ``MAX_UNARY`` ones and a 0; with as many, an escape.

    A cycle a weight, and a cycle an escape. Two memory words and a shifter show the next code, whose length moves the
    shifter: a loop through all of it that no pipeline can shorten.

    Parameters
    ----------
    matrix : int8, (rows, columns)
    remainder : :class:`int`
        Bits of the remainder; by default those that take the fewest bits.
    """

    fill = FILL + 2

    def __init__(self, matrix: np.ndarray, *, remainder: int | None = None) -> None:
        runs = linear_runs(matrix)
        self._remainder = best_rice(runs) if remainder is None else remainder
        if 1 + self._remainder + MAX_UNARY > RICE_WORD:
            raise ValueError(f"remainder must be at most {RICE_WORD - 1 - MAX_UNARY}, not {self._remainder}")
        words = _rice_words(runs, matrix[matrix != 0] < 0, self._remainder)
        super().__init__(matrix, most=MAX_UNARY << self._remainder, memories={"words": (RICE_WORD, words)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        started = self._started(m, FILL + 1)
        low, start, after = Signal(RICE_WORD), Signal(range(RICE_WORD)), Signal(range(2 * RICE_WORD))
        word = self._read(m, "words", started, after[-1])
        shown, unary = Signal(RICE_WORD), Signal(range(MAX_UNARY + 1))
        m.d.comb += [shown.eq(Cat(low, word) >> start), unary.eq(MAX_UNARY)]
        first = 1 + self._remainder
        for ones in reversed(range(MAX_UNARY)):
            with m.If(~shown[first + ones]):
                m.d.comb += unary.eq(ones)
        hits = ~unary[-1]
        m.d.comb += after.eq(start + unary + first + hits)
        with m.If(started):
            m.d.sync += start.eq(after[:-1])
        with m.If(~started | after[-1]):
            m.d.sync += low.eq(word)
        carries = self._stride(m, started, Cat(shown[1:first], unary), hits)
        m.d.sync += [self.found.begins.eq(carries), self.found.negative.eq(shown[0])]
        return m


def _rice_words(runs: np.ndarray, negative: np.ndarray, remainder: int) -> list[int]:
    """The code's bits, the first the lowest, in memory words."""
    stream: list[str] = []
    for escapes, unary, rest, sign in zip(*rice_split(runs, remainder), negative, strict=True):
        stream += ["0" * (1 + remainder) + "1" * MAX_UNARY] * int(escapes)
        stream.append(f"{int(sign)}{f'{rest:0{remainder}b}'[::-1] if remainder else ''}{'1' * int(unary)}0")
    bits = "".join(stream)
    return [int(bits[k : k + RICE_WORD][::-1], 2) for k in range(0, len(bits), RICE_WORD)]
