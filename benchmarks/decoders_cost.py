"""What a decoder costs in logic: Yosys's cells, and how many of them follow each other."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from amaranth.hdl import ClockSignal, Instance
from amaranth.lib.memory import Memory
from decoders import Decoder

from sterna.flow.devices import Family
from sterna.flow.netlist import count_resources, leaf_cells, read_netlist
from sterna.flow.toolchain import Tool, run_tool

NAME = "decoder"
TABLES, CARRIES = ("LUT4", "SB_LUT4"), ("CCU2C", "SB_CARRY")
SCRIPT = f"""read_verilog design.v
design -save read
synth_ecp5 -nowidelut -top {NAME}
write_json {Family.ECP5.value}.json
design -load read
synth_ice40 -top {NAME}
write_json {Family.ICE40.value}.json
"""


class Opaque:
    """A platform whose memories are black boxes: a deep one would bring logic of its own, which selects its block."""

    def __init__(self) -> None:
        self._shapes: set[tuple[int, int]] = set()

    def get_memory(self, memory: Memory) -> Instance:
        """Amaranth's hook for a platform's own memories."""
        (port,) = memory.read_ports
        shape = len(port.addr), len(port.data)
        self._shapes.add(shape)
        name = f"memory_{shape[0]}_{shape[1]}"
        return Instance(name, i_clk=ClockSignal(), i_en=port.en, i_addr=port.addr, o_data=port.data)

    @property
    def verilog(self) -> str:
        """The boxes, once a design with them is converted."""
        return "".join(
            f"(* blackbox *) module memory_{address}_{width}(input clk, input en, input [{address - 1}:0] addr, "
            f"output [{width - 1}:0] data);\nendmodule\n"
            for address, width in sorted(self._shapes)
        )


def place(decoder: Decoder) -> dict[str, Any]:
    """Logic a lane and levels in every family, without the memories' registers."""
    lanes, found = len(decoder.o), {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        platform = Opaque()
        text = verilog.convert(decoder, name=NAME, platform=platform, emit_src=False, strip_internal_attrs=True)
        (path / "design.v").write_text(text + platform.verilog, encoding="utf-8")
        (path / "synth.ys").write_text(SCRIPT, encoding="utf-8")
        run_tool(Tool.YOSYS, ["-q", "-s", "synth.ys"], cwd=path, log="yosys.log")
        for family in Family:
            modules = read_netlist(path / f"{family.value}.json")
            cells = Counter(kind for _, kind in leaf_cells(modules, NAME) if kind != "$scopeinfo")
            used = count_resources(family, cells, Counter())
            found[family.value] = {
                "lut4": used.lut4 / lanes,
                "carry": used.carry / lanes,
                "flip_flops": (used.flip_flops - decoder.register_bits) / lanes,
                "levels": levels(modules[NAME]["cells"]),
            }
    return found


def levels(cells: Mapping[str, Any]) -> int:
    """Tables and carry chains on the longest way between registers, memories and ports of a flat netlist."""
    logic = {name: cell for name, cell in cells.items() if cell["type"] in (*TABLES, *CARRIES)}
    drivers = {
        bit: name
        for name, cell in logic.items()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "output"
        for bit in bits
    }
    sources: dict[str, set[str]] = {
        name: {
            drivers[bit]
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "input"
            for bit in bits
            if bit in drivers
        }
        for name, cell in logic.items()
    }
    depth: dict[str, int] = {}
    for name in TopologicalSorter(sources).static_order():
        chained = logic[name]["type"] in CARRIES
        # a chain is one level, however long
        depth[name] = max(
            (depth[source] + (not (chained and logic[source]["type"] in CARRIES)) for source in sources[name]),
            default=1,
        )
    return max(depth.values(), default=0)
