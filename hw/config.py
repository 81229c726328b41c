"""What a user chooses about an accelerator."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from sterna.net.checks import check_integer
from sterna.net.errors import InvalidTypeError, InvalidValueError

MAX_ELEMENTS_PER_BEAT = 4096
#: Stands for all nodes in ``AcceleratorConfig.load`` and ``units``.
ALL = "all"
#: The usual kind of unit in ``AcceleratorConfig.units``.
FOLDED = "folded"
#: Share of a layer's steps that may be given for fewer index bits.
SLACK = 0.005
#: Bits that a stream of escapes has to save: its counter, decoder and (if it is short) table take dozens of LUTs.
ESCAPE_PRICE = 384
#: Widest distance in an index word.
MAX_RUN_WIDTH = 10
#: Most room for other weights, in steps of a network's own.
MAX_ROOM = 64
#: Levels of adders between registers.
ADDER_LEVELS = 2
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Room:
    """What the hardware of a layer has room for whose weights a host may replace.

    Attributes
    ----------
    run_width : int
        Bits of a distance in an index word.
    steps : int
        Cycles of a frame: index words.
    """

    run_width: int
    steps: int

    def __post_init__(self) -> None:
        check_integer(self.run_width, "run_width", low=1, high=MAX_RUN_WIDTH)
        check_integer(self.steps, "steps", low=2)


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig:
    """Configuration of an accelerator.

    Parameters
    ----------
    lanes : int, sequence of int, optional
        Lanes of every layer, or of each. Without them they are derived: from ``fps`` and ``clock_hz``, or so that no
        layer takes longer than the input takes to arrive.
    elements_per_beat : int
        Input elements in one beat: a power of two, or all that there are.
    argmax : bool
        Give the index of the highest score (the lowest index among equals) instead of the scores.
    fps : float, optional
        Frames a second to derive lanes for. Needs ``clock_hz``.
    clock_hz : float, optional
        Clock to derive lanes for.
    cycles : int, optional
        Cycles of a frame to derive lanes for, as far as a layer can reach them; with ``lanes``, those for which what
        else is chosen is enough.
    slack : float
        Share of a layer's steps that the schedule may give for fewer index bits.
    escape_price : int
        Bits of index memory that a stream of escapes has to save to be worth its logic (docs/hardware.md, Format).
    load : sequence of str
        Nodes whose index words are loaded when the accelerator starts, and are not in the bitstream (docs/hardware.md,
        "Loaded words"); ``("all",)`` for all that have some.
    loadable : float, or mapping of str to Room, optional
        Other weights of the same shapes can be loaded while the accelerator runs (docs/hardware.md, "Other networks").
        A number, 1 or more: room for so many times the steps that this network's layers take. Or the room itself, by
        node, as :attr:`AcceleratorPlan.rooms` says it of a plan.
    compact : bool
        Build convolutions for logic cells that give out either their table or the register behind it (iCE40): fewer of
        them, at a lower clock. On an ECP5 they are larger.
    adder_levels : int
        Levels of adders of an unrolled unit between registers: with more, fewer registers and a lower clock.
    units : mapping of str to str
        Kind of unit of a node: ``{"fc1": "bitserial"}``. ``"folded"`` is the usual one, and ``"all"`` stands for all
        nodes of which there are such units.
    name : str, optional
        Name of the top module and of the files; a Verilog identifier.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or value.
    """

    lanes: int | Sequence[int] | None = None
    elements_per_beat: int = 1
    argmax: bool = False
    fps: float | None = None
    clock_hz: float | None = None
    cycles: int | None = None
    slack: float = SLACK
    escape_price: int = ESCAPE_PRICE
    load: Sequence[str] = ()
    loadable: float | Mapping[str, Room] | None = None
    compact: bool = False
    adder_levels: int = ADDER_LEVELS
    units: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None

    def __post_init__(self) -> None:
        if self.lanes is not None:
            if isinstance(self.lanes, str):
                raise InvalidTypeError(f"lanes must be a positive integer or a sequence of them, not {self.lanes!r}")
            lanes = self.lanes if isinstance(self.lanes, Sequence) else (self.lanes,)
            checked = tuple(check_integer(count, "lanes", low=1) for count in lanes)
            object.__setattr__(self, "lanes", checked if isinstance(self.lanes, Sequence) else checked[0])
        elements = check_integer(self.elements_per_beat, "elements_per_beat", low=1)
        if elements > MAX_ELEMENTS_PER_BEAT:
            raise InvalidValueError(f"elements_per_beat must be at most {MAX_ELEMENTS_PER_BEAT}, not {elements}")
        object.__setattr__(self, "elements_per_beat", elements)
        if (self.fps is None) != (self.clock_hz is None):
            raise InvalidValueError("fps and clock_hz go together: lanes are derived from the cycles of a frame")
        for what, value in (("fps", self.fps), ("clock_hz", self.clock_hz)):
            if value is not None and not value > 0:
                raise InvalidValueError(f"{what} must be above 0, not {value}")
            if value is not None and value > sys.float_info.max:
                raise InvalidValueError(f"{what} must be finite, not {value}")
        if self.fps is not None and self.clock_hz is not None and self.clock_hz / self.fps > sys.float_info.max:
            raise InvalidValueError(
                f"{self.fps} frames/s at {self.clock_hz} Hz leave no finite number of cycles a frame"
            )
        if self.lanes is not None and self.fps is not None:
            raise InvalidValueError("give lanes or fps, not both")
        if self.cycles is not None:
            object.__setattr__(self, "cycles", check_integer(self.cycles, "cycles", low=1))
            if self.fps is not None:
                raise InvalidValueError("give cycles or fps, not both")
        if not 0 <= self.slack <= 1:
            raise InvalidValueError(f"slack must be from 0 to 1, not {self.slack}")
        object.__setattr__(self, "escape_price", check_integer(self.escape_price, "escape_price", low=0))
        object.__setattr__(self, "adder_levels", check_integer(self.adder_levels, "adder_levels", low=1))
        if isinstance(self.load, str) or not all(isinstance(name, str) for name in self.load):
            raise InvalidTypeError(f"load must be a sequence of names of nodes, not {self.load!r}")
        object.__setattr__(self, "load", tuple(self.load))
        self._check_loadable()
        if not isinstance(self.units, Mapping) or not all(
            isinstance(part, str) for pair in self.units.items() for part in pair
        ):
            raise InvalidTypeError(f"units must map names of nodes to names of units, not {self.units!r}")
        object.__setattr__(self, "units", MappingProxyType(dict(self.units)))
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise InvalidValueError(f"name must be a Verilog identifier, not {self.name!r}")

    def _check_loadable(self) -> None:
        if self.loadable is None:
            return
        if self.load:
            raise InvalidValueError("give load or loadable, not both: what is loadable is loaded as a whole")
        if isinstance(self.loadable, Mapping):
            if not self.loadable or not all(isinstance(room, Room) for room in self.loadable.values()):
                raise InvalidTypeError(
                    f"loadable must be a number, or map names of nodes to rooms, not {self.loadable!r}"
                )
            object.__setattr__(self, "loadable", MappingProxyType(dict(self.loadable)))
        elif isinstance(self.loadable, bool) or not isinstance(self.loadable, int | float):
            raise InvalidTypeError(f"loadable must be a number, or map names of nodes to rooms, not {self.loadable!r}")
        elif not 1 <= self.loadable <= MAX_ROOM:
            raise InvalidValueError(f"loadable must be 1 to {MAX_ROOM}, not {self.loadable}")

    def unit_options(self, node: str) -> dict[str, Any]:
        """What a kind of unit takes of it for a node."""
        loaded = node in self.load or tuple(self.load) == (ALL,)
        return {
            "slack": self.slack,
            "escape_price": self.escape_price,
            "loaded": loaded,
            "room": self.loadable.get(node) if isinstance(self.loadable, Mapping) else self.loadable,
            "compact": self.compact,
            "adder_levels": self.adder_levels,
        }

    def as_json(self) -> dict[str, Any]:
        """Its fields, for a file."""
        lanes = list(self.lanes) if isinstance(self.lanes, Sequence) else self.lanes
        return {
            "lanes": lanes,
            "elements_per_beat": self.elements_per_beat,
            "argmax": self.argmax,
            "fps": self.fps,
            "clock_hz": self.clock_hz,
            "cycles": self.cycles,
            "slack": self.slack,
            "escape_price": self.escape_price,
            "load": list(self.load),
            "loadable": {name: asdict(room) for name, room in self.loadable.items()}
            if isinstance(self.loadable, Mapping)
            else self.loadable,
            "compact": self.compact,
            "adder_levels": self.adder_levels,
            "units": dict(self.units),
        }


def identifier(text: str) -> str:
    """A Verilog identifier like ``text``."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return name if _NAME.fullmatch(name) else f"n_{name}"
