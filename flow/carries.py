"""Disconnects the carry outputs of ECP5 adders that nobody reads.

Yosys connects the carry of an adder's last bits to a net even where nothing reads it. nextpnr then adds a cell of two
slots that leads the carry out of the chain: an adder of 4 bits takes 10 slots in place of 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sterna.flow.netlist import readers_of

__all__ = ["open_carries"]

_CARRY = "CCU2C"
_OUTPUT = "COUT"
_OPEN = ["x"]  # nextpnr wants the pin to be there


def open_carries(modules: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Disconnects carry outputs that nobody reads.

    Parameters
    ----------
    modules : dict
        Modules of a netlist mapped for ECP5, as Yosys writes them to JSON. Not changed.

    Returns
    -------
    modules : dict
        The netlist with fewer nets.
    opened : int
        Carry outputs that were disconnected.
    """
    result = dict(modules)
    opened = 0
    for name, module in modules.items():
        readers = readers_of(module)
        cells = dict(module["cells"])
        for cell_name, cell in module["cells"].items():
            if cell["type"] != _CARRY or cell["connections"][_OUTPUT] == _OPEN:
                continue
            if not any(readers[bit] for bit in cell["connections"][_OUTPUT]):
                cells[cell_name] = {**cell, "connections": {**cell["connections"], _OUTPUT: _OPEN}}
                opened += 1
        result[name] = {**module, "cells": cells}
    return result, opened
