"""A model of a board after docs/protocol.md on a damaging line, in virtual time."""

from __future__ import annotations

import random
from dataclasses import replace

from transport_bench import body, crc32, from_board, stuffed

from sterna.boards.packets import NOTHING, Info, Loading, Port

FRAME, RESULT = 3, 2
INFO = Info(
    slots=2,
    clock_hz=12_000_000,
    divider=12,
    digest="5a" * 32,
    input=Port(element_width=8, signed=False, bytes_per_element=1, elements_per_beat=1, shape=(3,)),
    output=Port(element_width=8, signed=False, bytes_per_element=1, elements_per_beat=1, shape=(2,)),
)


WORDS = 700
KEEPING = replace(INFO, load=Loading(keeps=True, size=WORDS, design=b"design"))
ENDING = replace(INFO, load=Loading(keeps=False, size=WORDS, design=b"design"))


def computed(frame: bytes, network: str = INFO.digest) -> bytes:
    """What the board computes."""
    first = int(network[:2], 16)
    return bytes((sum(frame) + first & 255, frame[0] ^ frame[1] ^ 255 - frame[2]))


class Line:
    """A link to a model of a board; ``rates`` are shares of bytes, or of packets, that faults hit.

    Attributes
    ----------
    now : float
        Seconds, which pass only while the host waits.
    faults : int
    """

    port, baud = "the model", 1_000_000

    def __init__(self, seed: int, info: Info = INFO, **rates: float) -> None:
        self._rng, self.rates = random.Random(seed), rates
        self.info = info
        self.network = NOTHING if info.load and not info.load.keeps else info.digest
        self.loads = 0
        self.now, self.faults = 0.0, 0
        self._in, self._out = bytearray(), bytearray()
        self.reset()
        self.most_waiting = 0

    def reset(self) -> None:
        """The board's reset."""
        self.session = self.expected = self.number = 0
        self._stream, self._results, self._kept = bytearray(), bytearray(), list[tuple[int, bytes]]()
        if getattr(self, "_load", None) and not self._keeps:
            self.network = NOTHING
        self._load = bytearray()
        self._again = False

    @property
    def _keeps(self) -> bool:
        return self.info.load is not None and self.info.load.keeps

    def _fault(self, kind: str) -> bool:
        happens = self._rng.random() < self.rates.get(kind, 0.0)
        self.faults += happens
        return happens

    def _damaged(self, line: bytes) -> bytes:
        made = bytearray()
        for octet in line:
            if self._fault("dropped"):
                continue
            changed = octet ^ 1 << self._rng.randrange(8) if self._fault("flipped") else octet
            made += bytes((changed,)) * (1 + self._fault("doubled"))
        return bytes(made)

    def write(self, data: bytes) -> None:
        """From the host."""
        *packets, self._in = (self._in + self._damaged(data)).split(b"\0")
        for packet in packets:
            if packet:
                self._take(bytes(packet))
        if self._fault("reset"):
            self.reset()

    def read(self, seconds: float) -> bytes:
        """To the host: some of what is there, or time passes."""
        if not self._out:
            self._work()
        if not self._out:
            self.now += seconds
            return b""
        count = self._rng.randrange(1, len(self._out) + 1)
        chunk = bytes(self._out[:count])
        del self._out[:count]
        return chunk

    def _take(self, line: bytes) -> None:
        found = unstuffed(line)
        if found is None:
            self._report(again=True)
            return
        kind, session, sequence, payload = found[0], found[1], found[2], found[3:]
        if kind == 1:
            self.reset()
            self.session = session
            self._report(answer=True)
        elif kind == 3:
            self._report(answer=True)
        elif kind == 4:
            pages = self.info.to_bytes().ljust(128, b"\0") + (self.info.load_pages() or b"").ljust(384, b"\0")
            page = bytes.fromhex(self.network) if sequence == 4 else pages[32 * sequence : 32 * sequence + 32]
            self._send(0x84, self.session, sequence, page)
        elif (
            kind in ((2, 5, 6) if self.info.load else (2,))
            and session == self.session
            and sequence == self.expected
            and len(self._kept) < self.info.slots
        ):
            assert payload[0] == len(payload) - 1
            self.expected = (self.expected + 1) % 256
            self._kept.append((kind, payload[1:]))
            self.most_waiting = max(self.most_waiting, len(self._kept))
            if self._rng.random() < 0.5:
                self._work()
        else:
            self._report(again=True)

    def _work(self) -> None:
        """The accelerator takes a packet."""
        if self._kept:
            self.take(*self._kept.pop(0))
            self._report()

    def take(self, kind: int, carried: bytes) -> None:
        """What a packet carries."""
        if kind == 2:
            assert self.network != NOTHING, "a frame came before a network"
            self._stream += carried
            while len(self._stream) >= FRAME:
                self._results += computed(bytes(self._stream[:FRAME]), self.network)
                del self._stream[:FRAME]
            return
        assert self.info.load is not None
        self._load += carried
        if not self._keeps:
            assert not self._stream, "a frame was on its way"
            assert not self._results, "a result was on its way"
            self.network = NOTHING
        if kind == 6:
            assert not self._stream, "a load ended in the middle of a frame"
            if len(self._load) == 32 + self.info.load.size:
                self.network = bytes(self._load[:32]).hex()
                self.loads += 1
            self._load.clear()

    def _report(self, *, answer: bool = False, again: bool = False) -> None:
        sent = bytes(self._results[: self._rng.randrange(245)])
        del self._results[: len(sent)]
        free = self.info.slots - len(self._kept)
        state = free | 0x40 * answer | 0x80 * again
        self._send(0x81, self.session, self.number, sent + bytes((self.expected, state)))
        self.number = (self.number + 1) % 256
        if self._results:
            self._report()

    def _send(self, kind: int, session: int, sequence: int, payload: bytes) -> None:
        whole = body(kind, session, sequence, payload)
        line = stuffed(whole[::-1])[::-1] + b"\0"
        assert from_board(line[:-1]) == whole[:-4]
        if not self._fault("lost"):
            self._out += self._damaged(line)


def unstuffed(line: bytes) -> bytes | None:
    """The body, without its CRC, of what a host sent; ``None`` if it is damaged."""
    out, place = bytearray(), 0
    while place < len(line):
        out += line[place + 1 : place + line[place]] + b"\0"
        place += line[place]
    found = bytes(out[:-1])
    if place != len(line) or not 7 <= len(found) <= 253:
        return None
    return found[:-4] if crc32(found[:-4]).to_bytes(4, "little") == found[-4:] else None


def frames(rng: random.Random, count: int) -> bytes:
    return bytes(rng.randrange(256) for _ in range(FRAME * count))


def expected(data: bytes) -> bytes:
    return b"".join(computed(data[at : at + FRAME]) for at in range(0, len(data), FRAME))
