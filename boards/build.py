"""From what talks over a UART to a bitstream for a board: clock, top, place and route, the clock that was reached."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sterna.boards.catalog import BoardInfo, Oscillator, is_pll_pad
from sterna.boards.clock import ClockSource, PllInput, hold_cycles
from sterna.boards.pins import BoardPins, UartPins, board_pins
from sterna.boards.pll import LIMITS, PllSetting, highest_setting
from sterna.boards.top import BoardTop, emit_top
from sterna.flow.bitstream import ClockMissed, Routed, place_and_route, write_bitstream
from sterna.flow.devices import Family
from sterna.net.container import write_text
from sterna.net.errors import InvalidValueError

__all__ = ["BoardBuild", "build_bitstream", "choose_clock", "make_top"]

SCHEMA = "sterna-bitstream-1"
# Without a clock asked for: so often a design is placed and routed at most, each time for what the last reached.
_PASSES = 4


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
        Of the last pass.
    attempts : tuple of (float, int, float)
        Clock asked for, seed, and clock reached, of every pass.
    out : Path
        The bitstream.
    size : int
        Its bytes.
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
    return None if setting.output_hz < oscillator_hz <= at_most_hz else setting


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
    progress: Callable[[str], None] = lambda step: None,
) -> BoardBuild:
    """Make a bitstream.

    Without a clock, the design is first placed and routed for the device's own target, which is above what it reaches;
    then for the highest clock of the board that is not above what was reached, until it is reached: usually the second
    pass is the last. With a clock, seeds are tried until one reaches it.

    Parameters
    ----------
    core_of : function
        Makes the core for a clock in Hz; called once a pass.
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
        So many are tried for a clock that is asked for.
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
    device, pins = board.device, board_pins(board, oscillator, uart)
    target_hz = device.target_hz if clock_hz is None else clock_hz
    setting = choose_clock(device.family, oscillator.hz, target_hz)
    attempts: list[tuple[float, int, float]] = []
    with tempfile.TemporaryDirectory(prefix="sterna-bitstream-") as folder:
        while True:
            asked = _hz(setting, oscillator)
            seed = len(attempts) + 1 if clock_hz is not None else 1
            top = make_top(core_of(asked), board=board, oscillator=oscillator, pins=pins, setting=setting)
            verilog = emit_top(top, name=name)
            work = Path(folder) / str(len(attempts))
            work.mkdir()
            progress(f"pass {len(attempts) + 1}, {asked / 1e6:.2f} MHz")
            routed = place_and_route(
                verilog, top=name, device=device, pins=pins.pins, work=work, seed=seed, progress=progress
            )
            attempts.append((asked, seed, routed.reached_hz))
            last = len(attempts) == (_PASSES if clock_hz is None else seeds)
            if routed.reached_hz >= asked or last:
                break
            if clock_hz is None:
                setting = _lower(device.family, oscillator, routed.reached_hz, asked)
        _forget(out)
        size = write_bitstream(routed, work=work, out=out, asked_hz=asked)
    build = BoardBuild(
        board=board,
        oscillator=oscillator,
        pins=pins,
        setting=setting,
        clock_hz=asked,
        routed=routed,
        attempts=tuple(attempts),
        out=out,
        size=size,
    )
    write_text(out.with_suffix(".v"), verilog)
    write_text(out.with_suffix(".json"), json.dumps(build.to_json(), indent=2) + "\n")
    return build


def _hz(setting: PllSetting | None, oscillator: Oscillator) -> float:
    return float(oscillator.hz if setting is None else setting.output_hz)


def _lower(family: Family, oscillator: Oscillator, reached: float, asked: float) -> PllSetting | None:
    """The next clock to ask for."""
    try:
        return choose_clock(family, oscillator.hz, reached)
    except InvalidValueError as error:
        raise ClockMissed(
            f"place and route reached {reached / 1e6:.2f} MHz of {asked / 1e6:.2f}, and {error}"
        ) from None


def _forget(out: Path) -> None:
    """Remove what is said of an earlier bitstream: what lies beside a bitstream is always of that bitstream."""
    for suffix in (".json", ".v"):
        out.with_suffix(suffix).unlink(missing_ok=True)
