"""A serial port as bytes, with errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from sterna.net.errors import SternaError

if TYPE_CHECKING:
    import serial

#: Errors of the operating system for a port that another program has locked, or opened for itself alone.
_HELD = (errno.EAGAIN, errno.EACCES, errno.EBUSY)


class BoardError(SternaError, RuntimeError):
    """A board, or the port that it hangs on, does not do what it should; one line that says what to do."""


class PortError(BoardError):
    """The serial port cannot be opened, or is gone."""


class SerialLink:
    """A serial port, open for one program alone.

    Parameters
    ----------
    port : str
        ``/dev/ttyUSB1``, ``COM3``, …
    baud : int
        Bits a second.

    Raises
    ------
    PortError
        If the port is not there, may not be opened, or is held by another program.
    ModuleNotFoundError
        If pyserial is missing.
    """

    def __init__(self, port: str, *, baud: int) -> None:
        import serial

        self._port, self._baud = port, baud
        self._failure = serial.SerialException
        try:
            self._serial: serial.Serial = serial.Serial(port, baud, timeout=0, write_timeout=10, exclusive=True)
        except (serial.SerialException, ValueError) as error:
            raise PortError(_why(port, baud, error)) from None
        # Else an adapter may keep an answer for 16 ms. A wish: pyserial has it for Linux only (AttributeError), and not
        # every driver grants it (NotImplementedError, OSError, ValueError).
        with contextlib.suppress(AttributeError, NotImplementedError, OSError, ValueError):
            self._serial.set_low_latency_mode(True)

    @property
    def port(self) -> str:
        """Its name."""
        return self._port

    @property
    def baud(self) -> int:
        """Bits a second."""
        return self._baud

    def write(self, data: bytes) -> None:
        """Sends bytes; :exc:`PortError` if the port is gone."""
        try:
            self._serial.write(data)
        except (self._failure, OSError) as error:
            raise self._gone(error) from None

    def read(self, seconds: float) -> bytes:
        """What comes in that time, as soon as there is something; nothing if there is not."""
        try:
            self._serial.timeout = max(seconds, 0.0)
            first = self._serial.read(1)
            return bytes(first + self._serial.read(self._serial.in_waiting)) if first else b""
        except (self._failure, OSError) as error:
            raise self._gone(error) from None

    def close(self) -> None:
        """Gives the port back."""
        self._serial.close()

    def _gone(self, error: Exception) -> PortError:
        return PortError(f"{self._port} is gone ({error}): is the board still connected?")


def _why(port: str, baud: int, error: Exception) -> str:
    code = getattr(error, "errno", None)
    locking = "lock" in str(error)
    if code == errno.ENOENT:
        return f"there is no serial port {port}: connect the board; `python -m serial.tools.list_ports` lists ports"
    if code in _HELD and (locking or code != errno.EACCES):
        return f"another program holds {port}: close it (a terminal, another `sterna infer`), or wait for it"
    if code == errno.EACCES:
        return (
            f"no permission for {port}: on Linux, run `sudo usermod -a -G dialout $USER` (on some systems the group is "
            "uucp), and log in again"
        )
    if isinstance(error, ValueError) or "baud" in str(error).lower():
        return f"{port} does not run at {baud} baud: {error}"
    return f"cannot open {port}: {error}; is it a serial port?"
