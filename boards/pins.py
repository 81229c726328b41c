"""The pins of a board's design: those of its resources in amaranth-boards, or those that a user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sterna.boards.catalog import BoardInfo, Oscillator
from sterna.flow.bitstream import Pin
from sterna.flow.devices import Family
from sterna.net.errors import InvalidValueError

__all__ = ["BoardPins", "UartPins", "board_pins"]

# Of pins that a user names, where nothing says which standard the board has: that of most.
_IO_TYPE = "LVCMOS33"


@dataclass(frozen=True, kw_only=True)
class UartPins:
    """Pins for a UART that the board's resources do not have.

    Attributes
    ----------
    rx, tx : str
        Seen from the device: a pin (``"A1"``), or one of a connector (``"pmod_0:1"``).
    io_type : str
        Standard of an ECP5's pins; it must be that of the bank's supply.
    """

    rx: str
    tx: str
    io_type: str = _IO_TYPE


@dataclass(frozen=True, kw_only=True)
class BoardPins:
    """What the top's ports are connected to.

    Attributes
    ----------
    pins : tuple of Pin
        ``clk`` (but with an internal oscillator), ``rst`` where there is a button, ``rx`` and ``tx``.
    reset_high : bool or None
        Whether the button is high while pressed; ``None``: there is none.
    """

    pins: tuple[Pin, ...]
    reset_high: bool | None

    @property
    def clock_site(self) -> str | None:
        """The pin at which the oscillator arrives; ``None`` if it is internal."""
        return next((pin.site for pin in self.pins if pin.port == "clk"), None)


def board_pins(board: BoardInfo, oscillator: Oscillator, uart: UartPins | None = None) -> BoardPins:
    """The pins of a board.

    Parameters
    ----------
    board : BoardInfo
    oscillator : Oscillator
        One of the board's.
    uart : UartPins, optional
        By default the board's own.

    Raises
    ------
    ValueError
        If the board has no UART and none is given, or the given pins are not the device's.
    """
    if uart is None and board.uart is None:
        raise InvalidValueError(
            f"{board.name} has no UART: say at which pins a serial adapter is, as in --uart rx=A1,tx=B2 (seen from the "
            "device: the adapter's TX goes to rx)"
        )
    made = board.platform()
    pins = [] if oscillator.internal else [_clock(made, oscillator)]
    reset_high = None
    if made.default_rst is not None:
        port = made.request(made.default_rst, dir="-")
        reset_high = not port.invert[0]
        pins.append(_pin("rst", port.io.metadata[0]))
    if uart is None:
        group = made.request("uart", 0, dir="-")
        pins += [_pin(name, getattr(group, name).io.metadata[0]) for name in ("rx", "tx")]
    else:
        pins += [_named(made, board, port, uart) for port in ("rx", "tx")]
    return BoardPins(pins=tuple(pins), reset_high=reset_high)


def _clock(made: Any, oscillator: Oscillator) -> Pin:
    port = made.request(oscillator.name, dir="-")
    io = port.p if hasattr(port, "p") else port.io  # of a pair, the device's buffer takes the other by itself
    return _pin("clk", io.metadata[0], clock_hz=oscillator.hz)


def _pin(port: str, metadata: Any, clock_hz: int | None = None) -> Pin:
    attributes = {str(name): str(value) for name, value in metadata.attrs.items() if name != "GLOBAL"}
    return Pin(port=port, site=str(metadata.name), attributes=attributes, clock_hz=clock_hz)


def _named(made: Any, board: BoardInfo, port: str, uart: UartPins) -> Pin:
    site = str(getattr(uart, port))
    if ":" in site:
        if site not in made._conn_pins:
            connectors = ", ".join(f"{name}_{number}" for name, number in made.connectors) or "none"
            raise InvalidValueError(f"{board.name} has no connector pin {site!r}; its connectors are {connectors}")
        site = str(made._conn_pins[site])
    attributes: Mapping[str, str]
    # An open line is pulled up: it reads as idle, not as noise.
    if board.device.family is Family.ICE40:
        attributes = {"PULLUP": "1"} if port == "rx" else {}
    else:
        attributes = {"IO_TYPE": uart.io_type, **({"PULLMODE": "UP"} if port == "rx" else {})}
    return Pin(port=port, site=site.upper() if board.device.family is Family.ECP5 else site, attributes=attributes)
