"""Streams of numbers of a fixed number of bits, packed into bytes from the lowest bit on."""

from __future__ import annotations

import numpy as np

from sterna.net.errors import InvalidValueError

_BLOCK = 1 << 20  # numbers at a time; a multiple of 8, so that every block ends with a byte


def packed_bytes(count: int, width: int) -> int:
    """Bytes that ``count`` numbers of ``width`` bits take."""
    return -(-count * width // 8)


def pack(numbers: np.ndarray, width: int) -> np.ndarray:
    """Numbers as a stream of bits, the lowest bit of each first; bits left over in the last byte are 0.

    Parameters
    ----------
    numbers : unsigned, (count,), below 2^width
    width : :class:`int`
        Bits a number, 0 to 32.

    Returns
    -------
    uint8, (packed_bytes(count, width),)
    """
    shifts = np.arange(width, dtype=np.uint32)
    packed = [np.zeros(0, dtype=np.uint8)]
    for start in range(0, len(numbers) if width else 0, _BLOCK):
        block = numbers[start : start + _BLOCK].astype(np.uint32)
        bits = ((block[:, None] >> shifts) & np.uint32(1)).astype(np.uint8)
        packed.append(np.packbits(bits, bitorder="little"))
    return np.concatenate(packed)


def unpack(stream: np.ndarray, width: int, count: int) -> np.ndarray:
    """:func:`pack` undone: uint32, (count,)."""
    numbers = np.zeros(count, dtype=np.uint32)
    weights = (np.uint32(1) << np.arange(width, dtype=np.uint32)).astype(np.uint32)
    for start in range(0, count if width else 0, _BLOCK):
        stop = min(start + _BLOCK, count)
        part = stream[start * width // 8 : packed_bytes(stop, width)]
        bits = np.unpackbits(part, count=(stop - start) * width, bitorder="little").reshape(-1, width)
        numbers[start:stop] = (bits * weights).sum(axis=1, dtype=np.uint32)
    return numbers


def check_packed(stream: np.ndarray, width: int, count: int, what: str) -> None:
    """:exc:`ValueError` unless the stream has the length of ``count`` numbers, and zeros in the bits left over."""
    wanted = packed_bytes(count, width)
    if len(stream) != wanted:
        raise InvalidValueError(
            f"{what} must have {wanted} bytes for {count} numbers of {width} bits, not {len(stream)}"
        )
    used = count * width % 8
    if used and int(stream[-1]) >> used:
        raise InvalidValueError(f"{what} must end in bits that are 0, not in the byte {int(stream[-1])}")


def words(stream: np.ndarray) -> np.ndarray:
    """The stream as little-endian uint64, with at least one word of zeros behind its end."""
    padded = np.zeros(len(stream) // 8 + 2, dtype="<u8")
    padded.view(np.uint8)[: len(stream)] = stream
    return padded.astype(np.uint64)
