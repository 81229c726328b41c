"""A board as a model: ``predict`` runs on it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sterna.boards.host.conversation import Conversation
from sterna.boards.host.frames import from_bytes, to_bytes
from sterna.boards.host.link import BoardError, SerialLink
from sterna.boards.packets import Counters, Info
from sterna.net.arithmetic import check_input
from sterna.net.checks import check_integer
from sterna.net.errors import InvalidTypeError, InvalidValueError
from sterna.net.types import ActivationType

if TYPE_CHECKING:
    from sterna.net import Network

#: Bits a second, unless somebody says otherwise.
BAUD = 1_000_000


class WrongNetworkError(BoardError):
    """The board computes another network than the one that is asked for."""


class Board:
    """An accelerator on a board, over a serial port (docs/protocol.md).

    Results are those of the frames that were given, or there is an error: what gets lost or damaged on the way is sent
    again. A board can be closed, or used in a ``with`` block.

    Parameters
    ----------
    port : str
        ``/dev/ttyUSB1``, ``COM3``, …
    network : Network, optional
        What the board has to compute.
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
        If it has another network.
    """

    def __init__(
        self, port: str, network: Network | None = None, *, baud: int = BAUD, timeout: float = 0.5, stall: float = 60.0
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
            if network is not None and self._info.digest != network.digest:
                raise WrongNetworkError(
                    f"the board on {port} has another network (digest {self._info.digest[:12]}..., not "
                    f"{network.digest[:12]}...): program it with a bitstream of this one, or give the other model"
                )
        except BaseException:
            self._link.close()
            raise

    @property
    def info(self) -> Info:
        """What the board says of itself."""
        return self._info

    @property
    def sessions(self) -> int:
        """Sessions that were begun: above 1, something was lost on the way."""
        return self._conversation.sessions

    @property
    def line_bytes(self) -> tuple[int, int]:
        """Bytes that went over the line: sent, received."""
        return self._conversation.sent_bytes, self._conversation.received_bytes

    def counters(self) -> Counters:
        """What the board counted since its last reset."""
        return self._conversation.counters()

    def predict(
        self,
        x: npt.ArrayLike,
        *,
        real: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> np.ndarray:
        """The output for a batch of inputs, as :meth:`GoldenModel.predict` gives it.

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
        """
        if real and self._network is None:
            raise InvalidValueError(
                "real inputs need the network, which says what their codes are: Board(port, network)"
            )
        given = self._network.quantize(x) if real and self._network is not None else x
        source, sink = self._info.input, self._info.output
        codes = check_input(given, source.shape, ActivationType(width=source.element_width, signed=source.signed))
        if len(codes) == 0:
            return np.empty((0, *sink.shape), dtype=np.int64)
        results = self._conversation.exchange(
            to_bytes(codes, source),
            frame=source.frame_bytes,
            result=sink.frame_bytes,
            progress=lambda done: progress(done, len(codes)),
        )
        return from_bytes(results, sink)

    def close(self) -> None:
        """Gives the port back."""
        self._link.close()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
