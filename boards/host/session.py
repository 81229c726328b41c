"""One session: packets on their way, results in order, and a load's end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sterna.boards.host.link import BoardError
from sterna.boards.host.outgoing import Load, Outgoing
from sterna.boards.host.wire import ASKS, NUMBERS, STATE, Wire
from sterna.boards.packets import AGAIN, ANSWER, DIGEST_PAGE, FREE_BITS, Kind, Packet

#: So often is sent from the same packet on before a session is given up.
_TRIES = 2


class SessionLost(Exception):
    """Results may be missing, or the board knows nothing of the session: only a new one helps."""


@dataclass(kw_only=True)
class Batch:
    """Frames that are exchanged for results, perhaps none, and a load that has to be through, too, perhaps.

    Attributes
    ----------
    data : bytes
        Whole frames.
    frame, result : int
        Bytes of a frame, and of its result.
    progress : function of int
        Called with the number of frames that have their result, whenever some more have.
    load : Load or None
    results : bytearray
        What has come.
    networks : list of (int, str)
        From which frame on which network answered.
    """

    data: bytes
    frame: int
    result: int
    progress: Callable[[int], None]
    load: Load | None = None
    results: bytearray = field(default_factory=bytearray)
    networks: list[tuple[int, str]] = field(default_factory=list)

    @property
    def target(self) -> int:
        """Bytes of all results."""
        return len(self.data) // self.frame * self.result

    @property
    def done(self) -> int:
        """Frames that have their results."""
        return len(self.results) // self.result

    @property
    def owed(self) -> bool:
        """Results are missing."""
        return len(self.results) < self.target

    @property
    def over(self) -> bool:
        """Nothing is missing."""
        return not self.owed and (self.load is None or self.load.settled)

    def cut(self, frames: int) -> None:
        """Forgets what came behind the results of so many frames."""
        del self.results[frames * self.result :]
        self.networks = [mark for mark in self.networks if mark[0] < frames]

    def named(self) -> list[str]:
        """The network of each frame."""
        ends = [*(first for first, _ in self.networks), self.done][1:]
        return [digest for (first, digest), end in zip(self.networks, ends, strict=True) for _ in range(first, end)]


class Session:
    """A session from its opening to the last result, and to the end of a load that is taken along.

    Parameters
    ----------
    wire : Wire
        On which the session was opened.
    batch : Batch
        Gets results, and the networks that computed them.
    outgoing : Outgoing
        What is to be sent: the frames of the batch without results, and perhaps a load.
    slots : int
        Packets that fit the board.
    credit : int
        Packets that may be sent at once.
    stall : float
        Seconds without any result, the board answering all the while, after which the session is given up.
    waiting : function
        Gives a load that waits to be sent, or ``None``.
    settle : function of Load
        Called when a load is through, or refused.
    """

    def __init__(
        self,
        wire: Wire,
        batch: Batch,
        outgoing: Outgoing,
        *,
        slots: int,
        credit: int,
        stall: float,
        waiting: Callable[[], Load | None],
        settle: Callable[[Load], None],
    ) -> None:
        self._wire, self._batch, self._outgoing = wire, batch, outgoing
        self._slots, self._credit, self._stall = slots, credit, stall
        self._waiting, self._settle = waiting, settle
        self._first = batch.done
        self._known = self._sent = 0  # packets that the board has, and those on their way or there
        self._made: deque[tuple[Kind, bytes]] = deque()  # from the first on that the board may not have
        self._last = 0  # the number of the packet that ended a load
        self._reading, self._doubts = False, 0  # whether the digest is asked for; how often it was not the load's
        self._sequence, self._tries = 1, 0  # of the next result packet; how often was sent from `known` on
        self._asked, self._holding = 0, False  # since the last packet; whether nothing is sent until the board answers
        self._wants = False  # to ask how things stand
        self._moved = 0.0  # when there was a result last, or a packet was taken

    def run(self) -> None:
        """All of it.

        Raises
        ------
        SessionLost
            Where a new session is needed.
        PortError
            If the port is gone.
        """
        self._moved = time.monotonic()
        while self._goes_on:
            if self._outgoing.load is None and (load := self._waiting()) is not None:
                self._outgoing.begin(load)
            self._send()
            came = self._wire.packets(self._wire.patience(self._sent - self._known))
            self._wants = not came
            self._asked = 0 if came else self._asked + 1
            if self._asked > ASKS or time.monotonic() - self._moved > self._stall:
                raise SessionLost
            if None in came or not came:
                self._reading = False
            for packet in came:
                if packet is None:
                    self._wants = True
                elif packet.kind == Kind.RESULT:
                    self._take(packet)
                elif packet.kind == Kind.REGISTERS and packet.sequence == DIGEST_PAGE:
                    self._read(packet.payload.hex())
            if self._wants and self._goes_on and (not self._holding or not came):
                self._wire.send(Packet(Kind.POLL, self._wire.session, 0), border=True)
                self._holding = True

    @property
    def _goes_on(self) -> bool:
        return not self._batch.over or self._outgoing.load is not None

    @property
    def _done(self) -> int:
        """Frames of this session that have their results."""
        return self._batch.done - self._first

    def _send(self) -> None:
        """What the board has room for; and behind a load, the question who answers now."""
        while not self._holding and self._sent < self._known + self._credit:
            place = self._sent - self._known
            if place == len(self._made):
                made = self._outgoing.next(self._done)
                if made is None:
                    break
                self._made.append(made)
                if made[0] == Kind.LOAD_LAST:
                    self._ended()
            kind, carried = self._made[place]
            payload = bytes((len(carried),)) + carried
            self._wire.send(Packet(kind, self._wire.session, self._sent % NUMBERS, payload))
            self._sent += 1
        passed = self._known - (self._slots - self._credit)  # packets that have left the board's buffer
        if self._outgoing.ended and passed > self._last and not self._reading:
            self._wire.send(Packet(Kind.READ, self._wire.session, DIGEST_PAGE))
            self._reading = True

    def _ended(self) -> None:
        """A load's last packet was made: what comes behind is the new network's, if the board takes it."""
        load = self._outgoing.load
        assert load is not None
        self._last, self._doubts = self._sent, 0
        self._batch.networks.append((self._first + self._outgoing.frames, load.digest))

    def _take(self, packet: Packet) -> None:
        """Results, and how things stand."""
        batch, payload = self._batch, packet.payload
        if packet.session != self._wire.session or len(payload) < STATE:
            raise SessionLost
        # where all frames have their results, nothing was in a packet that was lost
        if packet.sequence != self._sequence and self._outgoing.frames > self._done:
            raise SessionLost
        self._sequence = (packet.sequence + 1) % NUMBERS
        before = batch.done
        batch.results += payload[:-STATE]
        expected, state = payload[-STATE:]
        taken = self._known + (expected - self._known) % NUMBERS
        answers = bool(state & ANSWER)
        self._tries = 0 if taken > self._known else self._tries + (answers and self._sent > self._known)
        if taken > self._sent or len(batch.results) > batch.target or self._tries > _TRIES:
            raise SessionLost
        if taken > self._known or len(payload) > STATE:
            self._moved = time.monotonic()
        for _ in range(taken - self._known):
            self._made.popleft()
        self._known, self._credit = taken, state & ((1 << FREE_BITS) - 1)
        if batch.done > before and not self._outgoing.ended:
            batch.progress(batch.done)
        if answers:
            self._holding, self._wants, self._sent = False, False, self._known
        elif state & AGAIN:
            self._wants = True
        self._reading = self._reading and not state & (ANSWER | AGAIN)  # what was asked before may be lost

    def _read(self, digest: str) -> None:
        """Who answers, behind a load."""
        load = self._outgoing.load
        if load is None or not load.ended or not self._reading:
            return
        self._reading = False
        if digest != load.digest:
            self._doubts += 1
            if self._doubts < ASKS:  # it may have been asked before
                return
            load.error = BoardError(
                f"the board on {self._wire.port} did not take the network: its load has another length than the board "
                "wants; make the bitstream again"
            )
            self._batch.networks.pop()
        self._outgoing.end()
        self._settle(load)
        if load.error is not None:
            raise SessionLost
        self._batch.progress(self._batch.done)
