"""From Verilog to a packed netlist: synthesis with Yosys, and what nextpnr counts before it places anything."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sterna.flow.carries import open_carries
from sterna.flow.carry_in import fold_carry_in
from sterna.flow.devices import Device, Family, Resource, find_device
from sterna.flow.output_registers import OutputRegisters, fold_output_registers
from sterna.flow.toolchain import Tool, run_tool
from sterna.net.errors import ToolError

__all__ = [
    "BUDGETS",
    "PINS",
    "Utilization",
    "nextpnr_arguments",
    "nextpnr_of",
    "pack",
    "pack_in",
    "read_result",
    "router_arguments",
    "yosys_script",
]

#: Used and available of each resource.
Utilization = dict[Resource, tuple[int, int]]

#: Slots from which on an ECP5 is routed by router2.
ROUTER2_SLOTS = 20_000
#: The file with a board's pins.
PINS = {Family.ICE40: "pins.pcf", Family.ECP5: "pins.lpf"}
#: nextpnr's name of each budget, in its report.
BUDGETS = {
    Family.ICE40: {
        Resource.SLOTS: "ICESTORM_LC",
        Resource.RAM_BLOCKS: "ICESTORM_RAM",
        Resource.SPRAM_BLOCKS: "ICESTORM_SPRAM",
        Resource.DSPS: "ICESTORM_DSP",
    },
    Family.ECP5: {
        Resource.SLOTS: "TRELLIS_COMB",
        Resource.FLIP_FLOPS: "TRELLIS_FF",
        Resource.RAM_BLOCKS: "DP16KD",
        Resource.DSPS: "MULT18X18D",
    },
}


def pack(verilog: Path, *, top: str, device: Device | str) -> Utilization:
    """What the module ``top`` of the file ``verilog`` takes up in a device, without placing it; it need not fit.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """
    device = find_device(device) if isinstance(device, str) else device
    with tempfile.TemporaryDirectory(prefix="sterna-pack-") as folder:
        used, _ = pack_in(Path(folder), verilog, top=top, device=device)
    return used


def pack_in(
    work: Path,
    verilog: Path,
    *,
    top: str,
    device: Device,
    freq: float | None = None,
    output_registers: bool = True,
    pins: str | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[Utilization, OutputRegisters | None]:
    """Leaves the netlist (``mapped.json``), what place and route reads (``block.json``) and the logs in ``work``.

    Parameters as of :func:`~sterna.flow.synth.synthesize`, and ``pins``: the constraints of a board, in the form of the
    family's files. The Verilog then may have cells of the device's, as PLLs.

    Returns
    -------
    utilization : dict of Resource to (used, available)
    output_registers : OutputRegisters or None
        What was folded; ``None`` where nothing was asked for.
    """
    progress("Yosys: synthesis")
    shutil.copyfile(verilog, work / "design.v")
    ecp5 = device.family is Family.ECP5
    try:
        _run_yosys(work, yosys_script(top, device, cells=pins is not None))
    except ToolError:
        if not ecp5:
            raise
        progress("Yosys: synthesis again, every net of one bit")
        _run_yosys(work, yosys_script(top, device, cells=pins is not None, split=True))
    registers = _fold(work / "mapped.json") if output_registers and ecp5 else None
    _write_block(work / "mapped.json", top, work / "block.json", carries=ecp5)

    progress("nextpnr: packing")
    if pins is not None:
        (work / PINS[device.family]).write_text(pins, encoding="utf-8")
    arguments = nextpnr_arguments(top, device, freq, pins=pins is not None)
    written = ["--pack-only", "--report", "pack.json", "--write", "packed.json"]
    run_tool(nextpnr_of(device), [*arguments, *written], cwd=work, log="pack.log")
    return _utilization(device, read_result(work / "pack.json")), registers


def nextpnr_of(device: Device) -> Tool:
    """The tool that places for a device."""
    return Tool.NEXTPNR_ICE40 if device.family is Family.ICE40 else Tool.NEXTPNR_ECP5


def nextpnr_arguments(top: str, device: Device, freq: float | None, *, pins: bool = False) -> list[str]:
    """What nextpnr is called with, whatever the seed; with ``pins``, it reads where ports go from :data:`PINS`."""
    mhz = (device.target_hz if freq is None else freq) / 1e6
    arguments = ["-q", "--json", "block.json", "--top", top, device.option, "--package", device.package]
    arguments += ["--freq", f"{mhz:g}", "--timing-allow-fail"]
    if device.family is Family.ICE40:
        return [*arguments, *(["--pcf", PINS[device.family]] if pins else ["--pcf-allow-unconstrained"])]
    arguments += ["--speed", str(device.speed)]
    return [*arguments, *(["--lpf", PINS[device.family]] if pins else ["--lpf-allow-unconstrained"])]


def router_arguments(device: Device, utilization: Utilization) -> list[str]:
    """What place and route is called with besides: nextpnr's own router does not end with large designs.

    Router2 routes a VGG of 36,000 slots in minutes. LeNet-5, of 12,000, reached 104 MHz with it, and 127 MHz without.
    Ripping up what misses the clock takes router1 a quarter longer and makes ECP5 some percent faster; iCE40 gains
    nothing. With both, designs that missed their clock did not end.
    """
    if device.family is not Family.ECP5:
        return []
    slots, _ = utilization[Resource.SLOTS]
    return ["--router", "router2"] if slots > ROUTER2_SLOTS else ["--tmg-ripup"]


def read_result(path: Path) -> dict[str, Any]:
    """A JSON file that a tool was asked to write."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise ToolError(
            f"a tool ended well, but the file {path.name} that it was to write {reason}; see which programs the "
            f"variables {', '.join(tool.value for tool in Tool)} name"
        ) from None
    return dict(content)


def yosys_script(top: str, device: Device, *, cells: bool = False, split: bool = False) -> str:
    """What Yosys is told; with ``cells``, modules that it does not know at first are cells of the device's.

    With ``split``, nets are cut to one bit each before an ECP5's tables are mapped. Without, Yosys 0.70 gives two nets
    of some designs one name, and dies of it (its issue 4349).
    """
    # Without wide multiplexers (PFUMX, L6MUX21) the same logic takes a tenth fewer tables, and is as fast.
    mapping = "synth_ice40" if device.family is Family.ICE40 else "synth_ecp5 -nowidelut"
    if device.family is Family.ICE40 and device.dsps:
        mapping += " -dsp"  # else a stray multiplication would hide in tables; synth_ecp5 uses DSP blocks by itself
    mapping += f" -top {top}"
    mapped = [f"{mapping} -run :map_luts", "splitnets", f"{mapping} -run map_luts:"] if split else [mapping]
    # Yosys's own price of an SPRAM block is that of 32 RAM blocks; a UP5K has 30.
    spram = ['setattr -set ram_style "huge" a:single_port'] if device.spram_blocks else []
    return "\n".join(
        [
            "read_verilog design.v",
            f"hierarchy {'' if cells else '-check '}-top {top}",
            *spram,
            # What is counted here changes nothing in what is mapped.
            "design -save read",
            "proc",
            "opt",
            "write_json generic.json",
            "design -load read",
            *mapped,
            "write_json mapped.json",
            "",
        ]
    )


def _run_yosys(work: Path, script: str) -> None:
    (work / "synth.ys").write_text(script, encoding="utf-8")
    run_tool(Tool.YOSYS, ["-q", "-s", "synth.ys"], cwd=work, log="yosys.log")


def _fold(netlist: Path) -> OutputRegisters:
    content = read_result(netlist)
    content["modules"], registers = fold_output_registers(content["modules"])
    netlist.write_text(json.dumps(content), encoding="utf-8")
    return registers


def _write_block(netlist: Path, top: str, block: Path, *, carries: bool) -> None:
    """Copy a mapped netlist without the top module's ports of several bits, so that the design needs no pins for them.

    nextpnr leaves the nets without a driver, and those that nobody reads, as they are: no cell goes. With ``carries``,
    those of an ECP5 that nobody reads are not among them, and constant ones are folded into their chains.
    """
    content = read_result(netlist)
    if carries:
        content["modules"], _ = open_carries(content["modules"])
        content["modules"], _ = fold_carry_in(content["modules"])
    ports = content["modules"][top]["ports"]
    content["modules"][top]["ports"] = {name: port for name, port in ports.items() if len(port["bits"]) == 1}
    block.write_text(json.dumps(content), encoding="utf-8")


def _utilization(device: Device, report: Mapping[str, Any]) -> Utilization:
    """What a report says. iCE40 keeps a flip-flop in each logic cell: its slots say it all."""
    used = report["utilization"]
    return {
        resource: (used[name]["used"], used[name]["available"])
        for resource, name in BUDGETS[device.family].items()
        if name in used
    }
