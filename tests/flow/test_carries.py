"""Carry outputs that nobody reads: opened in the netlist, and two slots less for each adder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from sterna.flow.carries import open_carries
from sterna.flow.devices import Resource, find_device
from sterna.flow.pack import pack_in

DESIGNS = Path(__file__).parent / "designs"


def carry(cin: object, cout: int, *, kind: str = "CCU2C") -> dict[str, Any]:
    directions = {"CIN": "input", "COUT": "output", "S0": "output"}
    connections = {"CIN": [cin], "COUT": [cout], "S0": [cout + 100]}
    return {"type": kind, "parameters": {}, "port_directions": directions, "connections": connections}


def netlist() -> dict[str, Any]:
    """Two cells of a chain, one whose carry leaves the module, and a cell of another type."""
    cells = {"low": carry("0", 2), "high": carry(2, 3), "out": carry("1", 4), "other": carry("0", 5, kind="OTHER")}
    ports = {"carry": {"direction": "output", "bits": [4]}, "in": {"direction": "input", "bits": [3]}}
    return {"top": {"attributes": {}, "ports": ports, "cells": cells, "netnames": {}}}


def test_only_what_nobody_reads_is_opened() -> None:
    before = netlist()
    original = copy.deepcopy(before)
    after, opened = open_carries(before)
    assert (before, opened) == (original, 1)
    cells = after["top"]["cells"]
    assert cells["high"]["connections"] == {"CIN": [2], "COUT": ["x"], "S0": [103]}
    assert {name: cell for name, cell in cells.items() if name != "high"} == {
        name: cell for name, cell in original["top"]["cells"].items() if name != "high"
    }
    assert open_carries(after)[1] == 0


@pytest.mark.parametrize(("bits", "slots"), [(4, 6), (8, 10), (5, 7), (7, 9)])
def test_slots_of_an_adder(tmp_path: Path, bits: int, slots: int) -> None:
    """A cell for each two bits of the sum and the constant carry; nextpnr adds two constants."""
    design = (DESIGNS / "adder.v").read_text(encoding="utf-8").replace("BITS", str(bits))
    (tmp_path / "adder.v").write_text(design, encoding="utf-8")
    used, _ = pack_in(tmp_path, tmp_path / "adder.v", top="adder", device=find_device("25f"))
    assert used[Resource.SLOTS][0] == slots + 2
