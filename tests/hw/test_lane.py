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

from sterna.hw.columns import Window
from sterna.hw.dense import ISSUE_TO_END
from sterna.hw.lane import Lane
from sterna.hw.walk import WordFormat
from sterna.net import ActivationType


@dataclass(frozen=True)
class Word:
    """One step's word, and what the unit says about the step."""

    distance: int
    negative: bool = False
    extend: bool = False
    entering: bool = False
    finish: bool = False


#: Cycles from a word's stage 2 until its row's sum is there: the word is a frame's last, or begins the next row.
FINISHED, CARRIED = ISSUE_TO_END, ISSUE_TO_END - 1
FILLER = Word(7)
WAIT = Word(7, negative=True)


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
    extended: bool = False,
) -> list[tuple[int, int]]:
    """(cycle, sum) of each row that ends, the first word being at stage 2 in cycle 0; ``None`` is a stalled cycle.

    ``codes[p]`` lies at position p of one buffer; the other one holds other codes.
    """
    layout = layout or window(4)
    lane = Lane(
        word_format=WordFormat(lanes=1, run_width=3, extended=extended),
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
            stage_2, stage_4, last_stage = (at(cycle - later) for later in (0, 2, FINISHED - 1))
            ctx.set(lane.word, (stage_2.distance | stage_2.negative << 3) if stage_2 else 0b0101)
            ctx.set(lane.extend, stage_2.extend if stage_2 else 0)
            ctx.set(control.position, stage_2 is not None)
            ctx.set(control.entering, stage_2.entering if stage_2 else 0)
            ctx.set(control.activation, stage_4 is not None)
            ctx.set(control.finish, last_stage.finish if last_stage else 0)
            ends = ctx.get(lane.ended)
            await ctx.tick()
            if ends:
                ended.append((cycle + 1, ctx.get(lane.sum)))

    run(lane, bench)
    return ended


CODES = [(5 * k + 3) % 16 for k in range(64)]


def test_adds_and_subtracts() -> None:
    words = [Word(1), Word(2, negative=True), Word(0), Word(4, finish=True)]
    ((cycle, total),) = walk(words, CODES)
    assert total == CODES[1] - CODES[3] + CODES[3] + CODES[7]
    assert cycle == 3 + FINISHED


def test_either_buffer() -> None:
    for bank in (0, 1):
        assert [total for _, total in walk([Word(3), Word(1, finish=True)], CODES, bank=bank)] == [CODES[3] + CODES[4]]


def test_stalled_cycles_change_nothing_but_the_time() -> None:
    words = [Word(1), None, Word(6), None, None, Word(6, negative=True), Word(5), None, Word(0, finish=True)]
    assert walk(words, CODES) == [(6 + CARRIED, CODES[1] + CODES[7] - CODES[13]), (8 + FINISHED, 2 * CODES[2])]


def test_fillers_move_and_waits_stay() -> None:
    words = [FILLER, WAIT, WAIT, Word(2), WAIT, FILLER, Word(0, finish=True)]
    assert walk(words, CODES) == [(5 + CARRIED, CODES[9]), (6 + FINISHED, CODES[0])]
    ((_, total),) = walk([WAIT, WAIT, Word(0, finish=True)], CODES, start=6)
    assert total == CODES[6]


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
    assert walk(words, CODES, start=9) == [(1 + CARRIED, CODES[12]), (2 + FINISHED, CODES[4])]


def test_a_wait_that_would_carry_does_not() -> None:
    words = [Word(3), WAIT, Word(1, finish=True)]
    assert walk(words, CODES, start=9) == [(2 + FINISHED, CODES[12] + CODES[13])]


def test_extended_distances() -> None:
    words = [Word(5, extend=True), Word(7, extend=True), Word(0), Word(6, extend=True, negative=True, finish=True)]
    # 5 + 8 = 13; a filler of 15 to 28; 28; 28 + 14 = 42
    ((_, total),) = walk(words, CODES, layout=window(6), extended=True)
    assert total == CODES[13] + CODES[28] - CODES[42]


@pytest.mark.parametrize("offset", [0, 4, 8, 12, 16])
@pytest.mark.parametrize("extended", [False, True])
def test_a_carry_goes_on_at_the_offset(offset: int, extended: bool) -> None:
    layout = window(5, offset)
    for distance in range(7):
        for extend in (False, True) if extended else (False,):
            reached = 30 + distance + 8 * extend
            position = reached if reached < 32 else reached - 32 + offset
            words = [Word(distance, extend=extend, entering=True), Word(0, finish=True)]
            assert walk(words, CODES, layout=layout, start=30, extended=extended) == [
                (1 + FINISHED, 2 * CODES[position])
            ]


@pytest.mark.parametrize("elements", [2, 4, 8])
def test_elements_share_a_memory_word(elements: int) -> None:
    words = [Word(1)] * 15 + [Word(0, negative=True, finish=True)]
    signs = np.ones(16, int)
    signs[15] = 0  # added at last and subtracted again
    signs[0] = 0  # not visited
    ((_, total),) = walk(words, CODES, layout=window(4, 0, elements))
    assert total == int((signs * np.array(CODES[:16])).sum())


@pytest.mark.parametrize("code", [U1, S1, U4, U8, S8], ids=str)
def test_every_code_with_either_sign(code: ActivationType) -> None:
    for value in range(code.min, code.max + 1, max(1, (code.max - code.min) // 15)):
        codes = [value] * 16
        assert walk([Word(1, finish=True)], codes, code=code, acc_width=9) == [(FINISHED, value)]
        assert walk([Word(1, negative=True, finish=True)], codes, code=code, acc_width=9) == [(FINISHED, -value)]


def test_partial_sums_may_wrap() -> None:
    words = [Word(0), Word(0), Word(0), Word(0, negative=True), Word(0, negative=True, finish=True)]
    assert walk(words, [15] * 16, acc_width=5) == [(4 + FINISHED, 15)]  # 45 does not fit 5 bits
    assert walk([Word(0, negative=True, finish=True)], [-128] * 16, code=S8, acc_width=8) == [
        (FINISHED, -128)
    ]  # 128 wraps


def test_the_sum_stays_until_the_next() -> None:
    words = [Word(3), Word(4, finish=True), None, None, Word(2), Word(1, negative=True, finish=True)]
    assert walk(words, CODES, start=1) == [(1 + FINISHED, CODES[4] + CODES[8]), (5 + FINISHED, CODES[10] - CODES[11])]


@pytest.mark.parametrize("elements", [1, 2, 8])
def test_no_multiplier_chooses_an_element(elements: int) -> None:
    """Codes of 3 bits, since a multiplication by a power of two hides in a shift."""
    lane = Lane(
        word_format=WordFormat(lanes=1, run_width=3, extended=False),
        window=window(6, 0, elements),
        start=0,
        activation=ActivationType(3, False),
        elements=elements,
        acc_width=8,
    )
    cells = set(re.findall(r"^\s*cell (\$\w+)", rtlil.convert(lane), re.M))
    assert "$add" in cells
    assert cells.isdisjoint({"$mul", "$div", "$mod", "$divfloor", "$modfloor", "$pow"})
