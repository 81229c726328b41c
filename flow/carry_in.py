"""Folds the constant carry into an ECP5 adder into its chain of carry cells.

A chain begins with a carry of 0 or 1, which nextpnr leads in by a cell of its own, of two slots. A cell adds two bits;
of an odd number of bits the last cell's second half is free. Then all bits move up by half a cell, and the first half
gives the carry. Of an even number the first half gives the carry out of the lowest bit instead, and a table its sum.
A half whose table is 0 passes no carry on, so what comes into the first cell does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sterna.flow.netlist import readers_of

__all__ = ["fold_carry_in"]

_CARRY = "CCU2C"
_CONSTANTS = ("0", "1")
_OPEN = "x"  # nextpnr wants the pin to be there


@dataclass(frozen=True)
class _Half:
    """One bit of a carry cell: what its four pins read, its table, and the net of its sum."""

    pins: tuple[object, ...]
    table: int
    total: object


def fold_carry_in(modules: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Chains without a constant carry that is led in.

    Parameters
    ----------
    modules : dict
        Modules of a netlist mapped for ECP5, as Yosys writes them to JSON. Not changed.

    Returns
    -------
    modules : dict
        The netlist, whose chains begin with an open carry.
    folded : int
        Chains that changed.
    """
    result, folded = dict(modules), 0
    for name, module in modules.items():
        cells = dict(module["cells"])
        readers = readers_of(module)
        free = 1 + max((bit for bit in _bits(module) if isinstance(bit, int)), default=0)
        for first, cell in module["cells"].items():
            if cell["type"] != _CARRY or cell["connections"]["CIN"][0] not in _CONSTANTS:
                continue
            chain = _chain(module["cells"], readers, first)
            halves = [half for part in chain for half in _halves(module["cells"][part])]
            end = module["cells"][chain[-1]]["connections"]["COUT"][0]
            spare = not readers.get(end) and not readers.get(halves[-1].total)
            made = _moved(halves, int(cell["connections"]["CIN"][0]), spare=spare)
            if made is None or any(_injects(module["cells"][part]) for part in chain):
                continue
            halves, table = made
            for k, part in enumerate(chain):
                cells[part] = _cell(module["cells"][part], halves[2 * k : 2 * k + 2], free)
                free += 2
            cells[first]["connections"]["CIN"] = [_OPEN]
            if table is not None and readers.get(table.total):
                cells[f"{first}$low"] = _table(table)
            folded += 1
        result[name] = {**module, "cells": cells}
    return result, folded


def _bits(module: Mapping[str, Any]) -> Iterator[object]:
    for port in module["ports"].values():
        yield from port["bits"]
    for cell in module["cells"].values():
        for bits in cell["connections"].values():
            yield from bits


def _chain(cells: Mapping[str, Any], readers: Mapping[object, list[tuple[str, str]]], first: str) -> list[str]:
    """The cells of a chain: as long as a carry's one reader is a carry input."""
    chain = [first]
    while True:
        found = readers.get(cells[chain[-1]]["connections"]["COUT"][0], [])
        if len(found) != 1 or found[0][1] != "CIN" or cells[found[0][0]]["type"] != _CARRY:
            return chain
        chain.append(found[0][0])


def _halves(cell: Mapping[str, Any]) -> Iterator[_Half]:
    pins = cell["connections"]
    for k in range(2):
        reads = tuple(pins[f"{letter}{k}"][0] for letter in "ABCD")
        yield _Half(reads, int(cell["parameters"][f"INIT{k}"], 2), pins[f"S{k}"][0])


def _injects(cell: Mapping[str, Any]) -> bool:
    return any(cell["parameters"][f"INJECT1_{k}"] != "NO" for k in range(2))


def _moved(halves: Sequence[_Half], carry: int, *, spare: bool) -> tuple[list[_Half], _Half | None] | None:
    """The chain's halves with the carry, and the table of the lowest sum; none where neither way goes.

    With ``spare``, nobody reads anything of the last half.
    """
    if spare:
        return [_Half(("0", "0", "1", "1"), 15 * carry, _OPEN), *halves[:-1]], None
    low = halves[0]
    if any(pin not in _CONSTANTS for pin in low.pins[2:]):
        return None
    upper = 4 * int(str(low.pins[2])) + 8 * int(str(low.pins[3]))
    out = total = 0
    for b, a in product(range(2), repeat=2):
        place = a + 2 * b
        passes = low.table >> (upper + place) & 1
        out |= (carry if passes else low.table >> place & 1) << place
        total |= (passes ^ carry) << place
    return [_Half((*low.pins[:2], "1", "1"), out, _OPEN), *halves[1:]], _Half(
        (*low.pins[:2], "0", "0"), total, low.total
    )


def _cell(cell: Mapping[str, Any], halves: Sequence[_Half], free: int) -> dict[str, Any]:
    parameters, connections = dict(cell["parameters"]), dict(cell["connections"])
    for k, half in enumerate(halves):
        parameters[f"INIT{k}"] = format(half.table, "016b")
        connections |= {f"{letter}{k}": [bit] for letter, bit in zip("ABCD", half.pins, strict=True)}
        connections[f"S{k}"] = [free + k if half.total == _OPEN else half.total]
    return {**cell, "parameters": parameters, "connections": connections}


def _table(half: _Half) -> dict[str, Any]:
    return {
        "hide_name": 1,
        "type": "LUT4",
        "parameters": {"INIT": format(half.table, "016b")},
        "attributes": {},
        "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
        "connections": {**{letter: [bit] for letter, bit in zip("ABCD", half.pins, strict=True)}, "Z": [half.total]},
    }
