"""Packets between host and board (docs/protocol.md): their kinds, their bytes, and what a board says of itself."""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sterna.net.errors import InvalidValueError

#: Version of the protocol.
VERSION = 1
#: Begins the registers.
MAGIC = b"STRN"
#: Bytes of a body, at most: with more, COBS would need a second code byte.
MAX_BODY = 253
#: Bytes before the payload, and of the CRC behind it.
HEADER, CRC = 3, 4
#: Bytes that a data packet carries, at most; one more says how many.
MAX_DATA = MAX_BODY - HEADER - 1 - CRC
#: Bytes of results that a result packet carries, at most; behind them come two that say how things stand.
MAX_RESULTS = MAX_BODY - HEADER - 2 - CRC
#: Bits of a result packet's last byte that say how many slots are free; above them: it answers, send again.
FREE_BITS, ANSWER, AGAIN = 6, 0x40, 0x80
#: Slots of a board, at most.
MAX_SLOTS = 32
#: The session of a board that has none.
NO_SESSION = 0

#: Bytes of a page of registers, and pages; of a board that takes networks, more.
PAGE, PAGES, LOAD_PAGES = 32, 4, 16
#: The counters in the order of their bytes, and how many each has; the address of the first one.
COUNTERS: Mapping[str, int] = {"turns": 4, "frames": 4, "damaged": 2, "framing": 2, "refused": 2}
COUNTERS_AT = 96
#: Clock cycles of a turn.
TURN = 32
#: The page with the digest of the network that answers; behind it one that nobody needs to know; from here on, the
#: number of the design's bytes in so many bytes, and they.
DIGEST_PAGE, DESIGN_PAGE = 4, 6
_LENGTH = 2
#: Bytes of a digest, and of a design, at most.
DIGEST = 32
MAX_DESIGN = (LOAD_PAGES - DESIGN_PAGE) * PAGE - _LENGTH
#: The digest of a board that waits for its network.
NOTHING = bytes(DIGEST).hex()

_INFO = struct.Struct("<4sBBBBIH2x32s")
_PORT = struct.Struct("<BBBBI3I")
_LOAD = struct.Struct("<II")
#: Bytes of a design's tag, before a compiled load.
TAG = 4
_LOADS, _KEEPS = 1, 2
_COUNTERS = struct.Struct("<IIHHH")
_SIGNED, _ARGMAX = 1, 2
_MAX_SIDES = 3


class Kind(enum.IntEnum):
    """The first byte of a body: what a host sends, and from 128 on, what a board sends."""

    OPEN = 1
    DATA = 2
    POLL = 3
    READ = 4
    LOAD = 5
    LOAD_LAST = 6
    RESULT = 0x81
    REGISTERS = 0x84


@dataclass(frozen=True)
class Packet:
    """A body without its CRC; ``session`` and ``sequence`` are 0 to 255."""

    kind: int
    session: int
    sequence: int
    payload: bytes = b""

    def to_wire(self) -> bytes:
        """What a host sends, with the zero byte at its end."""
        body = bytes((self.kind, self.session, self.sequence)) + self.payload
        return stuff(body + zlib.crc32(body).to_bytes(CRC, "little")) + b"\0"

    @classmethod
    def from_wire(cls, stuffed: bytes) -> Packet | None:
        """The packet in what a board sent before a zero byte, stuffed backwards; ``None`` if it is none, or damaged."""
        turned = unstuff(stuffed[::-1])
        body = None if turned is None else turned[::-1]
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
        """20 bytes, as in the registers."""
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
class Loading:
    """How a board takes other networks.

    Attributes
    ----------
    keeps : bool
        The old network answers until the new one is whole; else none does meanwhile, and none at the start.
    size : int
        Bytes of a load, without the digest before them.
    design : bytes
        What networks are compiled for, as :func:`sterna.hw.load_stream` wants it; at most ``MAX_DESIGN``.

    Raises
    ------
    ValueError
        If the design is too long.
    """

    keeps: bool
    size: int
    design: bytes

    @property
    def tag(self) -> int:
        """Tells the design from others: its CRC-32."""
        return zlib.crc32(self.design)

    def __post_init__(self) -> None:
        if len(self.design) > MAX_DESIGN:
            raise InvalidValueError(
                f"a board's registers have room for {MAX_DESIGN} bytes of a design, not for {len(self.design)}: load "
                "fewer layers"
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
        Of the network that the bitstream was made of, 64 hexadecimal digits.
    input, output : Port
    load : Loading or None
        ``None``: it computes that network and no other.
    """

    slots: int
    clock_hz: int
    divider: int
    digest: str
    input: Port
    output: Port
    load: Loading | None = None

    @property
    def baud(self) -> float:
        """Bits a second."""
        return self.clock_hz / self.divider

    def to_bytes(self) -> bytes:
        """What stands in the registers before the counters."""
        flags = 0 if self.load is None else _LOADS | self.load.keeps * _KEEPS
        head = (MAGIC, VERSION, self.slots, MAX_DATA, flags, self.clock_hz, self.divider, bytes.fromhex(self.digest))
        load = (0, 0) if self.load is None else (self.load.size, self.load.tag)
        return _INFO.pack(*head) + self.input.to_bytes() + self.output.to_bytes() + _LOAD.pack(*load)

    def load_pages(self) -> bytes | None:
        """What stands behind the counters' page when the board starts, if there are pages behind it."""
        if self.load is None:
            return None
        digests = bytes.fromhex(self.digest) * self.load.keeps
        design = len(self.load.design).to_bytes(_LENGTH, "little") + self.load.design
        return digests.ljust((DESIGN_PAGE - DIGEST_PAGE) * PAGE, b"\0") + design

    @classmethod
    def read(cls, page: Callable[[int], bytes]) -> Info:
        """What a board's registers say.

        Parameters
        ----------
        page : function of int
            Gives a page.

        Raises
        ------
        ValueError
            If it is no board, or of another version.
        """
        registers = page(0)
        if registers[: len(MAGIC)] != MAGIC:
            raise InvalidValueError("what answers is no board of Sterna's")
        if registers[4] != VERSION:
            raise InvalidValueError(
                f"the board speaks version {registers[4]} of the protocol, and this Sterna version {VERSION}: make its "
                "bitstream again"
            )
        registers += page(1) + page(2)
        _, _, slots, _, flags, clock_hz, divider, digest = _INFO.unpack_from(registers)
        first, second = _INFO.size, _INFO.size + _PORT.size
        load = None
        if flags & _LOADS:
            size, _ = _LOAD.unpack_from(registers, second + _PORT.size)
            load = Loading(keeps=bool(flags & _KEEPS), size=size, design=_design(page))
        return cls(
            slots=slots,
            clock_hz=clock_hz,
            divider=divider,
            digest=digest.hex(),
            input=Port.from_bytes(registers[first:second]),
            output=Port.from_bytes(registers[second : second + _PORT.size]),
            load=load,
        )


def _design(page: Callable[[int], bytes]) -> bytes:
    """The design in a board's pages."""
    found = page(DESIGN_PAGE)
    length = int.from_bytes(found[:_LENGTH], "little")
    for number in range(1, -(-(_LENGTH + length) // PAGE)):
        found += page(DESIGN_PAGE + number)
    return found[_LENGTH : _LENGTH + length]


@dataclass(frozen=True, kw_only=True)
class Counters:
    """What a board counted since its bitstream was loaded, each modulo a power of two.

    Attributes
    ----------
    turns : int
        Clock cycles / ``TURN``, modulo 2^32.
    frames : int
        Frames whose whole result was sent, modulo 2^32.
    damaged, framing, refused : int
        Packets that were damaged, bytes without a stop bit, and packets of an unknown kind, of another session, out of
        sequence or without room, modulo 2^16.
    """

    turns: int
    frames: int
    damaged: int
    framing: int
    refused: int

    @property
    def cycles(self) -> int:
        """Clock cycles, up to a turn, modulo 2^37."""
        return self.turns * TURN

    @classmethod
    def from_bytes(cls, page: bytes) -> Counters:
        """From the page of the registers that begins with the counters."""
        return cls(**dict(zip(COUNTERS, _COUNTERS.unpack(page[: _COUNTERS.size]), strict=True)))
