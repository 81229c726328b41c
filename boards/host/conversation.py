"""The host's side of docs/protocol.md: session after session until all results are there, for several threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sterna.boards.host.link import BoardError, SerialLink
from sterna.boards.host.outgoing import Load, Outgoing
from sterna.boards.host.session import Batch, Session, SessionLost
from sterna.boards.host.wire import Wire
from sterna.boards.packets import COUNTERS_AT, DIGEST, DIGEST_PAGE, MAX_DATA, NOTHING, PAGE, Counters, Info

#: So often is a session begun without a result.
_SESSIONS = 24
#: Where sessions are lost, the next one sends shorter packets, down to so many bytes.
_SHORTEST = 15


class WrongNetworkError(BoardError):
    """The board computes another network than the one that is asked for, or none yet."""


class Conversation:
    """Talks to a board.

    Several threads may use it: one of them talks, and takes along the networks that others want to load; they wait.

    Parameters
    ----------
    link : SerialLink
    timeout : float
        Seconds of silence after which the board is asked how things stand, beside the time that bytes take on the line.
    stall : float
        Seconds without any result, the board answering all the while, after which a session is given up.
    """

    def __init__(self, link: SerialLink, *, timeout: float, stall: float) -> None:
        self._wire, self._stall = Wire(link, timeout=timeout), stall
        self._info: Info | None = None
        self._digest = NOTHING  # that answers, as was heard last
        self._expected = NOTHING  # that has to
        self._changed = threading.Condition()
        self._busy = False  # somebody talks
        self._turns: deque[object] = deque()  # of those who wait for it
        self._loads: deque[Load] = deque()  # that wait for somebody who takes them along
        self._load: Load | None = None  # that is taken along

    @property
    def sessions(self) -> int:
        """Sessions that were begun."""
        return self._wire.sessions

    @property
    def damaged(self) -> int:
        """Packets that came so."""
        return self._wire.damaged

    @property
    def line_bytes(self) -> tuple[int, int]:
        """Bytes that went over the line: sent, received."""
        return self._wire.sent_bytes, self._wire.received_bytes

    @property
    def digest(self) -> str:
        """Of the network that answers, as far as is known; ``NOTHING`` if the board waits for one."""
        return self._digest

    def meet(self) -> Info:
        """Asks who is there.

        Raises
        ------
        NoAnswerError
            If nobody is, or nobody who speaks the protocol.
        ValueError
            If it speaks another version.
        """
        with self._turn():
            self._wire.drain()
            info = Info.read(self._wire.page)
            self._digest = info.digest if info.load is None else self._wire.page(DIGEST_PAGE).hex()
            self._expected = self._digest
            self._info = info
        return info

    def counters(self) -> Counters:
        """What the board counted; :exc:`NoAnswerError` if it says nothing."""
        with self._turn():
            return Counters.from_bytes(self._wire.page(COUNTERS_AT // PAGE))

    def exchange(
        self, data: bytes, *, frame: int, result: int, progress: Callable[[int], None]
    ) -> tuple[bytes, list[str]]:
        """Sends frames and gives their results, in order.

        Parameters
        ----------
        data : bytes
            Whole frames.
        frame, result : int
            Bytes of a frame, and of its result.
        progress : function of int
            Called with the number of frames that have their result, whenever some more have.

        Returns
        -------
        results : bytes
        networks : list of str
            Of each frame, the digest of the network that computed it.

        Raises
        ------
        NoAnswerError, BoardError
            If the board falls silent, or gives no results.
        WrongNetworkError
            If it has no network, or suddenly another one.
        """
        batch = Batch(data=data, frame=frame, result=result, progress=progress)
        with self._turn():
            self._converse(batch)
        return bytes(batch.results), batch.named()

    def load(self, content: bytes) -> None:
        """Sends a network, beside the frames that another thread exchanges; returns when it answers.

        Parameters
        ----------
        content : bytes
            Its digest, and the words for the accelerator's load port.

        Raises
        ------
        NoAnswerError, BoardError
            If the board falls silent, or does not take it.
        """
        load = Load(digest=content[:DIGEST].hex(), content=content)
        with self._changed:
            self._loads.append(load)
        try:
            with self._turn(unless=lambda: load.settled) as mine:
                if mine:
                    self._converse(Batch(data=b"", frame=1, result=1, progress=lambda done: None, load=load))
        finally:
            with self._changed:
                if load in self._loads:
                    self._loads.remove(load)
        if load.error is not None:
            raise load.error

    @contextmanager
    def _turn(self, unless: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Waits until nobody who came before wants to talk, or something is so; gives whether it is this one's turn."""
        turn = object()
        with self._changed:
            self._turns.append(turn)
            try:
                self._changed.wait_for(lambda: unless() or (not self._busy and self._turns[0] is turn))
                if mine := not unless():
                    self._busy = True
            finally:
                self._turns.remove(turn)
                self._changed.notify_all()
        try:
            yield mine
        finally:
            if mine:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _converse(self, batch: Batch) -> None:
        """Session after session, until nothing is missing."""
        info = self._info
        assert info is not None, "nobody was met"
        fruitless = 0
        try:
            while not batch.over or self._load is not None:
                done, size = batch.done, max(MAX_DATA >> fruitless, _SHORTEST)
                keeps = info.load is not None and info.load.keeps
                outgoing = Outgoing(batch.data[done * batch.frame :], frame=batch.frame, size=size, keeps=keeps)
                try:
                    self._run(batch, outgoing, info)
                except SessionLost:
                    # what came behind a load's end counts only once the board has said that it took the load
                    batch.cut(batch.networks[-1][0] if outgoing.ended else batch.done)
                    if self._load is not None:
                        self._load.cuts += 1
                    fruitless = fruitless + 1 if batch.done == done else 0
                    if fruitless >= _SESSIONS:
                        raise BoardError(
                            f"{fruitless} sessions on {self._wire.port} were lost one after the other without a "
                            "result: check cable and ground, or make the bitstream for a lower baud rate"
                        ) from None
        finally:
            with self._changed:
                if self._load is not None:  # for the next one who talks
                    self._loads.appendleft(self._load)
                    self._load = None

    def _run(self, batch: Batch, outgoing: Outgoing, info: Info) -> None:
        """One session."""
        credit = self._wire.open()
        if info.load is None:
            batch.networks.append((batch.done, self._digest))
        else:
            self._who_answers(batch, keeps=info.load.keeps)
        if (load := self._next_load()) is not None:
            outgoing.begin(load)
        Session(
            self._wire,
            batch,
            outgoing,
            slots=info.slots,
            credit=credit,
            stall=self._stall,
            waiting=self._next_load,
            settle=self._settle,
        ).run()

    def _who_answers(self, batch: Batch, *, keeps: bool) -> None:
        """Notes which network answers in a session that was just begun."""
        answers, load = self._wire.page(DIGEST_PAGE).hex(), self._next_load()
        if load is not None and load.ended and answers == load.digest:  # the end of the last session came too late
            self._settle(load)
            load = self._next_load()
        self._digest = answers
        if batch.owed and (load is None or keeps):
            if answers == NOTHING:
                raise no_network(self._wire.port)
            if self._expected == NOTHING:
                self._expected = answers
            if answers != self._expected:
                raise WrongNetworkError(
                    f"the board on {self._wire.port} has another network now (digest {answers[:12]}..., not "
                    f"{self._expected[:12]}...): it was programmed, or somebody else loaded one; load yours again"
                )
        batch.networks.append((batch.done, answers))

    def _next_load(self) -> Load | None:
        """The load that is taken along, if there is one."""
        with self._changed:
            if self._load is None and self._loads and self._info is not None and self._info.load is not None:
                self._load = self._loads.popleft()
            return self._load

    def _settle(self, load: Load) -> None:
        """Tells who waits for a load that it is through, or refused."""
        with self._changed:
            load.settled, self._load = True, None
            if load.error is None:
                self._digest = self._expected = load.digest
            self._changed.notify_all()


def no_network(port: str) -> WrongNetworkError:
    """What a board without a network is told with."""
    return WrongNetworkError(
        f"the board on {port} waits for its network: load one, as `sterna load MODEL --port {port}` does"
    )
