"""Names in the emitted Verilog."""

from __future__ import annotations

from collections.abc import Sequence

from sterna.hw.config import identifier
from sterna.hw.units.protocol import Unit


def module_name(name: str) -> str:
    """The top module's name."""
    return name


def instance_names(units: Sequence[Unit], *, top: str) -> tuple[str, ...]:
    """An instance name for each unit, like its node's."""
    own = {unit.name for unit in units if not unit.nodes}
    names: list[str] = []
    for unit in units:
        name = identifier(unit.name)
        while unit.nodes and (name in names or name in {*own, "argmax", "clk", "rst"}):
            name += "_"
        names.append(name)
    return tuple(names)
