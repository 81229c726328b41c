"""The boards of amaranth-boards whose device Sterna places and routes for: found by walking that package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sterna.flow.devices import Device, Family, device_of_part
from sterna.net.errors import InvalidValueError, SternaError

__all__ = ["BoardInfo", "Oscillator", "find_board", "list_boards"]

#: Pads that lead straight into a PLL, of the packages in which a board's clock arrives at one (Lattice's pinouts). Of a
#: UP5K, nothing else can read that pin then.
PLL_PADS = {("--up5k", "sg48"): {"35"}, ("--hx4k", "tq144"): {"49", "129"}}
#: Names of boards in openFPGALoader, by the start of ours; the longest that fits counts.
_LOADERS = {
    "colorlight-5a75b": "colorlight",
    "ecp5-5g-evn": "ecp5_evn",
    "ecpix5": "ecpix5",
    "fomu": "fomu",
    "ice40-hx8k-b-evn": "ice40_generic",
    "ice40-up5k-b-evn": "ice40_generic",
    "icebreaker": "ice40_generic",
    "icebreaker-bitsy": "icebreaker-bitsy",
    "icepi-zero": "icepi-zero",
    "orangecrab": "orangeCrab",
    "ulx3s": "ulx3s",
    "upduino": "ice40_generic",
}


#: Boards for which whole networks were built here (benchmarks/bitstreams.py); for the others, a small top was.
_NETWORKS_BUILT = {
    "colorlight-5a75b-r7-0",
    "ecpix5-45f",
    "ice40-hx8k-b-evn",
    "icebreaker",
    "orangecrab-r0-2-25f",
    "ulx3s-12f",
    "ulx3s-85f",
}


@dataclass(frozen=True, kw_only=True)
class Oscillator:
    """Where a board's clock comes from.

    Attributes
    ----------
    name : str
        The resource of amaranth-boards, or ``"SB_HFOSC"``, the oscillator inside an UltraPlus.
    hz : int
    internal : bool
        Inside the device: accurate to a tenth only (FPGA-DS-02008), too little for a UART without luck.
    """

    name: str
    hz: int
    internal: bool = False


@dataclass(frozen=True, kw_only=True)
class BoardInfo:
    """One board.

    Attributes
    ----------
    name : str
        As in ``--board``: that of its module in amaranth-boards, and its size where there are several.
    device : Device
        In the board's package and speed grade.
    oscillator : Oscillator
    other_clocks : tuple of Oscillator
        Clock resources that are not the default: they may need a jumper.
    uart : tuple of str or None
        Pins (rx, tx) of the board's UART, seen from the device; ``None`` where it has none.
    loader : str or None
        The board's name in openFPGALoader.
    platform : type
        The class in amaranth-boards.
    """

    name: str
    device: Device
    oscillator: Oscillator
    other_clocks: tuple[Oscillator, ...] = ()
    uart: tuple[str, str] | None
    loader: str | None
    platform: type[Any] = field(repr=False)

    @property
    def known(self) -> str:
        """What is known of it: none was tried with a physical board."""
        return "networks built" if self.name in _NETWORKS_BUILT else "small design built"

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "name": self.name,
            "part": self.device.part,
            "device": self.device.name,
            "package": self.device.package,
            "speed": self.device.speed,
            "oscillator": self.oscillator.name,
            "oscillator_hz": self.oscillator.hz,
            "internal_oscillator": self.oscillator.internal,
            "other_clocks": {clock.name: clock.hz for clock in self.other_clocks},
            "uart": None if self.uart is None else {"rx": self.uart[0], "tx": self.uart[1]},
            "openFPGALoader": self.loader,
            "known": self.known,
        }


def list_boards() -> tuple[BoardInfo, ...]:
    """Every board whose device Sterna supports, by name.

    Raises
    ------
    ModuleNotFoundError
        If amaranth-boards is not installed.
    """
    return _boards()


def find_board(name: str) -> BoardInfo:
    """The board called ``name``; case, ``-`` and ``_`` do not matter.

    Raises
    ------
    ValueError
        If there is none, or its device is not supported.
    ModuleNotFoundError
        If amaranth-boards is not installed.
    """
    boards = {_plain(board.name): board for board in list_boards()}
    if found := boards.get(_plain(name)):
        return found
    alike = [board.name for key, board in boards.items() if key.startswith(_plain(name)) and _plain(name)]
    if alike:
        raise InvalidValueError(f"there are several boards {name!r}: choose one of {', '.join(alike)}")
    raise InvalidValueError(f"unknown board {name!r}; `sterna boards` lists those that there are")


def _plain(name: str) -> str:
    return re.sub("[-_ ]", "", name.lower())


@cache
def _boards() -> tuple[BoardInfo, ...]:
    """A board is called after its module; where a module has several sizes, they follow."""
    modules: dict[str, dict[str, BoardInfo]] = {}
    for platform in _platforms():
        name = platform.__module__.rpartition(".")[2].replace("_", "-")
        board = _describe(platform, name)
        if board is not None:
            size = board.device.part.rpartition("-")[2].lower()
            modules.setdefault(name, {})[size] = board  # of two classes for one size, the last
    boards = []
    for name, sizes in modules.items():
        boards += [replace(board, name=f"{name}-{size}" if len(sizes) > 1 else name) for size, board in sizes.items()]
    return tuple(sorted(boards, key=lambda board: board.name))


def _platforms() -> Iterator[type[Any]]:
    """Classes of amaranth-boards for Lattice's devices, but for those that others derive from."""
    import amaranth_boards
    from amaranth.vendor import LatticeECP5Platform, LatticeICE40Platform

    for info in pkgutil.iter_modules(amaranth_boards.__path__, "amaranth_boards."):
        if info.ispkg:
            continue
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if (
                inspect.isclass(value)
                and issubclass(value, LatticeICE40Platform | LatticeECP5Platform)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                yield value


def _describe(platform: type[Any], name: str) -> BoardInfo | None:
    """A board, or ``None`` if its device is not supported."""
    made = platform()
    speed = getattr(made, "speed", None)
    try:
        device = device_of_part(
            str(made.device), package=str(made.package), speed=None if speed is None else int(speed)
        )
    except SternaError:
        return None  # MachXO, or too small an iCE40
    clocks = {
        name: Oscillator(name=name, hz=round(resource.clock.frequency))
        for (name, number), resource in made.resources.items()
        if resource.clock is not None and number == 0
    }
    if made.default_clk == "SB_HFOSC":
        oscillator = Oscillator(name="SB_HFOSC", hz=round(made.default_clk_frequency), internal=True)
    elif made.default_clk in clocks:
        oscillator = clocks.pop(made.default_clk)
    else:
        return None
    return BoardInfo(
        name=name,
        device=device,
        oscillator=oscillator,
        other_clocks=tuple(clocks.values()),
        uart=_uart(made),
        loader=_loader(name),
        platform=platform,
    )


def _uart(made: Any) -> tuple[str, str] | None:
    resource = made.resources.get(("uart", 0))
    if resource is None:
        return None
    pins = {sub.name: sub.ios[0].map_names(made._conn_pins, resource)[0] for sub in resource.ios}
    return str(pins["rx"]), str(pins["tx"])


def _loader(name: str) -> str | None:
    fitting = [start for start in _LOADERS if name.startswith(start)]
    return _LOADERS[max(fitting, key=len)] if fitting else None


def is_pll_pad(device: Device, pin: str) -> bool:
    """Whether a clock that arrives at a pin of an iCE40 has to go through the PLL behind it."""
    return device.family is Family.ICE40 and pin in PLL_PADS.get((device.option, device.package), ())
