"""CRC and COBS in hardware and in the host, against a reading of their definitions that shares nothing with them."""

from __future__ import annotations

from typing import Any

import pytest
from bench import run
from transport_bench import bodies, body, crc32, from_board, stuffed, to_board

from sterna.boards.packets import Kind, Packet, Splitter, stuff, unstuff
from sterna.boards.transport.cobs import CobsDecoder, CobsEncoder
from sterna.boards.transport.crc import Crc32

#: Values that others publish: the check value of CRC-32, and those of RFC 3720 are of another polynomial.
VECTORS = {b"123456789": 0xCBF43926, b"": 0, b"a": 0xE8B7BE43, b"abc": 0x352441C2, bytes(32): 0x190A55AD}
#: Examples of Cheshire and Baker's paper and of its usual implementations.
COBS = {
    b"\0": b"\1\1",
    b"\0\0": b"\1\1\1",
    b"\x11\x22\x00\x33": b"\x03\x11\x22\x02\x33",
    b"\x11\x22\x33\x44": b"\x05\x11\x22\x33\x44",
    b"\x11\0\0\0": b"\x02\x11\x01\x01\x01",
}


def test_the_reference_is_right() -> None:
    assert {content: crc32(content) for content in VECTORS} == VECTORS
    assert {content: stuffed(content) for content in COBS} == COBS


@pytest.mark.parametrize("content", [*VECTORS, b"\xff" * 40])
def test_the_crc_of_bits(content: bytes) -> None:
    crc = Crc32()
    sent = bytearray()

    async def bench(ctx: Any) -> None:
        for _ in range(2):  # once more, after what was before
            ctx.set(crc.clear, 1)
            ctx.set(crc.step, 1)
            await ctx.tick()
            ctx.set(crc.clear, 0)
            for octet in content:
                for place in range(8):
                    ctx.set(crc.bit, octet >> place & 1)
                    ctx.set(crc.step, 1)
                    await ctx.tick()
                    ctx.set(crc.step, 0)
                    ctx.set(crc.bit, 1)
                    await ctx.tick().repeat(place % 3 + 1)
            assert ctx.get(crc.value) == crc32(content)
        ctx.set(crc.step, 1)
        ctx.set(crc.shift, 1)
        for _ in range(4):
            sent.append(ctx.get(crc.value) & 255)
            for place in range(8):
                ctx.set(crc.bit, place & 1)
                await ctx.tick()

    run(crc, bench)
    assert int.from_bytes(sent, "little") == crc32(content)


def decoded(line: bytes) -> list[tuple[bytes, bool]]:
    """What a decoder makes of a line: the bytes between its zeros, and whether it takes each for complete."""
    decoder, found, now = CobsDecoder(), [], bytearray()

    async def bench(ctx: Any) -> None:
        for number, octet in enumerate(line):
            ctx.set(decoder.data, octet)
            gives, inside = ctx.get(decoder.gives), ctx.get(decoder.inside)
            ctx.set(decoder.valid, 0)
            await ctx.tick().repeat(number % 3 + 1)
            ctx.set(decoder.valid, 1)
            assert ctx.get(decoder.o_valid) == (gives and octet != 0)
            if ctx.get(decoder.o_valid):
                assert ctx.get(decoder.o_data) == (octet if inside else 0)
                now.append(ctx.get(decoder.o_data))
            if ctx.get(decoder.end):
                found.append((bytes(now), not inside))
                now.clear()
            await ctx.tick()

    run(decoder, bench)
    return found


def test_the_decoder_undoes_cobs() -> None:
    wanted = list(bodies(1))
    line = b"".join(stuffed(each) + b"\0" for each in wanted)
    assert decoded(line) == [(each, True) for each in wanted]


def test_the_decoder_sees_a_cut_and_goes_on() -> None:
    whole = stuffed(b"\1\2\0\3\4\5")
    assert decoded(whole[:-2] + b"\0" + whole + b"\0") == [(b"\1\2\0\3", False), (b"\1\2\0\3\4\5", True)]
    assert decoded(b"\0\0" + whole + b"\0") == [(b"", True), (b"", True), (b"\1\2\0\3\4\5", True)]


def test_the_encoder_stuffs_backwards() -> None:
    encoder, line = CobsEncoder(), bytearray()
    wanted = list(bodies(2))

    async def put(ctx: Any, octet: int, *, end: bool = False) -> None:
        ctx.set(encoder.data, octet)
        ctx.set(encoder.end, end)
        ctx.set(encoder.taken, 0)
        await ctx.tick().repeat(octet % 3 + 1)
        ctx.set(encoder.taken, 1)
        line.append(ctx.get(encoder.o_data))
        await ctx.tick()

    async def bench(ctx: Any) -> None:
        for each in wanted:
            for octet in each:
                await put(ctx, octet)
            await put(ctx, 0)
            await put(ctx, 0, end=True)

    run(encoder, bench)
    assert bytes(line) == b"".join(stuffed(each[::-1])[::-1] + b"\0" for each in wanted)


def test_the_host_stuffs_and_undoes() -> None:
    for each in bodies(3):
        assert stuff(each) == stuffed(each)
        assert unstuff(stuffed(each)) == each
    assert [unstuff(line) for line in (b"", b"\3\1", b"\0\1", b"\2")] == [None] * 4
    with pytest.raises(ValueError, match="a body has at most 253 bytes, not 254"):
        stuff(bytes(254))


def test_the_hosts_packets() -> None:
    packet = Packet(Kind.DATA, 7, 255, b"\0\1\0")
    assert packet.to_wire() == to_board(2, 7, 255, b"\0\1\0")
    answer = body(0x81, 7, 3, b"\0\5\0\2\x42")
    line = stuffed(answer[::-1])[::-1] + b"\0"
    assert from_board(line[:-1]) == answer[:-4]
    splitter = Splitter()
    chunks = [b"\0", line[:4], line[4:], b"\0" + line + line[:3] + b"\0", line[:-1]]
    found = [packet for chunk in chunks for packet in splitter.feed(chunk)]
    good = Packet(0x81, 7, 3, b"\0\5\0\2\x42")
    assert found == [good, good, None]
    splitter.clear()
    assert list(splitter.feed(line)) == [good]


def test_every_flipped_bit_of_a_packet_is_seen() -> None:
    answer = body(0x81, 7, 3, b"\0\5\0\2\x42")
    line = stuffed(answer[::-1])[::-1]
    for place in range(len(line)):
        for bit in range(8):
            broken = bytearray(line)
            broken[place] ^= 1 << bit
            assert Packet.from_wire(bytes(broken)) is None
