"""The host's conversation with a model of a board after docs/protocol.md, on a damaging line, in virtual time."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from transport_bench import body, crc32, from_board, stuffed

from sterna.boards.host import BoardError, NoAnswerError
from sterna.boards.host import conversation as under_test
from sterna.boards.host.conversation import Conversation
from sterna.boards.packets import Info, Port

FRAME, RESULT = 3, 2
INFO = Info(
    slots=2,
    clock_hz=12_000_000,
    divider=12,
    digest="5a" * 32,
    input=Port(element_width=8, signed=False, bytes_per_element=1, elements_per_beat=1, shape=(3,)),
    output=Port(element_width=8, signed=False, bytes_per_element=1, elements_per_beat=1, shape=(2,)),
)


def computed(frame: bytes) -> bytes:
    """What the board computes."""
    return bytes((sum(frame) & 255, frame[0] ^ frame[1] ^ 255 - frame[2]))


class Line:
    """A link to a model of a board; ``rates`` are shares of bytes, or of packets, that faults hit.

    Attributes
    ----------
    now : float
        Seconds, which pass only while the host waits.
    faults : int
    """

    port, baud = "the model", 1_000_000

    def __init__(self, seed: int, **rates: float) -> None:
        self._rng, self.rates = random.Random(seed), rates
        self.now, self.faults = 0.0, 0
        self._in, self._out = bytearray(), bytearray()
        self.reset()
        self.most_waiting = 0

    def reset(self) -> None:
        """The board's reset."""
        self.session = self.expected = self.number = 0
        self._stream, self._results, self._kept = bytearray(), bytearray(), []
        self._again = False

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
            page = (INFO.to_bytes() + bytes(40))[32 * sequence : 32 * sequence + 32]
            self._send(0x84, self.session, sequence, page)
        elif kind == 2 and session == self.session and sequence == self.expected and len(self._kept) < INFO.slots:
            assert payload[0] == len(payload) - 1
            self.expected = (self.expected + 1) % 256
            self._kept.append(payload[1:])
            self.most_waiting = max(self.most_waiting, len(self._kept))
            if self._rng.random() < 0.5:
                self._work()
        else:
            self._report(again=True)

    def _work(self) -> None:
        """The accelerator takes a packet."""
        if self._kept:
            self._stream += self._kept.pop(0)
            while len(self._stream) >= FRAME:
                self._results += computed(bytes(self._stream[:FRAME]))
                del self._stream[:FRAME]
            self._report()

    def _report(self, *, answer: bool = False, again: bool = False) -> None:
        sent = bytes(self._results[: self._rng.randrange(245)])
        del self._results[: len(sent)]
        free = INFO.slots - len(self._kept)
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


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes a conversation on a line, whose time is the line's."""

    def made(line: Line, *, stall: float = 600.0) -> Conversation:
        monkeypatch.setattr(under_test, "time", SimpleNamespace(monotonic=lambda: line.now))
        return Conversation(line, timeout=0.5, stall=stall)  # type: ignore[arg-type]

    return made


def frames(rng: random.Random, count: int) -> bytes:
    return bytes(rng.randrange(256) for _ in range(FRAME * count))


def expected(data: bytes) -> bytes:
    return b"".join(computed(data[at : at + FRAME]) for at in range(0, len(data), FRAME))


def test_without_faults_there_is_one_session_and_the_buffer_is_used(talk: object) -> None:
    line, rng = Line(1), random.Random(1)
    conversation = talk(line)  # type: ignore[operator]
    assert conversation.meet() == INFO
    for count in (1, 82, 5000):
        data, seen = frames(rng, count), []
        assert conversation.exchange(data, frame=FRAME, result=RESULT, progress=seen.append) == expected(data)
        assert seen == sorted(seen)
        assert seen[-1] == count
    assert (conversation.sessions, conversation.damaged, line.most_waiting) == (3, 0, 2)
    assert line.now < 1, "nothing was waited for but an empty line at the start"


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_faults_and_no_wrong_result(talk: object, seed: int) -> None:
    rng = random.Random(seed)
    rates = {"flipped": 0.0008, "dropped": 0.0008, "doubled": 0.0008, "lost": 0.02, "reset": 0.003}
    line = Line(seed, **rates)
    results = errors = 0
    while line.faults < 600:
        data = frames(rng, rng.choice((1, 3, 40, 200)))
        conversation = talk(line)  # type: ignore[operator]
        killed = rng.random() < 0.2

        def progress(done: int, killed: bool = killed) -> None:
            if killed:
                raise KeyboardInterrupt

        try:
            assert conversation.meet() == INFO
            got = conversation.exchange(data, frame=FRAME, result=RESULT, progress=progress)
        except KeyboardInterrupt:
            continue
        except BoardError:
            errors += 1
            continue
        assert got == expected(data)
        results += len(data) // FRAME
    assert results > 1000
    assert errors < 10


def test_a_board_that_gives_nothing_is_said(talk: object) -> None:
    class Mute(Line):
        """Takes packets and computes nothing."""

        def _work(self) -> None:
            self._kept.clear()

    conversation = talk(Mute(1), stall=5.0)  # type: ignore[operator]
    conversation.meet()
    with pytest.raises(BoardError, match="24 sessions on the model were lost one after the other without a result"):
        conversation.exchange(bytes(30), frame=FRAME, result=RESULT, progress=lambda done: None)


def test_a_line_without_anybody_is_said(talk: object) -> None:
    line = Line(1, lost=1.0)
    with pytest.raises(NoAnswerError, match="no answer from the model at 1000000 baud: program the board"):
        talk(line).meet()  # type: ignore[operator]
    assert 1 < line.now < 10
    line = Line(1, flipped=0.5)
    with pytest.raises(NoAnswerError, match="what comes from the model at 1000000 baud is no packet"):
        talk(line).meet()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("registers", "message"),
    [
        (
            b"STRN\x02" + bytes(91),
            "speaks version 2 of the protocol, and this Sterna version 1: make its",
        ),
        (b"XTRN\x01" + bytes(91), "what answers is no board of Sterna's"),
    ],
)
def test_another_board_is_refused(registers: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Info.from_bytes(registers)
