"""From the Verilog of a board's top to a bitstream: pins, place and route at a clock, icepack or ecppack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sterna.flow.clock import CriticalPath, clock_hz, critical_path
from sterna.flow.devices import Device, Family, Resource
from sterna.flow.netlist import MULTIPLIERS, instances, leaf_cells, read_netlist
from sterna.flow.pack import Utilization, nextpnr_arguments, nextpnr_of, pack_in, read_result, router_arguments
from sterna.flow.synth import check_fit
from sterna.flow.toolchain import Tool, run_tool, tool_version
from sterna.net.container import replacing
from sterna.net.errors import InvalidValueError

__all__ = ["SUFFIXES", "ClockMissed", "Packed", "Pin", "Routed", "constraints", "pack_top", "route", "write_bitstream"]

#: How the file of a family's bitstreams ends.
SUFFIXES = {Family.ICE40: ".bin", Family.ECP5: ".bit"}


class ClockMissed(InvalidValueError):
    """Place and route did not reach the clock that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """Where a port of the top goes.

    Attributes
    ----------
    port : str
    site : str
        The device's pin: ``"35"``, ``"G2"``.
    attributes : dict[str, str]
        Of the pin's buffer, by the family's names (``IO_TYPE``, ``PULLMODE``; ``PULLUP``).
    clock_hz : int or None
        The frequency of a clock that comes in there.
    """

    port: str
    site: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    clock_hz: int | None = None


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A board's top before it is placed, in a folder.

    Attributes
    ----------
    work : Path
    top : str
    device : Device
    units : tuple of str
        Instances in the top module.
    utilization : dict[Resource, tuple[int, int]]
        Used and available.
    arguments : tuple of str
        What nextpnr is called with, whatever the seed.
    """

    work: Path
    top: str
    device: Device
    units: Sequence[str]
    utilization: Utilization
    arguments: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A board's top, placed and routed with one seed.

    Attributes
    ----------
    packed : Packed
    seed : int
    reached_hz : float
        The clock of the slowest path.
    asked_hz : float
        What nextpnr took as the clock asked for: of a PLL, by its own reading of the dividers.
    path : CriticalPath or None
    config : str
        The file in the folder that the bitstream is packed from.
    """

    packed: Packed
    seed: int
    reached_hz: float
    asked_hz: float
    path: CriticalPath | None
    config: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        packed, nextpnr = self.packed, nextpnr_of(self.packed.device)
        device = packed.device
        return {
            "device": {
                "name": device.name,
                "part": device.part,
                "package": device.package,
                "speed": device.speed,
            },
            "utilization": {
                resource.name.lower(): {"used": used, "available": available}
                for resource, (used, available) in packed.utilization.items()
                if available
            },
            "reached_hz": round(self.reached_hz),
            "seed": self.seed,
            "critical_path": self.path.to_json() if self.path else None,
            "tools": {"yosys": tool_version(Tool.YOSYS), nextpnr.value.lower(): tool_version(nextpnr)},
            "commands": [
                "yosys -q -s synth.ys",
                f"{nextpnr.value.lower()} {' '.join(packed.arguments)} --seed {self.seed}",
            ],
        }


def constraints(family: Family, pins: Sequence[Pin]) -> str:
    """Pins in the form of the family's files: PCF (iCE40) or LPF (ECP5).

    Raises
    ------
    ValueError
        If two ports go to one pin.
    """
    sites = [pin.site for pin in pins]
    for pin in pins:
        if sites.count(pin.site) > 1:
            both = ", ".join(other.port for other in pins if other.site == pin.site)
            raise InvalidValueError(
                f"pin {pin.site} is given to several ports ({both}); choose another for one of them"
            )
    lines = [line for pin in pins for line in (_pcf(pin) if family is Family.ICE40 else _lpf(pin))]
    return "\n".join(lines) + "\n"


def _pcf(pin: Pin) -> list[str]:
    # nextpnr reads no other attribute from here, and none but these says anything of a pin that is not differential.
    pull = " -pullup yes" if str(pin.attributes.get("PULLUP", "0")) == "1" else ""
    lines = [f"set_io{pull} {pin.port} {pin.site}"]
    return lines if pin.clock_hz is None else [*lines, f"set_frequency {pin.port} {pin.clock_hz / 1e6:.6f}"]


def _lpf(pin: Pin) -> list[str]:
    lines = [f'LOCATE COMP "{pin.port}" SITE "{pin.site}";']
    if pin.attributes:
        settings = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
        lines.append(f'IOBUF PORT "{pin.port}" {settings};')
    return lines if pin.clock_hz is None else [*lines, f'FREQUENCY PORT "{pin.port}" {pin.clock_hz / 1e6:.6f} MHZ;']


def pack_top(
    verilog: str,
    *,
    top: str,
    device: Device,
    pins: Sequence[Pin],
    work: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> Packed:
    """Synthesize and pack a board's top; the netlist gets the same passes as a block's (:mod:`sterna.flow.pack`).

    Parameters
    ----------
    verilog : str
        Its ports have one bit each, and a pin each.
    top : str
    device : Device
        In the board's package.
    pins : sequence of Pin
    work : path
        An empty folder.
    progress : function of str
        Called with the name of each step.

    Raises
    ------
    DoesNotFit
        If the design is too large for the device.
    ValueError
        If ports and pins do not go together, or the design multiplies.
    ToolError
        If a tool is missing or fails.
    """
    (work / "top.v").write_text(verilog, encoding="utf-8")
    utilization, _ = pack_in(
        work, work / "top.v", top=top, device=device, pins=constraints(device.family, pins), progress=progress
    )
    check_fit(top, device, utilization)
    netlist = read_netlist(work / "generic.json")
    _check_ports(netlist[top]["ports"], top, pins)
    _check_no_multiplier(netlist, top, utilization)
    return Packed(
        work=work,
        top=top,
        device=device,
        units=instances(netlist, top),
        utilization=utilization,
        arguments=[*nextpnr_arguments(top, device, None, pins=True), *router_arguments(device, utilization)],
    )


def route(packed: Packed, *, seed: int) -> Routed:
    """Place and route a packed top.

    The clock that is asked for is that of the pins, or what the top's PLL makes of it, as nextpnr derives it. Whether
    it was reached is for :func:`write_bitstream` to check.

    Raises
    ------
    ValueError
        If there is nothing to clock.
    ToolError
        If a tool is missing or fails.
    """
    device, config, report = packed.device, f"nextpnr-{seed}.config", f"nextpnr-{seed}.json"
    written = ["--asc" if device.family is Family.ICE40 else "--textcfg", config, "--report", report]
    arguments = [*packed.arguments, "--seed", str(seed), *written]
    run_tool(nextpnr_of(device), arguments, cwd=packed.work, log=f"nextpnr-{seed}.log")
    content = read_result(packed.work / report)
    reached = clock_hz(content)
    if reached is None:
        raise InvalidValueError(f"{packed.top} has no register, so there is nothing to clock on a board")
    return Routed(
        packed=packed,
        seed=seed,
        reached_hz=reached,
        asked_hz=1e6 * max(clock["constraint"] for clock in content["fmax"].values()),
        path=critical_path(content, seed=seed, units=packed.units),
        config=config,
    )


def _check_ports(ports: Mapping[str, Any], top: str, pins: Sequence[Pin]) -> None:
    """nextpnr says which port has no pin, but not which pin has no port."""
    for pin in pins:
        if pin.port not in ports:
            raise InvalidValueError(f"{top} has no port {pin.port!r} to give pin {pin.site} to")
    for name, port in ports.items():
        if len(port["bits"]) != 1:
            raise InvalidValueError(f"port {name!r} of {top} has {len(port['bits'])} bits; a pin takes one")


def _check_no_multiplier(netlist: Mapping[str, Any], top: str, utilization: Utilization) -> None:
    found = sum(kind in MULTIPLIERS for _, kind in leaf_cells(netlist, top))
    found += utilization.get(Resource.DSPS, (0, 0))[0]
    if found:
        raise InvalidValueError(f"{top} holds {found} multiplications or DSP blocks; a Sterna design has none")


def write_bitstream(routed: Routed, out: Path, *, asked_hz: float) -> int:
    """Pack a routed design's bitstream; ``out`` is there whole or not at all.

    Parameters
    ----------
    routed : Routed
        Its folder is still there.
    out : path
        Its folder is made if it is not there.
    asked_hz : float
        The clock that it will run at.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    ClockMissed
        If place and route reached less; the message says what would do.
    ToolError
        If the tool is missing or fails.
    """
    if routed.reached_hz < asked_hz:
        where = f" (through {' → '.join(routed.path.components)})" if routed.path else ""
        raise ClockMissed(
            f"place and route reached {routed.reached_hz / 1e6:.2f} MHz{where}, not the {asked_hz / 1e6:.2f} MHz that "
            "were asked for: ask for a lower --clock, try more --seeds, or choose fewer lanes or another board"
        )
    work = routed.packed.work
    if routed.packed.device.family is Family.ICE40:
        run_tool(Tool.ICEPACK, [routed.config, "packed.bin"], cwd=work, log="icepack.log")
    else:
        options = ["--compress", "--input", routed.config, "--bit", "packed.bin"]
        run_tool(Tool.ECPPACK, options, cwd=work, log="ecppack.log")
    content = (work / "packed.bin").read_bytes()
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as beside:
        beside.write_bytes(content)
    return len(content)
