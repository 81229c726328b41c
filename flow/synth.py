"""Synthesis, place and route of emitted Verilog with Yosys and nextpnr, and a report made from their JSON alone.

A block is judged, not a board: ports wider than one bit get no pins, and the clock is that of the paths between
registers.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sterna.flow.clock import Clock, CriticalPath, clock_hz, critical_path
from sterna.flow.devices import Device, Family, Resource, find_device
from sterna.flow.netlist import (
    LATCHES,
    MULTIPLIERS,
    TOP,
    Resources,
    count_resources,
    instances,
    leaf_cells,
    read_netlist,
    unit_of,
)
from sterna.flow.output_registers import OutputRegisters
from sterna.flow.pack import Utilization, nextpnr_arguments, nextpnr_of, pack_in, read_result, router_arguments
from sterna.flow.toolchain import Run, Tool, run_tools, tool_version
from sterna.net.errors import InvalidTypeError, InvalidValueError

__all__ = ["REPORT", "DoesNotFit", "SynthesisReport", "check_fit", "check_no_multiplier", "synthesize"]

#: The report's name in the output folder.
REPORT = "report.json"
SCHEMA = "sterna-synthesis-1"

# Clocks that nextpnr takes, and a device can be meant to reach.
_MIN_HZ, _MAX_HZ = 1e3, 1e10

# Places and routes at once: each takes a core and, for a large ECP5, about 1 GB.
_PROCESSES = 2


class DoesNotFit(InvalidValueError):
    """A design needs more of something than the device has."""


@dataclass(frozen=True, kw_only=True)
class SynthesisReport:
    """What a design takes up in a device, and the clock it reaches there.

    Attributes
    ----------
    top : str
        Name of the top module.
    device : Device
    total : Resources
    units : dict[str, Resources]
        The same by instance in the top module; ``"(top)"`` for the cells between them, and those that nextpnr adds.
        They sum up to ``total``. The netlist is flattened: a cell belongs to the unit that Yosys names it after.
    utilization : dict[Resource, tuple[int, int]]
        Used and available, as nextpnr counts them after packing.
    multipliers, latches : dict[str, int]
        Word-level cells left after ``proc; opt``, by type; empty where there are none.
    clock : Clock or None
        ``None`` for a design without registers.
    critical_path : CriticalPath or None
        Of the seed at the median.
    output_registers : OutputRegisters or None
        What :func:`fold_output_registers` did; ``None`` where it was not asked to do anything.
    verilog_sha256 : str
        Of the Verilog.
    network_digest : str or None
        From the JSON file beside the Verilog, where there is one.
    tools : dict[str, str]
        Versions.
    commands : list[str]
        What was run in the output folder.
    """

    top: str
    device: Device
    total: Resources
    units: Mapping[str, Resources]
    utilization: Mapping[Resource, tuple[int, int]]
    multipliers: Mapping[str, int]
    latches: Mapping[str, int]
    clock: Clock | None
    critical_path: CriticalPath | None
    output_registers: OutputRegisters | None
    verilog_sha256: str
    network_digest: str | None
    tools: Mapping[str, str]
    commands: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "schema": SCHEMA,
            "top": self.top,
            "network_digest": self.network_digest,
            "verilog_sha256": self.verilog_sha256,
            "device": {
                "name": self.device.name,
                "part": self.device.part,
                "family": self.device.family.value,
                "package": self.device.package,
                "speed": self.device.speed,
            },
            "total": self.total.to_json(),
            "units": {name: resources.to_json() for name, resources in self.units.items()},
            "utilization": {
                resource.name.lower(): {"used": used, "available": available, "share": round(used / available, 4)}
                for resource, (used, available) in self.utilization.items()
                if available
            },
            "multipliers": dict(self.multipliers),
            "latches": dict(self.latches),
            "clock": self.clock.to_json() if self.clock else None,
            "critical_path": self.critical_path.to_json() if self.critical_path else None,
            "output_registers": self.output_registers.to_json() if self.output_registers else None,
            "tools": dict(self.tools),
            "commands": list(self.commands),
        }


def check_no_multiplier(report: SynthesisReport) -> None:
    """Check that the design multiplies nowhere: no DSP block, no multiplication, division or modulo, and no latch.

    Raises
    ------
    ValueError
        If it does; the message names the cells.
    """
    found = [f"{number} {kind}" for kind, number in {**report.multipliers, **report.latches}.items()]
    if report.total.dsps:
        found.append(f"{report.total.dsps} DSP blocks")
    if found:
        raise InvalidValueError(
            f"{report.top} holds {', '.join(found)}; a Sterna design has no multiplier and no latch"
        )


def synthesize(
    verilog: Path,
    *,
    top: str,
    device: Device | str,
    out_dir: Path,
    seeds: Sequence[int] = (1,),
    freq: float | None = None,
    output_registers: bool = True,
    progress: Callable[[str], None] = lambda step: None,
) -> SynthesisReport:
    """Synthesize, place and route the module ``top`` of the file ``verilog``.

    ``out_dir`` gets the report (``report.json``), the netlist that is placed (``mapped.json``), nextpnr's reports and
    the logs; all or, if anything fails, none of them.

    Parameters
    ----------
    verilog : Path
    top : str
        Name of the top module.
    device : Device or str
    out_dir : Path
    seeds : sequence of int
        Place and route once with each; the report quotes the median clock.
    freq : float, optional
        Clock to ask place and route for, in Hz, 1e3 to 1e10. By default the device's ``target_hz``.
    output_registers : bool
        Fold the registers behind block RAMs into the RAMs (:mod:`sterna.flow.output_registers`), where the family has
        such registers.
    progress : function of str
        Called with the name of each step.

    Raises
    ------
    FileNotFoundError
        If there is no such Verilog file.
    DoesNotFit
        If the design is too large for the device.
    ToolError
        If a tool is missing or fails.
    """
    device = find_device(device) if isinstance(device, str) else device
    seeds = _check_seeds(seeds)
    _check_freq(freq)
    verilog = Path(verilog)
    if not verilog.is_file():
        raise FileNotFoundError(f"no Verilog file {verilog}; make it with `sterna generate`")
    nextpnr = nextpnr_of(device)
    tools = {"yosys": tool_version(Tool.YOSYS), nextpnr.value.lower(): tool_version(nextpnr)}
    arguments = nextpnr_arguments(top, device, freq)
    with _staging(Path(out_dir)) as work:
        utilization, registers = pack_in(
            work, verilog, top=top, device=device, freq=freq, output_registers=output_registers, progress=progress
        )
        check_fit(top, device, utilization)
        arguments += router_arguments(device, utilization)

        progress(f"nextpnr: place and route, {len(seeds)} seed{'s' * (len(seeds) > 1)}")
        routed = _route(nextpnr, arguments, seeds, work)
        generic = read_netlist(work / "generic.json")
        names = instances(generic, top)
        words = Counter(kind for _, kind in leaf_cells(generic, top))
        total, units = _resources(device.family, work, top, names)
        clocks = {seed: hz for seed, result in routed.items() if (hz := clock_hz(result)) is not None}
        clock = Clock(by_seed=clocks) if clocks else None

        report = SynthesisReport(
            top=top,
            device=device,
            total=total,
            units=units,
            utilization=utilization,
            multipliers={kind: words[kind] for kind in MULTIPLIERS if words[kind]},
            latches={kind: words[kind] for kind in LATCHES if words[kind]},
            clock=clock,
            critical_path=critical_path(routed[clock.median_seed], seed=clock.median_seed, units=names)
            if clock
            else None,
            output_registers=registers,
            verilog_sha256=hashlib.sha256((work / "design.v").read_bytes()).hexdigest(),
            network_digest=_digest_beside(verilog),
            tools=tools,
            commands=[
                "yosys -q -s synth.ys",
                *(f"{nextpnr.value.lower()} {' '.join(arguments)} --seed {seed}" for seed in seeds),
            ],
        )
        for name in ("design.v", "generic.json", "block.json", "packed.json", "pack.json"):
            (work / name).unlink()
        (work / REPORT).write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    return report


def _check_seeds(seeds: Sequence[int]) -> list[int]:
    try:
        checked = [operator.index(seed) for seed in seeds]
    except TypeError:
        raise InvalidTypeError(f"seeds must be integers, not {list(seeds)}") from None
    if not checked or min(checked) < 0 or len(set(checked)) != len(checked):
        raise InvalidValueError(f"seeds must be different integers of at least 0, at least one, not {list(seeds)}")
    return checked


def _check_freq(freq: float | None) -> None:
    if freq is not None and not _MIN_HZ <= freq <= _MAX_HZ:
        raise InvalidValueError(f"freq must be from {_MIN_HZ:g} to {_MAX_HZ:g} Hz, not {freq}")


@contextmanager
def _staging(out_dir: Path) -> Iterator[Path]:
    """A folder to work in, whose files move to ``out_dir`` at the end; after an error, nothing of it is left."""
    out_dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".synth-", dir=out_dir))
    try:
        yield work
        for path in out_dir.glob("nextpnr-*.*"):
            path.unlink()  # of an earlier run with other seeds
        (out_dir / REPORT).unlink(missing_ok=True)
        # The report last: where there is one, it is that of the files around it.
        for path in sorted(work.iterdir(), key=lambda path: path.name == REPORT):
            os.replace(path, out_dir / path.name)
    finally:
        shutil.rmtree(work)
        if not any(out_dir.iterdir()):
            out_dir.rmdir()


def _route(nextpnr: Tool, arguments: Sequence[str], seeds: Sequence[int], work: Path) -> dict[int, dict[str, Any]]:
    """nextpnr's report by seed."""
    reports = {seed: f"nextpnr-{seed}.json" for seed in seeds}
    runs = [
        Run(arguments=[*arguments, "--seed", str(seed), "--report", report], log=f"nextpnr-{seed}.log")
        for seed, report in reports.items()
    ]
    run_tools(nextpnr, runs, cwd=work, at_once=_PROCESSES)
    return {seed: read_result(work / report) for seed, report in reports.items()}


def check_fit(top: str, device: Device, utilization: Utilization) -> None:
    over = [f"{used} of {have} {resource.value}" for resource, (used, have) in utilization.items() if used > have]
    if over:
        raise DoesNotFit(
            f"{top} does not fit: it needs {' and '.join(over)} of {device.name}; "
            "choose a larger device, fewer lanes or a smaller network"
        )


def _resources(family: Family, work: Path, top: str, names: Sequence[str]) -> tuple[Resources, dict[str, Resources]]:
    """Resources of the whole design, and of each unit."""
    mapped = _cells_by_unit(read_netlist(work / "mapped.json"), top, names)
    packed = _cells_by_unit(read_netlist(work / "packed.json"), "top", names)  # nextpnr's name for whatever is the top
    units = {unit: count_resources(family, mapped[unit], packed[unit]) for unit in mapped}
    total = count_resources(family, sum(mapped.values(), start=Counter()), sum(packed.values(), start=Counter()))
    return total, units


def _cells_by_unit(modules: Mapping[str, Any], top: str, names: Sequence[str]) -> dict[str, Counter[str]]:
    """Cell types of each unit, and of what is between them."""
    cells: dict[str, Counter[str]] = {unit: Counter() for unit in (*names, TOP)}
    for path, kind in leaf_cells(modules, top):
        if kind != "$scopeinfo":
            cells[unit_of(path, names)][kind] += 1
    return cells


def _digest_beside(verilog: Path) -> str | None:
    try:
        digest = json.loads(verilog.with_suffix(".json").read_text(encoding="utf-8"))["network_digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return str(digest)
