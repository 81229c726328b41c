"""A board as a model: ``predict`` runs on it, and ``load`` gives it another network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sterna.boards.host.conversation import Conversation, WrongNetworkError, no_network
from sterna.boards.host.frames import from_bytes, to_bytes
from sterna.boards.host.link import SerialLink
from sterna.boards.packets import DIGEST, NOTHING, TAG, Counters, Info, Loading
from sterna.net.arithmetic import check_input
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.types import ActivationType

if TYPE_CHECKING:
    from sterna.net import Network

#: Bits a second, unless somebody says otherwise.
BAUD = 1_000_000


class Board:
    """An accelerator on a board, over a serial port (docs/protocol.md).

    Results are those of the frames that were given, or there is an error: what gets lost or damaged on the way is sent
    again. A board can be closed, or used in a ``with`` block. Several threads may use it: one may load a network while
    another predicts.

    Parameters
    ----------
    port : str
        ``/dev/ttyUSB1``, ``COM3``, …
    network : Network, optional
        What the board has to compute.
    load : bool
        Load that network first, if the board has another one.
    baud : int
        Bits a second, as the bitstream was made for.
    timeout : float
        Seconds of silence after which the board is asked how things stand.
    stall : float
        Seconds that a result may take.

    Raises
    ------
    PortError
        If the port is not there, may not be opened, or is held by another program.
    NoAnswerError
        If no board answers.
    WrongNetworkError
        If it has another network, or none yet.
    ValueError
        If the network is to be loaded, and the board is not made for that.
    """

    def __init__(
        self,
        port: str,
        network: Network | None = None,
        *,
        load: bool = False,
        baud: int = BAUD,
        timeout: float = 0.5,
        stall: float = 60.0,
    ) -> None:
        if not isinstance(port, str):
            raise InvalidTypeError(f"port must be a name like /dev/ttyUSB1, not {port!r}")
        for name, seconds in (("timeout", timeout), ("stall", stall)):
            if not seconds > 0:
                raise InvalidValueError(f"{name} must be above 0, not {seconds}")
        self._network = network
        self._link = SerialLink(port, baud=check_integer(baud, "baud", low=1))
        try:
            self._conversation = Conversation(self._link, timeout=timeout, stall=stall)
            self._info = self._conversation.meet()
            if network is not None and load:
                self.load(network)
            elif network is not None and self.digest != network.digest:
                raise self._wrong(network)
        except BaseException:
            self._link.close()
            raise

    @property
    def info(self) -> Info:
        """What the board says of itself."""
        return self._info

    @property
    def digest(self) -> str:
        """Of the network that answers; zeros, if the board waits for one."""
        return self._conversation.digest

    @property
    def sessions(self) -> int:
        """Sessions that were begun: above 1, something was lost on the way."""
        return self._conversation.sessions

    @property
    def line_bytes(self) -> tuple[int, int]:
        """Bytes that went over the line: sent, received."""
        return self._conversation.line_bytes

    def counters(self) -> Counters:
        """What the board counted since its last reset."""
        return self._conversation.counters()

    def load(self, model: Network | str | Path | bytes) -> None:
        """Gives the board another network; returns when that one answers.

        The board has to be made for it (``sterna bitstream --load`` or ``--loadable``). With ``--loadable``, another
        thread may predict meanwhile: the old network answers until the new one is whole. A network that the board has
        already is not sent; what is compiled always is.

        Parameters
        ----------
        model : Network, path, or bytes
            Of the shapes and types of the network that the bitstream was made of; or what :meth:`compile` made of one.

        Raises
        ------
        ValueError
            If the board takes no network, or not this one.
        PortError, NoAnswerError, BoardError
            If the board is gone, falls silent, or does not take it.
        """
        from sterna.net.file import load

        network = load(model) if isinstance(model, str | Path) else model
        if isinstance(network, bytes):
            self._send(network)
            self._network = None
            return
        if network.digest != self.digest:
            self._send(self.compile(network))
        self._network = network

    def compile(self, network: Network) -> bytes:
        """What it takes to load a network: the tag of the board's design, the network's digest, and the words.

        It takes a while, depends on the board's bitstream alone, and can be kept. All behind the tag is sent.

        Raises
        ------
        ValueError
            If the board takes no network, or not this one.
        """
        from sterna.hw import load_stream

        words = load_stream(network, self._loading.design)
        return self._loading.tag.to_bytes(TAG, "little") + bytes.fromhex(network.digest) + words

    @property
    def _loading(self) -> Loading:
        if self._info.load is None:
            raise InvalidValueError(
                "the board takes no other network: make its bitstream with `sterna bitstream --loadable`"
            )
        return self._info.load

    def _send(self, content: bytes) -> None:
        """Sends what was compiled, if it was for this board."""
        loading = self._loading
        wanted = TAG + DIGEST + loading.size
        if len(content) != wanted or content[:TAG] != loading.tag.to_bytes(TAG, "little"):
            raise InvalidValueError(
                f"these {len(content)} bytes are no load for this board, which has {wanted} and another tag perhaps: "
                "they were made for another bitstream, or by another version of Sterna"
            )
        self._conversation.load(content[TAG:])

    def _wrong(self, network: Network) -> WrongNetworkError:
        """The board has not this network."""
        port = self._link.port
        if self.digest == NOTHING:
            return no_network(port)
        other = "program it with a bitstream of this one" if self._info.load is None else "load this one"
        return WrongNetworkError(
            f"the board on {port} has another network (digest {self.digest[:12]}..., not {network.digest[:12]}...): "
            f"{other}, or give the other model"
        )

    def predict(
        self,
        x: npt.ArrayLike,
        *,
        real: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> np.ndarray:
        """The output for a batch of inputs, as :meth:`GoldenModel.predict` gives it.

        If another thread loads a network meanwhile, this returns when that is done, too; :meth:`predict_named` says
        which of them computed which frame.

        Parameters
        ----------
        x : integers, or integral floats, (batch, \\*input_shape)
            Codes of the network's input type.
        real : bool
            ``x`` holds real inputs instead, of which the network's ``quantize`` makes codes first.
        progress : function of (int, int)
            Called with the number of frames that are done, and of all.

        Returns
        -------
        int64, (batch, \\*output_shape)
            Codes, or accumulators, of the last node; the class, (batch, 1), if the accelerator gives that.

        Raises
        ------
        TypeError, ValueError
            If ``x`` has the wrong kind, shape or range; if ``real`` is asked for without a network.
        PortError, NoAnswerError, BoardError
            If the board is gone, falls silent, or gives no results.
        WrongNetworkError
            If it has no network, or suddenly another one.
        """
        return self.predict_named(x, real=real, progress=progress)[0]

    def predict_named(
        self,
        x: npt.ArrayLike,
        *,
        real: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[np.ndarray, list[str]]:
        """As :meth:`predict`, and which network computed each frame.

        Returns
        -------
        output : int64, (batch, \\*output_shape)
        networks : list of str
            The digest of each frame's network.
        """
        network = self._network  # another thread may load one
        if real and network is None:
            raise InvalidValueError(
                "real inputs need the network, which says what their codes are: Board(port, network)"
            )
        given = network.quantize(x) if real and network is not None else x
        source, sink = self._info.input, self._info.output
        codes = check_input(given, source.shape, ActivationType(width=source.element_width, signed=source.signed))
        if len(codes) == 0:
            return np.empty((0, *sink.shape), dtype=np.int64), []
        results, networks = self._conversation.exchange(
            to_bytes(codes, source),
            frame=source.frame_bytes,
            result=sink.frame_bytes,
            progress=lambda done: progress(done, len(codes)),
        )
        return from_bytes(results, sink), networks

    def close(self) -> None:
        """Gives the port back."""
        self._link.close()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
