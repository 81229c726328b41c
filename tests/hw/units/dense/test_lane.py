"""One lane, word by word: what it adds, when, and where it walks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from bench import S1, S8, U1, U4, U8, run

from sterna.hw.index.columns import Window
from sterna.hw.index.walk import WordFormat
from sterna.hw.units.dense.lane import Lane
from sterna.hw.units.dense.pipeline import ISSUE_TO_END
from sterna.net import ActivationType

RUN_WIDTH, LOW_WIDTH = 4, 1
#: Leading bits of a distance that escapes.
MARK = 7


@dataclass(frozen=True)
class Word:
    """One step's word, by the places that it moves, and what the unit says about the step."""

    places: int
    negative: bool = False
    filler: bool = False
    entering: bool = False
    finish: bool = False

    @property
    def distance(self) -> int:
        return self.places - (not self.negative)

    def field(self, *, escapes: bool) -> int:
        """Distance and sign, as the index memory holds them."""
        low = self.distance % (1 << LOW_WIDTH)
        return (low | MARK << LOW_WIDTH if escapes else self.distance) | (not self.negative) << RUN_WIDTH


#: Cycles from a word's stage 2 until its row's sum is there: the word is a frame's last, or begins the next row.
FINISHED, CARRIED = ISSUE_TO_END, ISSUE_TO_END - 1
FILLER = Word(MARK << LOW_WIDTH, filler=True)
WAIT = Word(0, negative=True)


def window(width: int, offset: int = 0, elements: int = 1) -> Window:
    live = (True,) * (((1 << width) - offset) // elements)
    return Window(address_width=width, offset=offset, elements=elements, stride=1, live=live)


def walk(
    words: Sequence[Word | None],
    codes: Sequence[int],
    *,
    code: ActivationType = U4,
    layout: Window | None = None,
    start: int = 0,
    acc_width: int = 12,
    bank: int = 0,
    escape_width: int = 0,
) -> list[tuple[int, int]]:
    """(cycle, sum) of each row that ends, the first word being at stage 2 in cycle 0; ``None`` is a stalled cycle.

    ``codes[p]`` lies at position p of one buffer; the other one holds other codes.
    """
    layout = layout or window(4)
    lane = Lane(
        word_format=WordFormat(lanes=1, run_width=RUN_WIDTH, escape_width=escape_width),
        window=layout,
        start=start,
        activation=code,
        elements=layout.elements,
        acc_width=acc_width,
    )
    control = lane.control
    mask = (1 << code.width) - 1
    ended: list[tuple[int, int]] = []

    def at(step: int) -> Word | None:
        return words[step] if 0 <= step < len(words) else None

    async def bench(ctx: Any) -> None:
        ctx.set(control.write, 1)
        for which in (0, 1):
            ctx.set(control.write_bank, which)
            for word in range(layout.size // layout.elements):
                data = 0
                for k in range(layout.elements):
                    value = codes[word * layout.elements + k]
                    data |= (value & mask if which == bank else ~value & mask) << k * code.width
                ctx.set(control.write_address, word)
                ctx.set(control.write_data, data)
                await ctx.tick()
        ctx.set(control.write, 0)
        ctx.set(control.bank, bank)
        for cycle in range(len(words) + FINISHED):
            stage_2, stage_3, stage_5, last_stage = (at(cycle - later) for later in (0, 1, 3, FINISHED - 1))
            word = stage_2 or Word(5)
            escapes = escape_width > 0 and (word.filler or word.distance >= MARK << LOW_WIDTH)
            ctx.set(lane.word, word.field(escapes=escapes))
            assert ctx.get(lane.escapes) == escapes
            if escape_width:  # what stands ready means nothing to a lane that does not escape
                ctx.set(lane.high, word.distance >> LOW_WIDTH if escapes else 5)
                ctx.set(lane.filler, word.filler if escapes else 1)
            ctx.set(control.position, stage_3 is not None)
            ctx.set(control.entering, stage_3.entering if stage_3 else 0)
            ctx.set(control.activation, stage_5 is not None)
            ctx.set(control.finish, last_stage.finish if last_stage else 0)
            ends = ctx.get(lane.ended)
            await ctx.tick()
            if ends:
                ended.append((cycle + 1, ctx.get(lane.sum)))

    run(lane, bench)
    return ended


CODES = [(5 * k + 3) % 16 for k in range(64)]


def test_adds_and_subtracts() -> None:
    words = [Word(1), Word(2, negative=True), Word(8), Word(4, finish=True)]
    ((cycle, total),) = walk(words, CODES)
    assert total == CODES[1] - CODES[3] + CODES[11] + CODES[15]
    assert cycle == 3 + FINISHED


def test_either_buffer() -> None:
    for bank in (0, 1):
        assert [total for _, total in walk([Word(3), Word(1, finish=True)], CODES, bank=bank)] == [CODES[3] + CODES[4]]


def test_stalled_cycles_change_nothing_but_the_time() -> None:
    words = [Word(1), None, Word(6), None, None, Word(6, negative=True), Word(5), None, Word(1, finish=True)]
    expected = [(6 + CARRIED, CODES[1] + CODES[7] - CODES[13]), (8 + FINISHED, CODES[2] + CODES[3])]
    for escape_width in (0, 3):
        assert walk(words, CODES, escape_width=escape_width) == expected


def test_without_escapes_the_word_of_ones_is_a_filler() -> None:
    words = [Word(2), Word(16), Word(1, negative=True), Word(15, negative=True), Word(16), Word(1, finish=True)]
    codes = [k * k // 3 % 16 for k in range(64)]  # in which no two steps too far make up for each other
    assert words[1].field(escapes=False) == (2 << RUN_WIDTH) - 1
    assert walk(words, codes, layout=window(6)) == [
        (5 + FINISHED, codes[2] - codes[2 + 15 + 1] - codes[18 + 15] + codes[33 + 15 + 1])
    ]


def test_waits_stay() -> None:
    words = [WAIT, WAIT, Word(2), WAIT, Word(3, negative=True), WAIT, Word(1, finish=True)]
    for escape_width in (0, 3):
        assert walk(words, CODES, start=4, escape_width=escape_width) == [
            (6 + FINISHED, CODES[6] - CODES[9] + CODES[10])
        ]


def test_the_shortest_and_the_longest_words() -> None:
    words = [Word(1), Word(1, negative=True), Word(15), Word(15, negative=True, finish=True)]
    ((_, total),) = walk(words, CODES, layout=window(6))
    assert total == CODES[1] - CODES[2] + CODES[17] - CODES[32]


def test_escapes() -> None:
    words = [Word(14), Word(13, negative=True), Word(15), Word(14, negative=True), Word(16)]
    words += [Word(19, negative=True), Word(2), Word(1, negative=True, finish=True)]
    # 14 places for +1 and 13 for -1 are the most without an escape
    places = [24, 37, 52, 66, 82, 101, 103, 104]
    codes = [(5 * k + 3) % 16 for k in range(128)]
    ((_, total),) = walk(words, codes, layout=window(7), escape_width=3, start=10)
    assert total == sum((-1) ** word.negative * codes[place] for word, place in zip(words, places, strict=True))


def test_fillers_move_and_add_nothing() -> None:
    words = [FILLER, Word(2), FILLER, Word(1, negative=True), WAIT, FILLER, Word(3, finish=True)]
    ((_, total),) = walk(words, CODES, layout=window(6), escape_width=3)
    assert total == CODES[16] - CODES[31] + CODES[48]


def test_a_carry_ends_the_row_before() -> None:
    words = [Word(1), Word(6, negative=True), Word(6), Word(6), Word(5, finish=True)]
    # positions 5, 11, 1, 7, 12; the third word carries
    assert walk(words, CODES, start=4) == [
        (2 + CARRIED, CODES[5] - CODES[11]),
        (4 + FINISHED, CODES[1] + CODES[7] + CODES[12]),
    ]


def test_rows_follow_each_other_every_cycle() -> None:
    words = [Word(6), Word(6), Word(6), Word(6, negative=True), Word(6), Word(6, finish=True)]
    # positions 14, 4, 10, 0, 6, 12 of 16: carries at 4 and at 0
    assert walk(words, CODES, start=8) == [
        (1 + CARRIED, CODES[14]),
        (3 + CARRIED, CODES[4] + CODES[10]),
        (5 + FINISHED, -CODES[0] + CODES[6] + CODES[12]),
    ]


def test_a_carry_into_the_frame_ends_nothing() -> None:
    words = [Word(5, entering=True), Word(2, entering=True), Word(1, finish=True)]
    assert walk(words, CODES, start=14) == [(2 + FINISHED, CODES[3] + CODES[5] + CODES[6])]


def test_a_filler_may_carry() -> None:
    words = [Word(3), FILLER, Word(1, finish=True)]
    expected = [(1 + CARRIED, CODES[28]), (2 + FINISHED, CODES[11])]
    assert walk(words, CODES, layout=window(5), start=25, escape_width=3) == expected


@pytest.mark.parametrize("offset", [0, 4, 8, 12, 16, 20, 24, 28])
@pytest.mark.parametrize("escape_width", [0, 3])
def test_a_carry_goes_on_at_the_offset(offset: int, escape_width: int) -> None:
    layout = window(6, offset)
    for places in range(1, 32 if escape_width else 16):
        reached = 60 + places
        position = reached if reached < 64 else reached - 64 + offset
        if reached - 64 >= 2 << RUN_WIDTH or position > 62:
            continue  # no schedule's word leads further
        words = [Word(places, entering=True), Word(1, finish=True)]
        assert walk(words, CODES, layout=layout, start=60, escape_width=escape_width) == [
            (1 + FINISHED, CODES[position] + CODES[position + 1])
        ]


@pytest.mark.parametrize("elements", [2, 4, 8])
def test_elements_share_a_memory_word(elements: int) -> None:
    signs = np.random.default_rng(1).choice([-1, 1], 16)  # if all were alike, elements could be mixed up unseen
    signs[0] = 0  # not visited
    words = [Word(1, negative=sign < 0, finish=place == 15) for place, sign in enumerate(signs) if place]
    ((_, total),) = walk(words, CODES, layout=window(4, 0, elements))
    assert total == int((signs * np.array(CODES[:16])).sum())


@pytest.mark.parametrize("code", [U1, S1, U4, U8, S8], ids=str)
def test_every_code_with_either_sign(code: ActivationType) -> None:
    for value in range(code.min, code.max + 1, max(1, (code.max - code.min) // 15)):
        codes = [value] * 16
        assert walk([Word(1, finish=True)], codes, code=code, acc_width=9) == [(FINISHED, value)]
        assert walk([Word(1, negative=True, finish=True)], codes, code=code, acc_width=9) == [(FINISHED, -value)]


def test_partial_sums_may_wrap() -> None:
    words = [Word(1), Word(1), Word(1), Word(1, negative=True), Word(1, negative=True, finish=True)]
    assert walk(words, [15] * 16, acc_width=5) == [(4 + FINISHED, 15)]  # 45 does not fit 5 bits
    assert walk([Word(1, negative=True, finish=True)], [-128] * 16, code=S8, acc_width=8) == [
        (FINISHED, -128)
    ]  # 128 wraps


def test_the_sum_stays_until_the_next() -> None:
    words = [Word(3), Word(4, finish=True), None, None, Word(2), Word(1, negative=True, finish=True)]
    assert walk(words, CODES, start=1) == [(1 + FINISHED, CODES[4] + CODES[8]), (5 + FINISHED, CODES[10] - CODES[11])]


@pytest.mark.parametrize("elements", [1, 2, 8])
def test_no_multiplier_chooses_an_element(elements: int) -> None:
    """Codes of 3 bits, since a multiplication by a power of two hides in a shift."""
    lane = Lane(
        word_format=WordFormat(lanes=1, run_width=RUN_WIDTH),
        window=window(6, 0, elements),
        start=0,
        activation=ActivationType(3, False),
        elements=elements,
        acc_width=8,
    )
    cells = set(re.findall(r"^\s*cell (\$\w+)", rtlil.convert(lane), re.M))
    assert "$add" in cells
    assert cells.isdisjoint({"$mul", "$div", "$mod", "$divfloor", "$modfloor", "$pow"})
