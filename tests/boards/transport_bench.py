"""What the tests of the transport share: an own reading of docs/protocol.md, written apart from `sterna.boards`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any


def crc32(content: bytes) -> int:
    """CRC-32 by long division of polynomials over GF(2), highest power first, as a textbook has it."""
    bits = [octet >> place & 1 for octet in content for place in range(8)] + [0] * 32
    for place in range(32):
        bits[place] ^= 1
    divisor = [1, *(0x04C11DB7 >> place & 1 for place in range(31, -1, -1))]
    for place in range(len(bits) - 32):
        if bits[place]:
            for k, bit in enumerate(divisor):
                bits[place + k] ^= bit
    return sum((bit ^ 1) << place for place, bit in enumerate(bits[-32:]))


def stuffed(body: bytes) -> bytes:
    """COBS by its definition: the code of a byte's block is the distance to the next zero, or to the end."""
    line = bytearray()
    padded = b"\0" + body + b"\0"
    for place, octet in enumerate(padded[:-1]):
        line.append(octet or padded.index(0, place + 1) - place)
    return bytes(line)


def body(kind: int, session: int, sequence: int, payload: bytes = b"") -> bytes:
    """A body with its CRC."""
    content = bytes((kind, session, sequence)) + payload
    return content + crc32(content).to_bytes(4, "little")


def to_board(kind: int, session: int, sequence: int, payload: bytes = b"") -> bytes:
    """What a host sends for a packet."""
    return stuffed(body(kind, session, sequence, payload)) + b"\0"


def data(session: int, sequence: int, carried: bytes) -> bytes:
    """A data packet."""
    return to_board(2, session, sequence, bytes((len(carried),)) + carried)


def from_board(line: bytes) -> bytes | None:
    """The body, without its CRC, of the bytes before a zero byte; ``None`` if it is damaged."""
    turned = list(reversed(line))
    out: list[int] = []
    place = 0
    while place < len(turned):
        length = turned[place]
        piece = turned[place + 1 : place + length]
        if len(piece) != length - 1:
            return None
        out += piece
        place += length
        if place < len(turned):
            out.append(0)
    found = bytes(reversed(out))
    if len(found) < 7 or crc32(found[:-4]) != int.from_bytes(found[-4:], "little"):
        return None
    return found[:-4]


def bodies(seed: int) -> Iterator[bytes]:
    """Corners, then random bodies of 1 to 253 bytes, with few and with many zeros."""
    yield from (b"\0", b"\1", b"\0\0", b"\1\0", b"\0\1", b"\xff", bytes(253), bytes(range(1, 254)), b"\xff" * 253)
    rng = random.Random(seed)
    for length in (1, 2, 3, 7, 20, 100, 252, 253):
        for zeros in (0.0, 0.1, 0.5, 0.9):
            yield bytes(0 if rng.random() < zeros else rng.randrange(256) for _ in range(length))


async def send_uart(ctx: Any, rx: Any, line: bytes, divider: int) -> None:
    """Bytes on a pin, bit by bit."""
    for octet in line:
        for bit in (0, *(octet >> place & 1 for place in range(8)), 1):
            ctx.set(rx, bit)
            await ctx.tick().repeat(divider)
