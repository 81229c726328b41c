"""What a session sends, in order: frames, and a network that comes between them."""

from __future__ import annotations

from dataclasses import dataclass

from sterna.boards.packets import Kind
from sterna.net.errors import SternaError

#: After so many sessions that were lost in the middle of a load, no frame is on its way while it is sent.
_MIXED_TRIES = 2


@dataclass(kw_only=True, eq=False)
class Load:
    """A network on its way to a board.

    Attributes
    ----------
    digest : str
        64 hexadecimal digits.
    content : bytes
        What is sent: the digest, and the words.
    ended : bool
        Its last packet was sent, in this session or one before.
    cuts : int
        Sessions that were lost while it was sent.
    settled : bool
        The network answers, or there is an error.
    error : SternaError or None
    """

    digest: str
    content: bytes
    ended: bool = False
    cuts: int = 0
    settled: bool = False
    error: SternaError | None = None


class Outgoing:
    """The packets of one session.

    A load's packets alternate with those of frames, as far as the old network answers meanwhile. The last one is held
    back until all frames before it have their results. So no frame that was sent before needs the old network any more.
    Where nothing answers meanwhile, this holds for all packets of a load, and no frame follows until it is through.

    Parameters
    ----------
    data : bytes
        Whole frames.
    frame : int
        Bytes of a frame.
    size : int
        Bytes that a packet carries, at most.
    keeps : bool
        The old network answers while another one is loaded.
    """

    def __init__(self, data: bytes, *, frame: int, size: int, keeps: bool) -> None:
        self._data, self._frame, self._size, self._keeps = data, frame, size, keeps
        self._at = 0  # bytes of frames in packets that were made
        self._sent = 0  # bytes of the load likewise
        self._load_next = False
        self.load: Load | None = None

    def begin(self, load: Load) -> None:
        """From now on, a network is sent."""
        self.load, self._sent, load.ended = load, 0, False

    def end(self) -> None:
        """It is through, or refused."""
        self.load = None

    @property
    def frames(self) -> int:
        """Frames that were begun."""
        return -(-self._at // self._frame)

    @property
    def ended(self) -> bool:
        """A load's last packet was made, and it is not through yet."""
        return self.load is not None and self.load.ended

    def next(self, done: int) -> tuple[Kind, bytes] | None:
        """The next packet, and what it carries; ``None`` if there is none yet.

        Parameters
        ----------
        done : int
            Frames of this session that have their results.
        """
        load = self.load
        if load is None or load.ended:
            return self._some(len(self._data)) if load is None or self._keeps else None
        last = len(load.content) - self._sent <= self._size
        apart = last or not self._keeps or load.cuts >= _MIXED_TRIES
        border = self.frames * self._frame if apart else len(self._data)
        ready = not apart or self._at == border == done * self._frame
        if ready and (self._load_next or self._at == border):
            chunk = load.content[self._sent : self._sent + self._size]
            self._sent += len(chunk)
            self._load_next, load.ended = False, last
            return (Kind.LOAD_LAST if last else Kind.LOAD), chunk
        self._load_next = True
        return self._some(border)

    def _some(self, border: int) -> tuple[Kind, bytes] | None:
        """Bytes of frames, not beyond a place."""
        chunk = self._data[self._at : min(self._at + self._size, border)]
        self._at += len(chunk)
        return (Kind.DATA, chunk) if chunk else None
