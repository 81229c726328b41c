# amaranth: UnusedElaboratable=no
"""Networks that come over the line while frames do: their order, their digests, and what becomes of half a one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from bench import run
from transport_bench import Bench, data, to_board

from sterna.boards.packets import Info, Loading, Port
from sterna.boards.transport.load import LoadWriter
from sterna.boards.transport.registers import Registers

LOAD, LOAD_LAST = 5, 6
OWN = "00ff" * 16
DESIGN = bytes(range(255, 185, -1))
KEEPING = Info(
    slots=2,
    clock_hz=12_000_000,
    divider=4,
    digest=OWN,
    input=Port(element_width=4, signed=False, bytes_per_element=1, elements_per_beat=2, shape=(3,)),
    output=Port(element_width=9, signed=True, bytes_per_element=2, elements_per_beat=1, shape=(2,)),
    load=Loading(keeps=True, size=5, design=DESIGN),
)
ENDING = replace(KEEPING, load=Loading(keeps=False, size=5, design=DESIGN))
FIRST, SECOND = bytes(range(32)), bytes(range(100, 132))
OPEN, AGAIN, READ = to_board(1, 5, 0), to_board(1, 6, 0), to_board(4, 0, 4)


def frames_of(*pairs: tuple[int, int]) -> bytes:
    return b"".join(value.to_bytes(2, "little") for pair in pairs for value in pair)


def results_of(*pairs: tuple[int, int], weight: int = 0) -> bytes:
    return b"".join(
        (value & 0xFFFF).to_bytes(2, "little")
        for first, second in pairs
        for value in (first + second + weight, first - second)
    )


def results(packets: list[bytes], session: int) -> bytes:
    """What the RESULT packets of a session carry."""
    return b"".join(packet[3:-2] for packet in packets if packet[0] == 0x81 and packet[1] == session)


def pages(packets: list[bytes], number: int) -> list[bytes]:
    return [packet[3:] for packet in packets if packet[0] == 0x84 and packet[2] == number]


@pytest.mark.parametrize(("giving", "taking", "loading"), [(1.0, 1.0, 1.0), (0.05, 0.3, 0.05)])
def test_what_was_sent_before_a_load_ends_is_of_the_old_network(giving: float, taking: float, loading: float) -> None:
    rng = random.Random(4)
    pairs = [(rng.randrange(1 << 16), rng.randrange(1 << 16)) for _ in range(9)]
    words, more = bytes((7, 0, 1, 2, 255)), bytes((30, 1, 0, 0, 6))
    packets = [
        data(5, 0, FIRST[:20], LOAD),
        data(5, 1, frames_of(*pairs[:2])),
        data(5, 2, FIRST[20:] + words[:2], LOAD),
        data(5, 3, frames_of(*pairs[2:4])),
        data(5, 4, words[2:], LOAD_LAST),
        data(5, 5, frames_of(*pairs[4:7])),
        data(5, 6, SECOND + more, LOAD_LAST),
        data(5, 7, frames_of(*pairs[7:])),
    ]
    bench = Bench(KEEPING, giving=giving, taking=taking, loading=loading)
    waited = [part for packet in packets for part in (packet, 1500)]
    found = bench.run(READ, 2600, OPEN, 900, *waited, 2000, READ, 2600)
    assert bench.frames == pairs
    assert bench.loads == [(4, words, True), (7, more, True)]
    assert results(found, 5) == (
        results_of(*pairs[:4]) + results_of(*pairs[4:7], weight=7) + results_of(*pairs[7:], weight=30)
    )
    assert pages(found, 4) == [bytes.fromhex(OWN), SECOND]
    assert not any(packet[-1] & 0x80 for packet in found if packet[0] == 0x81), "nothing was refused"


def test_back_to_back_a_load_is_as_fast_as_the_line() -> None:
    bench = Bench(replace(KEEPING, load=Loading(keeps=True, size=240, design=b"")), giving=1, taking=1, loading=1)
    words = random.Random(1).randbytes(240)
    content = FIRST + words
    parts = [content[at : at + 245] for at in range(0, len(content), 245)]
    kinds = [LOAD] * (len(parts) - 1) + [LOAD_LAST]
    packets = [data(5, k, part, kind) for k, (part, kind) in enumerate(zip(parts, kinds, strict=True))]
    found = bench.run(OPEN, 800, b"".join(packets) + data(5, len(parts), frames_of((1, 2))), 1500, READ, 2600)
    assert bench.loads == [(0, words, True)]
    assert results(found, 5) == results_of((1, 2), weight=words[0])
    assert pages(found, 4) == [FIRST]


def test_a_board_says_that_it_has_no_network_until_it_has_one() -> None:
    bench = Bench(ENDING, loading=1.0)
    whole, short = FIRST + bytes((9, 8, 7, 6, 5)), SECOND + bytes(4)
    found = bench.run(
        *(READ, 2700, OPEN, 800),
        *(data(5, 0, whole, LOAD_LAST), 2200, READ, 2700),
        *(data(5, 1, frames_of((3, 4))), 1500),
        *(data(5, 2, SECOND[:1], LOAD), 900, READ, 2700),  # the words of the first one are there still
        *(AGAIN, 900, READ, 2700),
        *(data(6, 0, whole, LOAD_LAST), 2200, READ, 2700),
        *(data(6, 1, short, LOAD_LAST), 2200, READ, 2700),
        *(data(6, 2, SECOND + bytes(5), LOAD_LAST), 2200, READ, 2700),
    )
    assert pages(found, 4) == [bytes(32), FIRST, bytes(32), bytes(32), FIRST, bytes(32), SECOND]
    assert [(right, len(words)) for _, words, right in bench.loads] == [(True, 5), (True, 5), (False, 4), (True, 5)]
    assert results(found, 5) == results_of((3, 4), weight=9)


def test_a_new_session_drops_half_a_load_and_keeps_the_network() -> None:
    bench = Bench(KEEPING)
    words, more = bytes((1, 2, 3, 4, 5)), bytes((6, 7, 8, 9, 10))
    found = bench.run(
        *(OPEN, 800, data(5, 0, FIRST + words, LOAD_LAST), 2200, READ, 2700),
        *(data(5, 1, SECOND + more[:3], LOAD), 2200, AGAIN, 800, READ, 2700),
        *(data(6, 0, frames_of((1, 1))), 1500),
        *(data(6, 1, SECOND + more, LOAD_LAST), 2200, READ, 2700),
    )
    assert bench.loads == [(0, words, True), (1, more, True)]
    assert pages(found, 4) == [FIRST, FIRST, SECOND]
    assert results(found, 6) == results_of((1, 1), weight=1)


def test_a_page_is_of_one_network_though_it_is_sent_while_they_change() -> None:
    bench = Bench(KEEPING, giving=1.0, taking=1.0, loading=1.0)
    found = bench.run(
        *(OPEN, 800, data(5, 0, FIRST + bytes(3), LOAD), 2200),
        *(READ + data(5, 1, bytes(2), LOAD_LAST), 1000),
        *(to_board(3, 0, 0), 2500, READ, 2500),
    )
    order = [(packet[0], packet[2]) for packet in found]
    assert order.index((0x84, 4)) < order.index((0x81, 2)), "the load ends while the page is sent"
    assert pages(found, 4) == [bytes.fromhex(OWN), FIRST]


def test_a_digest_that_is_overwritten_is_read_no_more() -> None:
    bench = Bench(ENDING, giving=1.0, taking=1.0, loading=1.0)
    found = bench.run(
        *(OPEN, 800, data(5, 0, FIRST + bytes(5), LOAD_LAST), 1500),
        *(READ + data(5, 1, SECOND[:9], LOAD), 2500, READ, 2500),
    )
    changing, after = pages(found, 4)
    assert after == bytes(32)
    assert changing == FIRST[: len(changing.rstrip(b"\0"))].ljust(32, b"\0")
    assert changing not in (FIRST, after)


@pytest.mark.parametrize("size", [4, 6])
def test_a_load_of_a_wrong_length_changes_nothing(size: int) -> None:
    bench = Bench(KEEPING)
    found = bench.run(
        *(OPEN, 800, data(5, 0, FIRST + bytes(range(1, size + 1)), LOAD_LAST), 2200, READ, 2700),
        *(data(5, 1, frames_of((2, 3))), 1500, data(5, 2, SECOND + bytes((4,) * 5), LOAD_LAST), 2200, READ, 2700),
    )
    assert [right for *_, right in bench.loads] == [False, True]
    assert pages(found, 4) == [bytes.fromhex(OWN), SECOND]
    assert results(found, 5) == results_of((2, 3))


def test_the_registers_say_how_networks_are_loaded() -> None:
    numbers = (0, 1, 2, 20, 6, 7, 8, 15)
    found = Bench(KEEPING).run(*(part for number in numbers for part in (to_board(4, 0, number), 2500)))
    known = {packet[2]: packet[3:] for packet in found if packet[0] == 0x84}
    assert known[0][7] == 3
    assert known[2][24:28] == (5).to_bytes(4, "little")
    assert known[4] == bytes.fromhex(OWN), "pages are counted modulo 16"
    assert known[6] + known[7] + known[8] == b"\x46\0" + DESIGN + bytes(24)
    assert known[15] == bytes(32)
    assert Info.read(known.__getitem__) == KEEPING
    assert ENDING.to_bytes()[7] == 1


def test_a_board_without_loads_refuses_them_and_has_four_pages() -> None:
    bench = Bench(replace(KEEPING, load=None))
    found = bench.run(OPEN, 800, data(5, 0, FIRST, LOAD), 900, data(5, 0, FIRST, LOAD_LAST), 900, READ, 2700)
    assert [packet[-1] & 0x80 for packet in found if packet[0] == 0x81] == [0, 0x80, 0x80]
    assert pages(found, 0)[0][7] == 0


def test_a_digest_waits_like_the_bytes_behind_it() -> None:
    writer, kept = LoadWriter(), list[tuple[int, int]]()

    async def bench(ctx: Any) -> None:
        ctx.set(writer.i.valid, 1)
        for tready, ready in ((0, 0), (0, 1), (1, 0)):
            ctx.set(writer.tready, tready)
            ctx.set(writer.digest.ready, ready)
            assert ctx.get(writer.digest.valid) == tready
            assert not ctx.get(writer.i.ready)
            assert not ctx.get(writer.tvalid)
            await ctx.tick()
        ctx.set(writer.digest.ready, 1)
        for octet in range(34):
            ctx.set(writer.i.payload, octet)
            assert ctx.get(writer.digest.valid) == (octet < 32)
            assert ctx.get(writer.tvalid) == (octet >= 32)
            kept.append((ctx.get(writer.place), ctx.get(writer.tdata)))
            await ctx.tick()
        ctx.set(writer.i_last, 1)
        assert ctx.get(writer.tlast)
        await ctx.tick()
        assert ctx.get(writer.digest.valid), "the next load begins with its digest"
        assert ctx.get(writer.place) == 0

    run(writer, bench)
    assert kept[:32] == [(k, k) for k in range(32)]


def test_what_does_not_fit_the_registers_is_said() -> None:
    with pytest.raises(ValueError, match="have room for 318 bytes of a design, not for 319: load fewer layers"):
        Loading(keeps=True, size=1, design=bytes(319))
    with pytest.raises(ValueError, match="513 bytes do not fit 16 pages"):
        Registers(constants=b"", more=bytes(385))
