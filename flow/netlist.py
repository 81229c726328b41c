"""Reads the netlists that Yosys and nextpnr write as JSON: which cells there are, and whose they are."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sterna.flow.devices import Family

__all__ = [
    "LATCHES",
    "MULTIPLIERS",
    "TOP",
    "Resources",
    "count_resources",
    "instances",
    "leaf_cells",
    "read_netlist",
    "readers_of",
    "unit_of",
]

#: Yosys's word-level cells that multiply or divide. None may be left after ``proc; opt``.
MULTIPLIERS = ("$mul", "$div", "$mod", "$divfloor", "$modfloor", "$pow", "$macc", "$macc_v2")
#: Yosys's word-level latches (recent versions stop at one by themselves).
LATCHES = ("$dlatch", "$adlatch", "$dlatchsr", "$sr")
#: The name under which the cells of no unit are counted.
TOP = "(top)"

# Cells of each family by what they use. DFFs and block RAMs come in many variants: matched by their prefix.
_LUT4 = ("SB_LUT4", "LUT4")
_CARRY = ("SB_CARRY", "CCU2C")
_FLIP_FLOP = ("SB_DFF", "TRELLIS_FF")
_RAM_BLOCK = ("SB_RAM40_4K", "DP16KD", "PDPW16KD")
_SPRAM_BLOCK = ("SB_SPRAM256KA",)
_DISTRIBUTED_RAM = ("TRELLIS_DPR16X4",)
_DSP = ("SB_MAC16", "MULT18X18D", "MULT9X9D", "ALU54B", "ALU24B")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a design, or one unit of it, takes up in the device.

    Attributes
    ----------
    lut4 : int
        4-input tables.
    carry : int
        Carry cells: SB_CARRY (one bit) or CCU2C (two bits).
    slots : int
        Places for a table: packed logic cells (iCE40); LUT4 + 2 CCU2C + 4 for each distributed RAM (ECP5).
    flip_flops, ram_blocks, spram_blocks, dsps : int
    distributed_ram : int
        16 × 4-bit memories made of tables (ECP5).
    """

    lut4: int
    carry: int
    slots: int
    flip_flops: int
    ram_blocks: int
    spram_blocks: int
    distributed_ram: int
    dsps: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def read_netlist(path: Path) -> dict[str, Any]:
    """The modules of a netlist file, by name."""
    modules: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["modules"]
    return modules


def leaf_cells(modules: Mapping[str, Any], top: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path (instance names joined by dots) and type of every cell below ``top`` that is not a module of the design."""
    for name, cell in modules[top]["cells"].items():
        if _is_design(modules, cell["type"]):
            yield from leaf_cells(modules, cell["type"], f"{prefix}{name}.")
        else:
            yield prefix + name, cell["type"]


def _is_design(modules: Mapping[str, Any], name: str) -> bool:
    # Yosys lists the device's own cells too, as modules without a body.
    return name in modules and not {"blackbox", "whitebox"} & set(modules[name]["attributes"])


def instances(modules: Mapping[str, Any], top: str) -> list[str]:
    """Names of the instances of the design's own modules in the top module, in order."""
    return [name for name, cell in modules[top]["cells"].items() if _is_design(modules, cell["type"])]


def unit_of(path: str, units: Sequence[str]) -> str:
    """The unit, of ``units``, that a cell of a flattened netlist is named after, or :data:`TOP`.

    Yosys names a cell after a signal near it. Those inside a unit begin with ``unit.``; Amaranth names the wires
    between units after the port that they belong to, ``unit__port``.
    """
    owners = [unit for unit in units if path.startswith((f"{unit}.", f"{unit}__"))]
    return max(owners, key=len, default=TOP)


def _count(types: Counter[str], prefixes: tuple[str, ...]) -> int:
    return sum(number for name, number in types.items() if name.startswith(prefixes))


def count_resources(family: Family, mapped: Counter[str], packed: Counter[str]) -> Resources:
    """Resources from the types of Yosys's mapped cells, and (for iCE40's logic cells) of nextpnr's packed ones."""
    lut4, carry = _count(mapped, _LUT4), _count(mapped, _CARRY)
    distributed_ram = _count(mapped, _DISTRIBUTED_RAM)
    return Resources(
        lut4=lut4,
        carry=carry,
        slots=packed["ICESTORM_LC"] if family is Family.ICE40 else lut4 + 2 * carry + 4 * distributed_ram,
        flip_flops=_count(mapped, _FLIP_FLOP),
        ram_blocks=_count(mapped, _RAM_BLOCK),
        spram_blocks=_count(mapped, _SPRAM_BLOCK),
        distributed_ram=distributed_ram,
        dsps=_count(mapped, _DSP),
    )


def readers_of(module: Mapping[str, Any]) -> Mapping[object, list[tuple[str, str]]]:
    """Cell and pin of everything that reads a net; ``("", port)`` for a port of the module."""
    readers: dict[object, list[tuple[str, str]]] = defaultdict(list)
    for port_name, port in module["ports"].items():
        if port["direction"] != "input":
            for bit in port["bits"]:
                readers[bit].append(("", port_name))
    for cell_name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for bit in bits:
                    readers[bit].append((cell_name, pin))
    return readers
