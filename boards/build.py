# amaranth: UnusedElaboratable=no
"""From what talks over a UART to a bitstream for a board: clock, top, place and route, the clock that was reached."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sterna.boards.catalog import BoardInfo, Oscillator, is_pll_pad
from sterna.boards.clock import ClockSource, PllInput, hold_cycles
from sterna.boards.pins import BoardPins, UartPins, board_pins
from sterna.boards.pll import LIMITS, PllSetting, highest_setting
from sterna.boards.top import BoardTop, emit_top
from sterna.flow.bitstream import Routed, pack_top, route, write_bitstream
from sterna.flow.devices import Family
from sterna.net.container import write_text
from sterna.net.errors import InvalidValueError

__all__ = ["BoardBuild", "build_bitstream", "choose_clock", "make_top"]

SCHEMA = "sterna-bitstream-1"
# Without a clock asked for: so many clocks are tried below what the first placement reached, each by this share below
# what the last one did, since no two placements are alike.
_ROUNDS, _MARGIN = 4, 0.02
# How much faster the oscillator inside an UltraPlus may be than it says (FPGA-DS-02008).
_INTERNAL_TOLERANCE = 0.1
# Clocks that a core does not take (they do not divide into its baud rate) are passed over down to this share.
_LOWEST_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class BoardBuild:
    """A bitstream, and what is known of it.

    Attributes
    ----------
    board : BoardInfo
    oscillator : Oscillator
    pins : BoardPins
    setting : PllSetting or None
        ``None``: the design runs at the oscillator's frequency, without a PLL.
    clock_hz : float
        What the design runs at.
    routed : Routed
        Of the clock and the seed that were taken.
    attempts : tuple of (float, int, float)
        Clock asked for, seed, and clock reached, of every placement.
    out : Path
        The bitstream.
    size : int
        Its bytes.
    about : mapping
        What else the report says.
    """

    board: BoardInfo
    oscillator: Oscillator
    pins: BoardPins
    setting: PllSetting | None
    clock_hz: float
    routed: Routed
    attempts: tuple[tuple[float, int, float], ...]
    out: Path
    size: int
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        pll = (
            None
            if self.setting is None
            else {
                "parameters": dict(self.setting.parameters),
                "comparator_hz": float(self.setting.comparator_hz),
                "vco_hz": float(self.setting.vco_hz),
            }
        )
        return {
            "schema": SCHEMA,
            "board": self.board.name,
            "oscillator": self.oscillator.name,
            "oscillator_hz": self.oscillator.hz,
            "clock_hz": self.clock_hz,
            "pll": pll,
            "pins": {pin.port: pin.site for pin in self.pins.pins},
            **self.routed.to_json(),
            "attempts": [
                {"asked_hz": asked, "seed": seed, "reached_hz": round(reached)}
                for asked, seed, reached in self.attempts
            ],
            "bitstream": self.out.name,
            "bitstream_bytes": self.size,
            **self.about,
        }


def choose_clock(family: Family, oscillator_hz: int, at_most_hz: float) -> PllSetting | None:
    """The highest clock not above ``at_most_hz`` that a board has: of its PLL, or (``None``) of its oscillator.

    Raises
    ------
    ValueError
        If even the lowest is above.
    """
    if abs(at_most_hz - oscillator_hz) < 1:
        return None
    low, high = LIMITS[family].input
    if oscillator_hz < at_most_hz and not low <= oscillator_hz <= high:
        return None
    try:
        setting = highest_setting(family, oscillator_hz, at_most_hz)
    except InvalidValueError:
        if oscillator_hz <= at_most_hz:
            return None
        raise
    return None if setting.output_hz <= oscillator_hz <= at_most_hz else setting


def make_top(
    core: Any, *, board: BoardInfo, oscillator: Oscillator, pins: BoardPins, setting: PllSetting | None
) -> BoardTop:
    """The top of a board's design around a core (see :class:`BoardTop`)."""
    family, clock_hz = board.device.family, _hz(setting, oscillator)
    if family is Family.ECP5:
        pll_input = PllInput.ECP5
    else:
        site = pins.clock_site
        pll_input = PllInput.PAD if site is not None and is_pll_pad(board.device, site) else PllInput.CORE
    return BoardTop(
        core=core,
        source=ClockSource(setting=setting, pll_input=pll_input, internal=oscillator.internal),
        hold=hold_cycles(family, clock_hz, internal=oscillator.internal),
        reset_pin=pins.reset_high,
    )


def build_bitstream(
    core_of: Callable[[float], Any],
    *,
    board: BoardInfo,
    name: str,
    out: Path,
    clock_hz: float | None = None,
    oscillator: Oscillator | None = None,
    uart: UartPins | None = None,
    seeds: int = 3,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> BoardBuild:
    """Make a bitstream.

    With a clock, seeds are tried until one reaches it. Without one, the design is first placed and routed for the
    device's own target, which is above what it reaches; then for the highest clock of the board that is some percent
    below what was reached, with one seed after the other; and if none of them reached it, for one below again.

    Parameters
    ----------
    core_of : function
        Makes the core for a clock in Hz. If it refuses a clock (:exc:`ValueError`), the next lower one is tried.
    board : BoardInfo
    name : str
        Of the top module.
    out : path
        The bitstream; beside it are the top's Verilog (``.v``) and the report (``.json``).
    clock_hz : float, optional
        The clock asked for: the design gets the highest that the board has and that is not above it.
    oscillator : Oscillator, optional
        By default the board's own.
    uart : UartPins, optional
        By default the board's own.
    seeds : int
        So many are tried for a clock.
    about : mapping, optional
        What else the report says.
    progress : function of str
        Called with the name of each step.

    Raises
    ------
    ClockMissed
        If the clock was not reached. Nothing is written then, nor after any other error.
    DoesNotFit
        If the design is too large for the device.
    ValueError
        If the board has no such clock, or no UART and none is given.
    ToolError
        If a tool is missing or fails.
    """
    if seeds < 1:
        raise InvalidValueError(f"seeds must be a positive integer, not {seeds}")
    oscillator = oscillator or board.oscillator
    pins = board_pins(board, oscillator, uart)
    with tempfile.TemporaryDirectory(prefix="sterna-bitstream-") as folder:
        search = _Search(core_of, board, oscillator, pins, name, Path(folder), progress)
        found = search.highest(seeds) if clock_hz is None else search.routed(clock_hz, seeds)
        if found.reached:
            _forget(out)
        size = write_bitstream(found.best, out, asked_hz=found.needed_hz)
    build = BoardBuild(
        board=board,
        oscillator=oscillator,
        pins=pins,
        setting=found.setting,
        clock_hz=found.hz,
        routed=found.best,
        attempts=tuple(search.attempts),
        out=out,
        size=size,
        about=about or {},
    )
    write_text(out.with_suffix(".v"), found.verilog)
    write_text(out.with_suffix(".json"), json.dumps(build.to_json(), indent=2) + "\n")
    return build


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A design for a clock, what place and route has to reach for it, and the best of its placements."""

    setting: PllSetting | None
    hz: float
    needed_hz: float
    verilog: str
    best: Routed

    @property
    def reached(self) -> bool:
        return self.best.reached_hz >= self.needed_hz


@dataclass
class _Search:
    """Places and routes a board's design for one clock after the other."""

    core_of: Callable[[float], Any]
    board: BoardInfo
    oscillator: Oscillator
    pins: BoardPins
    name: str
    folder: Path
    progress: Callable[[str], None]
    attempts: list[tuple[float, int, float]] = field(default_factory=list)

    def highest(self, seeds: int) -> _Found:
        """The highest clock that is reached, if any is after some rounds."""
        found = self.routed(self.board.device.target_hz, 1)
        for _ in range(_ROUNDS):
            if found.reached:
                break
            # At least one step lower, whatever was reached.
            reached = found.best.reached_hz * found.hz / found.needed_hz
            found = self.routed(min(reached * (1 - _MARGIN), found.hz - 1), seeds)
        return found

    def routed(self, at_most_hz: float, seeds: int) -> _Found:
        """A design for the highest clock not above one, with the first seed that reaches it, or else the best."""
        setting, core = self._core(at_most_hz)
        hz = _hz(setting, self.oscillator)
        needed = hz * (1 + _INTERNAL_TOLERANCE) if self.oscillator.internal else hz
        top = make_top(core, board=self.board, oscillator=self.oscillator, pins=self.pins, setting=setting)
        verilog = emit_top(top, name=self.name)
        work = Path(tempfile.mkdtemp(dir=self.folder))
        self.progress(f"{hz / 1e6:.2f} MHz: synthesis")
        packed = pack_top(verilog, top=self.name, device=self.board.device, pins=self.pins.pins, work=work)
        tried: list[Routed] = []
        for seed in range(1, seeds + 1):
            self.progress(f"{hz / 1e6:.2f} MHz: place and route, seed {seed}")
            tried.append(route(packed, seed=seed))
            self.attempts.append((hz, seed, tried[-1].reached_hz))
            if tried[-1].reached_hz >= needed:
                break
        best = max(tried, key=lambda routed: routed.reached_hz)
        return _Found(setting=setting, hz=hz, needed_hz=needed, verilog=verilog, best=best)

    def _core(self, at_most_hz: float) -> tuple[PllSetting | None, Any]:
        """The highest clock that the board has and the core takes, and the core for it."""
        refused: InvalidValueError | None = None
        limit = at_most_hz
        while limit > at_most_hz * _LOWEST_SHARE:
            setting = choose_clock(self.board.device.family, self.oscillator.hz, limit)
            try:
                return setting, self.core_of(_hz(setting, self.oscillator))
            except InvalidValueError as error:
                refused = refused or error
                limit = _hz(setting, self.oscillator) - 2
        assert refused is not None
        raise refused


def _hz(setting: PllSetting | None, oscillator: Oscillator) -> float:
    return float(oscillator.hz if setting is None else setting.output_hz)


def _forget(out: Path) -> None:
    """Remove what is said of an earlier bitstream: what lies beside a bitstream is always of that bitstream."""
    for suffix in (".json", ".v"):
        out.with_suffix(suffix).unlink(missing_ok=True)
