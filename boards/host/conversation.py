"""The host's side of docs/protocol.md: sessions, data packets on their way, results, and what is done about losses."""

from __future__ import annotations

import time
from collections.abc import Callable

from sterna.boards.host.link import BoardError, SerialLink
from sterna.boards.packets import (
    AGAIN,
    ANSWER,
    COUNTERS_AT,
    FREE_BITS,
    MAX_DATA,
    NO_SESSION,
    PAGE,
    Counters,
    Info,
    Kind,
    Packet,
    Splitter,
)

#: Sequence and session numbers, as bytes have them.
_NUMBERS = 256
#: Bits of a byte on the line.
_BYTE_BITS = 10
#: So often is asked without an answer before a session is given up, and so often is a session begun without a result.
_ASKS, _SESSIONS = 4, 24
#: So often is sent from the same packet on; then a session is begun that sends shorter packets, down to so many bytes.
_TRIES, _SHORTEST = 2, 15
#: Bytes behind the results of a result packet.
_STATE = 2


class NoAnswerError(BoardError):
    """Nothing that is a packet comes from the board."""


class _SessionLost(Exception):
    """Results may be missing, or the board knows nothing of the session: only a new one helps."""


class Conversation:
    """Talks to a board.

    Parameters
    ----------
    link : SerialLink
    timeout : float
        Seconds of silence after which the board is asked how things stand, beside the time that bytes take on the line.
    stall : float
        Seconds without any result, the board answering all the while, after which a session is given up.
    """

    def __init__(self, link: SerialLink, *, timeout: float, stall: float) -> None:
        self._link, self._timeout, self._stall = link, timeout, stall
        self._splitter = Splitter()
        self._session = NO_SESSION
        self.sessions = 0  # that were begun
        self.damaged = 0  # packets that came so
        self.sent_bytes = self.received_bytes = 0

    def meet(self) -> Info:
        """Asks who is there.

        Raises
        ------
        NoAnswerError
            If nobody is, or nobody who speaks the protocol.
        ValueError
            If it speaks another version.
        """
        self._drain()
        return Info.from_bytes(b"".join(self._page(number) for number in range(COUNTERS_AT // PAGE)))

    def counters(self) -> Counters:
        """What the board counted; :exc:`NoAnswerError` if it says nothing."""
        return Counters.from_bytes(self._page(COUNTERS_AT // PAGE))

    def _page(self, number: int) -> bytes:
        return self._ask(Kind.READ, Kind.REGISTERS, number).payload

    def exchange(self, data: bytes, *, frame: int, result: int, progress: Callable[[int], None]) -> bytes:
        """Sends frames and gives their results, in order.

        Parameters
        ----------
        data : bytes
            Whole frames.
        frame, result : int
            Bytes of a frame, and of its result.
        progress : function of int
            Called with the number of frames that have their result, whenever some more have.

        Raises
        ------
        NoAnswerError, BoardError
            If the board falls silent, or gives no results.
        """
        results, frames, fruitless = bytearray(), len(data) // frame, 0
        while len(results) < frames * result:
            done = len(results) // result
            try:
                credit = self._open()
                size = max(MAX_DATA >> fruitless, _SHORTEST)
                packets = [data[at : at + size] for at in range(done * frame, len(data), size)]
                self._run(packets, frames * result, results, result, credit, progress)
            except _SessionLost:
                del results[len(results) // result * result :]
                fruitless = fruitless + 1 if len(results) == done * result else 0
                if fruitless >= _SESSIONS:
                    raise BoardError(
                        f"{fruitless} sessions on {self._link.port} were lost one after the other without a result: "
                        "check cable and ground, or make the bitstream for a lower baud rate"
                    ) from None
        return bytes(results)

    def _open(self) -> int:
        """Begins a session; gives how many packets the board can take."""
        if not self.sessions:  # the session of another host, whose packets may still be on their way
            self._session = self._ask(Kind.POLL, Kind.RESULT, 0).session
        for _ in range(_ASKS):
            self._session = self._session % (_NUMBERS - 1) + 1
            self.sessions += 1
            self._send(b"\0" + Packet(Kind.OPEN, self._session, 0).to_wire())
            end = time.monotonic() + self._patience(0)
            while (left := end - time.monotonic()) > 0:
                for packet in self._packets(left):
                    if packet is not None and packet.kind == Kind.RESULT and packet.session == self._session:
                        if packet.sequence == 0 and len(packet.payload) == _STATE and packet.payload[0] == 0:
                            return packet.payload[1] & ((1 << FREE_BITS) - 1)
                        end = 0.0  # the answer was lost on the way: another session
        raise self._silent()

    def _run(
        self,
        packets: list[bytes],
        target: int,
        results: bytearray,
        result: int,
        credit: int,
        progress: Callable[[int], None],
    ) -> None:
        """One session, up to its last result; raises :exc:`_SessionLost` where a new one is needed."""
        known = sent = 0  # packets that the board has, and those on their way or there
        sequence, tries = 1, 0  # of the next result packet; how often was sent from `known` on
        asked, holding = 0, False  # since the last packet; whether nothing is sent until the board answers
        moved = time.monotonic()  # when there was a result last, or a packet was taken
        while len(results) < target:
            while not holding and sent < min(known + credit, len(packets)):
                carried = bytes((len(packets[sent]),)) + packets[sent]
                self._send(Packet(Kind.DATA, self._session, sent % _NUMBERS, carried).to_wire())
                sent += 1
            came = self._packets(self._patience(sent - known))
            ask = not came
            asked = asked + 1 if ask else 0
            if asked > _ASKS or time.monotonic() - moved > self._stall:
                raise _SessionLost
            for packet in came:
                if packet is None:
                    ask = True
                    continue
                if packet.kind != Kind.RESULT:
                    continue
                if packet.session != self._session or packet.sequence != sequence or len(packet.payload) < _STATE:
                    raise _SessionLost
                sequence = (sequence + 1) % _NUMBERS
                before = len(results) // result
                results += packet.payload[:-_STATE]
                expected, state = packet.payload[-_STATE:]
                taken = known + (expected - known) % _NUMBERS
                tries = 0 if taken > known else tries + bool(state & ANSWER and sent > known)
                if taken > sent or len(results) > target or tries > _TRIES:
                    raise _SessionLost
                if taken > known or len(packet.payload) > _STATE:
                    moved = time.monotonic()
                known, credit = taken, state & ((1 << FREE_BITS) - 1)
                if len(results) // result > before:
                    progress(len(results) // result)
                if state & ANSWER:
                    holding, ask, sent = False, False, known
                elif state & AGAIN:
                    ask = True
            if ask and len(results) < target and (not holding or not came):
                self._send(b"\0" + Packet(Kind.POLL, self._session, 0).to_wire())
                holding = True

    def _ask(self, kind: Kind, answer: Kind, number: int) -> Packet:
        """Sends a packet with that sequence number until it is answered."""
        garbage = 0
        for _ in range(_ASKS):
            self._send(b"\0" + Packet(kind, 0, number).to_wire())
            end = time.monotonic() + self._patience(0)
            while (left := end - time.monotonic()) > 0:
                for packet in self._packets(left):
                    if packet is None:
                        garbage += 1
                    elif packet.kind == answer and _answers(packet, number):
                        return packet
        raise self._silent(garbage)

    def _silent(self, garbage: int = 0) -> NoAnswerError:
        where = f"{self._link.port} at {self._link.baud} baud"
        if garbage:
            return NoAnswerError(
                f"what comes from {where} is no packet: give the baud rate that the bitstream was made for, or another "
                "port"
            )
        return NoAnswerError(
            f"no answer from {where}: program the board with a bitstream of Sterna's, and give the port and the baud "
            "rate that it was made for"
        )

    def _patience(self, packets: int) -> float:
        """Seconds to wait for a byte while packets are on their way, there and back."""
        on_line = (packets + 2) * _NUMBERS * _BYTE_BITS / self._link.baud
        return self._timeout + 2 * on_line

    def _send(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        self._link.write(data)

    def _packets(self, seconds: float) -> list[Packet | None]:
        """What comes in that time; ends with the first packet."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            chunk = self._link.read(left)
            self.received_bytes += len(chunk)
            if packets := list(self._splitter.feed(chunk)):
                self.damaged += sum(packet is None for packet in packets)
                return packets
        return []

    def _drain(self) -> None:
        """Reads what is left on the line of another conversation."""
        while self._link.read(0.02):
            pass
        self._splitter.clear()


def _answers(packet: Packet, number: int) -> bool:
    """Whether a packet is the page that was asked for, or answers the question how things stand."""
    if packet.kind == Kind.REGISTERS:
        return packet.sequence == number and len(packet.payload) == PAGE
    return len(packet.payload) >= _STATE and bool(packet.payload[-1] & ANSWER)
