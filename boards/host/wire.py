"""Packets on a serial link: questions and their answers, sessions, and how long an answer may take."""

from __future__ import annotations

import time

from sterna.boards.host.link import BoardError, SerialLink
from sterna.boards.packets import ANSWER, FREE_BITS, NO_SESSION, PAGE, Kind, Packet, Splitter

#: Sequence and session numbers, as bytes have them.
NUMBERS = 256
#: So often is asked without an answer before a session, or a board, is given up.
ASKS = 4
#: Bytes behind the results of a result packet.
STATE = 2
#: Bits of a byte on the line.
_BYTE_BITS = 10


class NoAnswerError(BoardError):
    """Nothing that is a packet comes from the board."""


class Wire:
    """Sends packets to a board, and takes those that come.

    Parameters
    ----------
    link : SerialLink
    timeout : float
        Seconds of silence after which the board is asked again, beside the time that bytes take on the line.

    Attributes
    ----------
    session : int
        The one that was begun last.
    sessions : int
        How many were begun.
    damaged : int
        Packets that came so.
    sent_bytes, received_bytes : int
    """

    def __init__(self, link: SerialLink, *, timeout: float) -> None:
        self._link, self._timeout = link, timeout
        self._splitter = Splitter()
        self.session = NO_SESSION
        self.sessions = self.damaged = 0
        self.sent_bytes = self.received_bytes = 0

    @property
    def port(self) -> str:
        """The link's name."""
        return self._link.port

    def open(self) -> int:
        """Begins a session; gives how many packets the board can take.

        Raises
        ------
        NoAnswerError
            If nobody answers.
        """
        if not self.sessions:  # the session of another host, whose packets may still be on their way
            self.session = self.ask(Kind.POLL, Kind.RESULT, 0).session
        for _ in range(ASKS):
            self.session = self.session % (NUMBERS - 1) + 1
            self.sessions += 1
            self.send(Packet(Kind.OPEN, self.session, 0), border=True)
            end = time.monotonic() + self.patience(0)
            while (left := end - time.monotonic()) > 0:
                for packet in self.packets(left):
                    if packet is not None and packet.kind == Kind.RESULT and packet.session == self.session:
                        if packet.sequence == 0 and len(packet.payload) == STATE and packet.payload[0] == 0:
                            return packet.payload[1] & ((1 << FREE_BITS) - 1)
                        end = 0.0  # the answer was lost on the way: another session
        raise self._silent()

    def page(self, number: int) -> bytes:
        """A page of registers; :exc:`NoAnswerError` if nobody answers."""
        return self.ask(Kind.READ, Kind.REGISTERS, number).payload

    def ask(self, kind: Kind, answer: Kind, number: int) -> Packet:
        """Sends a packet with that sequence number until it is answered."""
        garbage = 0
        for _ in range(ASKS):
            self.send(Packet(kind, 0, number), border=True)
            end = time.monotonic() + self.patience(0)
            while (left := end - time.monotonic()) > 0:
                for packet in self.packets(left):
                    if packet is None:
                        garbage += 1
                    elif packet.kind == answer and _answers(packet, number):
                        return packet
        raise self._silent(garbage)

    def patience(self, packets: int) -> float:
        """Seconds to wait for a byte while packets are on their way, there and back."""
        on_line = (packets + 2) * NUMBERS * _BYTE_BITS / self._link.baud
        return self._timeout + 2 * on_line

    def send(self, packet: Packet, *, border: bool = False) -> None:
        """Sends a packet; with a border before it, what was cut before does not harm it."""
        data = b"\0" * border + packet.to_wire()
        self.sent_bytes += len(data)
        self._link.write(data)

    def packets(self, seconds: float) -> list[Packet | None]:
        """What comes in that time, ``None`` for what is damaged; ends with the first packet."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            chunk = self._link.read(left)
            self.received_bytes += len(chunk)
            if packets := list(self._splitter.feed(chunk)):
                self.damaged += sum(packet is None for packet in packets)
                return packets
        return []

    def drain(self) -> None:
        """Reads what is left on the line of another conversation."""
        while self._link.read(0.02):
            pass
        self._splitter.clear()

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


def _answers(packet: Packet, number: int) -> bool:
    """Whether a packet is the page that was asked for, or answers the question how things stand."""
    if packet.kind == Kind.REGISTERS:
        return packet.sequence == number and len(packet.payload) == PAGE
    return len(packet.payload) >= STATE and bool(packet.payload[-1] & ANSWER)
