# amaranth: UnusedElaboratable=no
"""The transport between pins and streams: every byte of every packet against an own reading of docs/protocol.md."""

from __future__ import annotations

import random
from typing import Any

import pytest
from bench import run
from transport_bench import Bench, data, to_board

from sterna.boards.packets import Info, Port
from sterna.boards.transport.beats import BeatReader, BeatWriter
from sterna.boards.transport.registers import Registers

INFO = Info(
    slots=2,
    clock_hz=12_000_000,
    divider=4,
    digest="00ff" * 16,
    input=Port(element_width=4, signed=False, bytes_per_element=1, elements_per_beat=2, shape=(3,)),
    output=Port(element_width=9, signed=True, bytes_per_element=2, elements_per_beat=1, shape=(2,)),
)
#: The registers of that board, by the tables of docs/protocol.md.
CONSTANTS = (
    b"STRN\x01\x02\xf5\x00" + bytes.fromhex("001bb700 0400 0000") + bytes.fromhex("00ff" * 16)
    + bytes.fromhex("04000101 02000000 03000000 00000000 00000000")
    + bytes.fromhex("09010201 01000000 02000000 00000000 00000000")
)  # fmt: skip


def frame(first: int, second: int) -> bytes:
    """A frame's bytes: two beats of two elements."""
    return first.to_bytes(2, "little") + second.to_bytes(2, "little")


def result(first: int, second: int) -> bytes:
    """The bytes of its result."""
    return ((first + second) & 0xFFFF).to_bytes(2, "little") + ((first - second) & 0xFFFF).to_bytes(2, "little")


def results(packets: list[bytes], session: int) -> bytes:
    """What the RESULT packets of a session carry; their numbers have to follow each other."""
    carried = bytearray()
    mine = [packet for packet in packets if packet[0] == 0x81 and packet[1] == session]
    assert [packet[2] for packet in mine] == [k % 256 for k in range(len(mine))]
    for packet in mine:
        carried += packet[3:-2]
    return bytes(carried)


OPEN = to_board(1, 5, 0)


@pytest.mark.parametrize(("giving", "taking"), [(1.0, 1.0), (0.05, 0.3), (0.3, 0.05)])
def test_frames_and_their_results_cross_packets(giving: float, taking: float) -> None:
    rng = random.Random(3)
    frames = [(rng.choice((0, rng.randrange(1 << 16))), rng.randrange(1 << 16)) for _ in range(12)]
    stream = b"".join(frame(*pair) for pair in frames)
    cuts = [0, 1, 3, 30, 30, len(stream)]
    packets = [data(5, k, stream[cuts[k] : cuts[k + 1]]) for k in range(5)]
    bench = Bench(INFO, giving=giving, taking=taking)
    found = bench.run(OPEN, 800, *(part for packet in packets for part in (packet, 300)), 4500)
    assert bench.frames == frames
    assert bench.resets == 1
    assert results(found, 5) == b"".join(result(*pair) for pair in frames)
    assert found[0] == bytes((0x81, 5, 0, 0, 0x42))
    assert found[-1][-2] == 5
    assert found[-1][-1] & 0x3F == 2
    assert not any(packet[-1] & 0x80 for packet in found), "nothing was refused"


def test_what_is_refused_is_said_with_what_comes_next() -> None:
    bench = Bench(INFO)
    bad = bytearray(data(5, 0, frame(1, 2)))
    bad[4] ^= 8
    found = bench.run(OPEN, 900, bytes(bad), 900, data(5, 1, frame(3, 4)), 900, data(5, 0, frame(5, 6)), 2500)
    assert [packet[-2:] for packet in found[:3]] == [b"\0\x42", b"\0\x82", b"\0\x82"]
    assert bench.frames == [(5, 6)]
    assert results(found, 5) == result(5, 6)
    assert (found[-1][-2], found[-1][-1] & 0xBF) == (1, 2)


def test_a_poll_is_answered_in_any_state() -> None:
    bench = Bench(INFO)
    half = data(5, 0, frame(1, 2)[:3])
    found = bench.run(to_board(3, 99, 1), 700, OPEN, 700, half, 1500, to_board(3, 0, 0), 900)
    assert [packet[1] for packet in found][:2] == [0, 5]
    assert found[0][-1] == 0x42
    assert found[-1][-2:] == b"\1\x42"
    assert results(found, 5) == b""


def test_a_new_session_ends_the_packet_that_was_begun() -> None:
    bench = Bench(INFO, giving=0.01)
    many = data(5, 0, frame(7, 9) * 20)
    found = bench.run(OPEN, 800, many, 1600, to_board(1, 6, 0), 1500, data(6, 0, frame(1, 1)), 3000)
    assert bench.resets == 2
    assert results(found, 6) == result(1, 1)
    assert (result(7, 9) * 20).startswith(results(found, 5))
    first = next(packet for packet in found if packet[1] == 6)
    assert first == bytes((0x81, 6, 0, 0, 0x42))


def test_registers_are_whole_pages_whatever_is_asked_meanwhile() -> None:
    bench = Bench(INFO)
    reads = [to_board(4, 0, page) for page in range(4)]
    found = bench.run(
        reads[0], 100, reads[1], reads[2], reads[3], to_board(3, 0, 2), 4500, b"\1", b"\0", reads[3], 2600
    )
    pages = [packet for packet in found if packet[0] == 0x84]
    constants = CONSTANTS.ljust(96, b"\0")
    for packet in pages:
        assert len(packet) == 35
        if packet[2] < 3:
            assert packet[3:] == constants[32 * packet[2] : 32 * packet[2] + 32]
    assert (pages[0][2], pages[-1][2]) == (0, 3)
    assert len(CONSTANTS) == 88


def test_counters_count() -> None:
    bench = Bench(INFO, giving=1.0, taking=1.0)
    bad = bytearray(OPEN)
    bad[2] ^= 1
    stream = data(5, 0, frame(1, 2) * 3) + data(5, 7, b"x") + to_board(9, 5, 0) + bytes(bad)
    read = to_board(4, 5, 3)
    found = bench.run(OPEN, 800, stream, 2500, read, 2600, read, 2600)
    first, second = (packet[3:] for packet in found if packet[0] == 0x84)
    counted = [int.from_bytes(first[at : at + size], "little") for at, size in ((4, 4), (8, 2), (10, 2), (12, 2))]
    assert counted == [3, 1, 0, 2]
    cycles = [int.from_bytes(page[:4], "little") * 32 for page in (first, second)]
    assert abs(cycles[1] - cycles[0] - (2600 + 40 * len(read))) <= 2 * 32 * 20


def test_a_counter_carries_and_an_event_counts_once() -> None:
    registers = Registers(constants=bytes(range(88)))
    pages: list[bytes] = []

    async def bench(ctx: Any) -> None:
        for number in range(300):
            ctx.set(registers.events, 0b0101 if number % 3 == 0 else 0b0100)
            await ctx.tick()
            ctx.set(registers.events, 0)
            await ctx.tick().repeat(31 + number % 2)
        for page in (0, 3, 2):
            ctx.set(registers.page, page)
            ctx.set(registers.start, 1)
            await ctx.tick()
            ctx.set(registers.start, 0)
            read = bytearray()
            while len(read) < 32:
                if ctx.get(registers.o.valid):
                    await ctx.tick().repeat(1 + len(read) % 5 * 20)
                    assert ctx.get(registers.o_last) == (len(read) == 31)
                    read.append(ctx.get(registers.o.payload))
                    ctx.set(registers.o.ready, 1)
                    await ctx.tick()
                    ctx.set(registers.o.ready, 0)
                else:
                    await ctx.tick()
            pages.append(bytes(read))

    run(registers, bench)
    assert pages[0] == bytes(range(32))
    assert pages[2] == bytes(range(64, 88)) + bytes(8)
    turns, frames = (int.from_bytes(pages[1][at : at + 4], "little") for at in (0, 4))
    damaged, framing, refused = (int.from_bytes(pages[1][at : at + 2], "little") for at in (8, 10, 12))
    assert (frames, damaged, framing, refused) == (100, 0, 300, 0)
    assert 300 <= turns < 300 + 40 * 8
    with pytest.raises(ValueError, match="there is room for 96 bytes of constants, not for 97"):
        Registers(constants=bytes(97))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_beats_and_bytes(size: int, stall: float) -> None:
    writer, reader, coin = BeatWriter(beat_bytes=size, beats=3), BeatReader(beat_bytes=size), random.Random(size)
    sent = [coin.randrange(256) for _ in range(size * 9)]
    beats: list[tuple[int, int]] = []
    back: list[int] = []
    lasts: list[int] = []

    async def write(ctx: Any) -> None:
        left, offered = list(sent), False
        while left:
            offered = offered or coin.random() >= stall
            ctx.set(writer.i.valid, offered)
            ctx.set(writer.i.payload, left[0] if offered else 0)
            ctx.set(writer.tready, coin.random() >= stall)
            _, _, ready, moves, last, value = await ctx.tick().sample(
                writer.i.ready, writer.tvalid & writer.tready, writer.tlast, writer.tdata
            )
            if moves:
                beats.append((value, last))
            if offered and ready:
                left.pop(0)
                offered = False

    async def read(ctx: Any) -> None:
        left = list(beats)
        while len(back) < len(sent):
            ctx.set(reader.tvalid, bool(left))
            ctx.set(reader.tdata, left[0][0] if left else 0)
            ctx.set(reader.tlast, left[0][1] if left else 0)
            ctx.set(reader.o.ready, coin.random() >= stall)
            _, _, moves, octet, last, taken = await ctx.tick().sample(
                reader.o.valid & reader.o.ready, reader.o.payload, reader.o_last, reader.tready
            )
            if moves:
                back.append(octet)
                lasts.append(last)
            if taken and left:
                left.pop(0)

    run(writer, write)
    assert [value for value, _ in beats] == [
        int.from_bytes(bytes(sent[at : at + size]), "little") for at in range(0, len(sent), size)
    ]
    assert [last for _, last in beats] == [0, 0, 1] * 3
    run(reader, read)
    assert back == sent
    assert lasts == ([0] * (3 * size - 1) + [1]) * 3
