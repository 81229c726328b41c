"""Folds the register behind an ECP5 block RAM into the RAM's own output register.

Without its output register, a block RAM gives its data 5.8 ns after the clock edge (speed 6), which with one wire is
most of a cycle; with it, after 1 ns. Yosys never uses that register. It has its port's clock and an enable of its own,
and is never reset here, so it can stand for flip-flops without reset that have one enable, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sterna.flow.netlist import readers_of

__all__ = ["OutputRegisters", "fold_output_registers"]

_RAM = "DP16KD"
_FLIP_FLOP = "TRELLIS_FF"
_WIDEST = 36  # of a block with one write and one read port, whose data leave by the outputs of both
_DATA_BITS = 18


@dataclass(frozen=True, kw_only=True)
class OutputRegisters:
    """Which read ports of block RAMs got their output register.

    Attributes
    ----------
    folded : tuple of str
        Ports, as ``"module/cell.port"``.
    left : dict[str, str]
        Read ports left as they were, and why.
    flip_flops : int
        Flip-flops saved.
    """

    folded: tuple[str, ...]
    left: Mapping[str, str]
    flip_flops: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"folded": len(self.folded), "left": dict(self.left), "flip_flops": self.flip_flops}


@dataclass(frozen=True, kw_only=True)
class _Port:
    """A read port of a block RAM: its pins, by letter of the RAM's side."""

    name: str
    side: str  # whose clock, enable and reset it has
    outputs: str  # whose data pins: "A", "B" or "AB"

    @property
    def data(self) -> list[str]:
        return [f"DO{side}{k}" for side in self.outputs for k in range(_DATA_BITS)]


class _Left(Exception):
    """A port that has to stay as it is; the message says why."""


def fold_output_registers(modules: Mapping[str, Any]) -> tuple[dict[str, Any], OutputRegisters]:
    """Fold registers into the block RAMs that they stand behind.

    A read port is folded if each of its data bits that anybody reads is read by one flip-flop and nothing else, on the
    port's clock and edge, always enabled or all by one net, never reset and not initialized to 1. Every other port is
    left alone.

    Parameters
    ----------
    modules : dict
        Modules of a netlist mapped for ECP5, as Yosys writes them to JSON. Not changed.

    Returns
    -------
    modules : dict
        The netlist with fewer flip-flops.
    registers : OutputRegisters
        What was done.
    """
    result = dict(modules)
    folded: list[str] = []
    left: dict[str, str] = {}
    flip_flops = 0
    for name, module in modules.items():
        if any(cell["type"] == _RAM for cell in module["cells"].values()):
            result[name] = _copy(module)
            flip_flops += _fold_module(name, result[name], folded, left)
    return result, OutputRegisters(folded=tuple(folded), left=left, flip_flops=flip_flops)


def _copy(module: Mapping[str, Any]) -> dict[str, Any]:
    """The module with cells that may be changed."""
    cells = {
        name: {**cell, "parameters": dict(cell["parameters"]), "connections": dict(cell["connections"])}
        for name, cell in module["cells"].items()
    }
    return {**module, "cells": cells}


def _fold_module(name: str, module: dict[str, Any], folded: list[str], left: dict[str, str]) -> int:
    cells = module["cells"]
    readers = readers_of(module)
    removed: set[str] = set()
    for cell_name, cell in cells.items():
        if cell["type"] != _RAM:
            continue
        for port in _read_ports(cell):
            used = {pin: _bit(cell, pin) for pin in port.data if readers[_bit(cell, pin)]}
            if not used:
                continue
            path = f"{name}/{cell_name}.{port.name}"
            try:
                _check_ram(cell, port)
                registers = {pin: _register(cells, readers[bit], cell, port) for pin, bit in used.items()}
                enable = _common_enable([cells[register] for register in registers.values()])
            except _Left as reason:
                left[path] = str(reason)
                continue
            for pin, register in registers.items():
                cell["connections"][pin] = cells[register]["connections"]["Q"]
            for side in port.outputs:
                cell["parameters"][f"REGMODE_{side}"] = "OUTREG"
            cell["connections"][f"OCE{port.side}"] = [enable]
            removed.update(registers.values())
            folded.append(path)
    module["cells"] = {key: cell for key, cell in cells.items() if key not in removed}
    return len(removed)


def _read_ports(ram: Mapping[str, Any]) -> Iterator[_Port]:
    if _WIDEST in (_integer(ram, "DATA_WIDTH_A"), _integer(ram, "DATA_WIDTH_B")):
        yield _Port(name="R", side="B", outputs="AB")
    else:
        yield _Port(name="A", side="A", outputs="A")
        yield _Port(name="B", side="B", outputs="B")


def _check_ram(ram: Mapping[str, Any], port: _Port) -> None:
    if any(_parameter(ram, f"REGMODE_{side}", "NOREG") != "NOREG" for side in port.outputs):
        raise _Left("its output register is in use")
    reset, enable = f"RST{port.side}", f"OCE{port.side}"
    if _bit(ram, reset) != "0" or _parameter(ram, f"{reset}MUX", reset) != reset:
        raise _Left("the RAM's output is reset")
    if _parameter(ram, f"{enable}MUX", enable) != enable:
        raise _Left("its output enable is not a plain pin")


def _register(cells: Mapping[str, Any], readers: list[tuple[str, str]], ram: Mapping[str, Any], port: _Port) -> str:
    """Name of the flip-flop that is all there is behind a data bit."""
    (name, pin), *others = readers
    if others or pin != "DI" or cells[name]["type"] != _FLIP_FLOP:
        raise _Left("a bit goes elsewhere than to one flip-flop")
    flip_flop = cells[name]
    clock = f"CLK{port.side}"
    inverted = _parameter(flip_flop, "CLKMUX", "CLK") == "INV"
    if _bit(flip_flop, "CLK") != _bit(ram, clock) or inverted != (_parameter(ram, f"{clock}MUX", clock) == "INV"):
        raise _Left("a flip-flop has another clock")
    if "LSR" in flip_flop["connections"] and not _constant(flip_flop, "LSR", "LSRMUX", False):
        raise _Left("a flip-flop has a reset")
    if _parameter(flip_flop, "REGSET", "RESET") != "RESET":
        raise _Left("a flip-flop starts at 1")
    if int(str(flip_flop.get("attributes", {}).get("keep", "0")), 2):
        raise _Left("a flip-flop is to be kept")
    return name


def _common_enable(flip_flops: list[Mapping[str, Any]]) -> object:
    """The net that enables all flip-flops, or ``"1"``."""
    enables: set[object] = set()
    for flip_flop in flip_flops:
        if _constant(flip_flop, "CE", "CEMUX", True):
            enables.add("1")
        elif _parameter(flip_flop, "CEMUX", "1") == "CE":
            enables.add(_bit(flip_flop, "CE"))
        else:
            raise _Left("a flip-flop has an inverted enable")
    if len(enables) > 1:
        raise _Left("its flip-flops have several enables")
    return enables.pop()


def _constant(flip_flop: Mapping[str, Any], pin: str, mux: str, value: bool) -> bool:
    """Whether a control input of a flip-flop has one value for ever."""
    setting = _parameter(flip_flop, mux, "1" if pin == "CE" else pin)
    if setting in ("0", "1"):
        return setting == str(int(value))
    return _bit(flip_flop, pin) == str(int(value ^ (setting == "INV")))


def _bit(cell: Mapping[str, Any], pin: str) -> object:
    """The net at a pin, or ``"0"``, ``"1"``, ``"x"``; ``None`` where nothing is connected."""
    bits = cell["connections"].get(pin)
    return bits[0] if bits else None


def _parameter(cell: Mapping[str, Any], name: str, default: str) -> str:
    # Yosys ends strings that look like binary numbers in a space.
    return str(cell["parameters"].get(name, default)).rstrip(" ")


def _integer(cell: Mapping[str, Any], name: str) -> int:
    value = cell["parameters"].get(name, _DATA_BITS)
    return value if isinstance(value, int) else int(value, 2)
