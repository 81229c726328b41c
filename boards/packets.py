"""Packets between host and board (docs/protocol.md): their kinds, their bytes, and what a board says of itself."""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sterna.net.errors import InvalidValueError

#: Version of the protocol.
VERSION = 1
#: Begins an info packet's payload.
MAGIC = b"STRN"
#: Bytes of a body, at most: with more, COBS would need a second code byte.
MAX_BODY = 253
#: Bytes before the payload, and of the CRC behind it.
HEADER, CRC = 3, 4
#: Bytes of a data packet's payload, at most.
MAX_DATA = MAX_BODY - HEADER - CRC
#: Bits of a result packet's last byte that say how many slots are free; above them: it answers, send again.
FREE_BITS, ANSWER, AGAIN = 6, 0x40, 0x80
#: Slots of a board, at most.
MAX_SLOTS = 32
#: The session of a board that has none.
NO_SESSION = 0

#: The counters in the order in which they are sent, and the bytes of each.
COUNTERS: Mapping[str, int] = {"cycles": 4, "frames": 2, "damaged": 1, "framing": 1, "refused": 1}

_INFO = struct.Struct("<4sBBBBIH2x32s")
_PORT = struct.Struct("<BBBBI3I")
_COUNTERS = struct.Struct("<IHBBB")
_SIGNED, _ARGMAX = 1, 2
_MAX_SIDES = 3


class Kind(enum.IntEnum):
    """The first byte of a body: what a host sends, and from 128 on, what a board sends."""

    OPEN = 1
    DATA = 2
    POLL = 3
    INFO = 4
    COUNTERS = 5
    RESULT = 0x81
    BOARD_INFO = 0x84
    BOARD_COUNTERS = 0x85


@dataclass(frozen=True)
class Packet:
    """A body without its CRC; ``session`` and ``sequence`` are 0 to 255."""

    kind: int
    session: int
    sequence: int
    payload: bytes = b""

    def to_wire(self) -> bytes:
        """What goes over the line, with the zero byte at its end."""
        body = bytes((self.kind, self.session, self.sequence)) + self.payload
        return stuff(body + zlib.crc32(body).to_bytes(CRC, "little")) + b"\0"

    @classmethod
    def from_wire(cls, stuffed: bytes) -> Packet | None:
        """The packet in the bytes before a zero byte; ``None`` if they are none, or damaged."""
        body = unstuff(stuffed)
        if body is None or not HEADER + CRC <= len(body) <= MAX_BODY:
            return None
        content = body[:-CRC]
        if zlib.crc32(content).to_bytes(CRC, "little") != body[-CRC:]:
            return None
        return cls(content[0], content[1], content[2], content[HEADER:])


def stuff(body: bytes) -> bytes:
    """COBS without the zero byte at the end; ``body`` of at most ``MAX_BODY`` bytes."""
    if len(body) > MAX_BODY:
        raise InvalidValueError(f"a body has at most {MAX_BODY} bytes, not {len(body)}")
    return b"".join(bytes((len(block) + 1,)) + block for block in body.split(b"\0"))


def unstuff(stuffed: bytes) -> bytes | None:
    """The body of COBS bytes without a zero; ``None`` if they end in the middle of a block, or are none."""
    blocks, place = [], 0
    while place < len(stuffed):
        end = place + stuffed[place]
        if end > len(stuffed) or end == place:
            return None
        blocks.append(stuffed[place + 1 : end])
        place = end
    return b"\0".join(blocks) if blocks else None


class Splitter:
    """Cuts what comes over a line at its zero bytes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Packet | None]:
        """The packets that a chunk of bytes ends, ``None`` for each damaged one; nothing between two zeros is none."""
        self._rest += chunk
        *ended, self._rest = self._rest.split(b"\0")
        for stuffed in ended:
            if stuffed:
                yield Packet.from_wire(bytes(stuffed))

    def clear(self) -> None:
        """Forgets the start of a packet."""
        self._rest.clear()


@dataclass(frozen=True, kw_only=True)
class Port:
    """One stream of an accelerator, as NAME.json describes it (docs/hardware.md).

    Attributes
    ----------
    element_width : int
        Bits of an element.
    signed : bool
    bytes_per_element, elements_per_beat : int
    shape : tuple of int
        (features,) or (channels, height, width).
    argmax : bool
        The element is the index of the largest score.
    """

    element_width: int
    signed: bool
    bytes_per_element: int
    elements_per_beat: int
    shape: tuple[int, ...]
    argmax: bool = False

    @property
    def runs(self) -> int:
        """Runs of elements that begin with a beat of their own: the rows of all channels, or one vector."""
        return self.shape[0] * self.shape[1] if len(self.shape) == _MAX_SIDES else 1

    @property
    def beats(self) -> int:
        """Beats of a frame."""
        return self.runs * -(-self.shape[-1] // self.elements_per_beat)

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat."""
        return self.bytes_per_element * self.elements_per_beat

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame, with the padding of its last beats."""
        return self.beats * self.beat_bytes

    def to_bytes(self) -> bytes:
        """20 bytes, as in an info packet."""
        sides = (*self.shape, *(0 for _ in range(_MAX_SIDES - len(self.shape))))
        flags = self.signed * _SIGNED | self.argmax * _ARGMAX
        head = (self.element_width, flags, self.bytes_per_element, len(self.shape))
        return _PORT.pack(*head, self.elements_per_beat, *sides)

    @classmethod
    def from_bytes(cls, content: bytes) -> Port:
        """The inverse of :meth:`to_bytes`."""
        width, flags, octets, sides, elements, *shape = _PORT.unpack(content)
        return cls(
            element_width=width,
            signed=bool(flags & _SIGNED),
            bytes_per_element=octets,
            elements_per_beat=elements,
            shape=tuple(shape[:sides]),
            argmax=bool(flags & _ARGMAX),
        )


@dataclass(frozen=True, kw_only=True)
class Info:
    """What a board says of itself, the same as long as its bitstream is.

    Attributes
    ----------
    slots : int
        Data packets that its input buffer holds.
    clock_hz : int
        Its clock, in Hz.
    divider : int
        Clocks of a bit on the line.
    digest : str
        Of the network, 64 hexadecimal digits.
    input, output : Port
    """

    slots: int
    clock_hz: int
    divider: int
    digest: str
    input: Port
    output: Port

    @property
    def baud(self) -> float:
        """Bits a second."""
        return self.clock_hz / self.divider

    def to_bytes(self) -> bytes:
        """The payload of an info packet."""
        head = (MAGIC, VERSION, self.slots, MAX_DATA, 0, self.clock_hz, self.divider, bytes.fromhex(self.digest))
        return _INFO.pack(*head) + self.input.to_bytes() + self.output.to_bytes()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Info:
        """The inverse of :meth:`to_bytes`.

        Raises
        ------
        ValueError
            If it is no such payload, or of another version.
        """
        if payload[:4] != MAGIC or len(payload) < _INFO.size:
            raise InvalidValueError("what answers is no board of Sterna's")
        if payload[4] != VERSION or len(payload) != _INFO.size + 2 * _PORT.size:
            raise InvalidValueError(
                f"the board speaks version {payload[4]} of the protocol, and this Sterna version {VERSION}: make its "
                "bitstream again"
            )
        _, _, slots, _, _, clock_hz, divider, digest = _INFO.unpack(payload[: _INFO.size])
        ports = [Port.from_bytes(payload[at : at + _PORT.size]) for at in (_INFO.size, _INFO.size + _PORT.size)]
        return cls(
            slots=slots,
            clock_hz=clock_hz,
            divider=divider,
            digest=digest.hex(),
            input=ports[0],
            output=ports[1],
        )


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What a board counted since its last reset, each modulo a power of two.

    Attributes
    ----------
    cycles : int
        Clock cycles, modulo 2^32.
    frames : int
        Frames whose result left the accelerator, modulo 2^16.
    damaged, framing, refused : int
        Packets that were damaged, bytes without a stop bit, and packets of another session, out of sequence or without
        room, modulo 2^8.
    """

    cycles: int
    frames: int
    damaged: int
    framing: int
    refused: int

    @classmethod
    def from_bytes(cls, payload: bytes) -> Counters:
        """From a counters packet's payload.

        Raises
        ------
        ValueError
            If it is of another length.
        """
        if len(payload) != _COUNTERS.size:
            raise InvalidValueError(f"a counters packet has {_COUNTERS.size} bytes, not {len(payload)}")
        return cls(**dict(zip(COUNTERS, _COUNTERS.unpack(payload), strict=True)))
