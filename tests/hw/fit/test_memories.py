"""Where memories go, against what Yosys makes of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from sterna.flow.toolchain import Tool, run_tool
from sterna.hw.fit.memories import MEMORIES
from sterna.hw.parts.rom import NO_COLLISION
from sterna.hw.units.protocol import MemoryUse

#: Up to the step in which memories find their places.
SYNTHESIS = {"iCE40": "synth_ice40", "ECP5": "synth_ecp5 -nowidelut"}
BLOCKS = ("SB_RAM40_4K", "DP16KD", "PDPW16KD")
DISTRIBUTED = "TRELLIS_DPR16X4"


class Storage(wiring.Component):
    """A memory as units have it: one read port, a register behind it unless it is read at once, and a write port."""

    def __init__(self, memory: MemoryUse, seed: int) -> None:
        self._memory, self._seed = memory, seed
        super().__init__(ports(memory))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        memory, rng = self._memory, np.random.default_rng(self._seed)
        init = (
            []
            if memory.writable
            else [int.from_bytes(rng.bytes(-(-memory.width // 8)), "little") for _ in range(memory.depth)]
        )
        mask = (1 << memory.width) - 1
        attrs = NO_COLLISION if memory.writable else {"ram_style": "block"} if memory.block else {}
        storage: Memory = Memory(
            shape=unsigned(memory.width), depth=memory.depth, init=[word & mask for word in init], attrs=dict(attrs)
        )
        m.submodules.storage = storage
        read, register = (
            storage.read_port(domain="comb" if memory.at_once else "sync"),
            Signal(memory.width, reset_less=True),
        )
        m.d.comb += [read.addr.eq(self.read), self.output.eq(read.data if memory.at_once else register)]
        m.d.sync += register.eq(read.data)
        if memory.writable:
            write = storage.write_port()
            m.d.comb += [write.en.eq(self.enable), write.addr.eq(self.write), write.data.eq(self.input)]
        return m


def ports(memory: MemoryUse) -> dict[str, Any]:
    """Of a memory; of several, by their numbers."""
    address = range(memory.depth)
    return {
        "read": In(address),
        "write": In(address),
        "enable": In(1),
        "input": In(memory.width),
        "output": Out(memory.width),
    }


class Several(wiring.Component):
    """Memories beside each other."""

    def __init__(self, memories: Sequence[MemoryUse]) -> None:
        self._memories = memories
        super().__init__(
            {f"{name}_{k}": port for k, memory in enumerate(memories) for name, port in ports(memory).items()}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for k, memory in enumerate(self._memories):
            m.submodules[f"memory_{k}"] = storage = Storage(memory, k)
            for name, port in ports(memory).items():
                inner, outer = getattr(storage, name), getattr(self, f"{name}_{k}")
                m.d.comb += inner.eq(outer) if port.flow is In else outer.eq(inner)
        return m


def synthesized(memories: Sequence[MemoryUse], family: str, folder: Path) -> list[Counter[str]]:
    """The cells that each memory becomes."""
    text = verilog.convert(Several(memories), name="several", emit_src=False, strip_internal_attrs=True)
    (folder / "several.v").write_text(text)
    (folder / "synth.ys").write_text(
        f"read_verilog several.v\n{SYNTHESIS[family]} -noflatten -run begin:map_ffram -top several\n"
        "tee -q -o cells.json stat -json\n"
    )
    run_tool(Tool.YOSYS, ["-q", "-s", "synth.ys"], cwd=folder, log="yosys.log")
    modules = json.loads((folder / "cells.json").read_text())["modules"]
    return [cells_of(modules, f"several.memory_{k}") for k in range(len(memories))]


def cells_of(modules: dict[str, Any], name: str) -> Counter[str]:
    cells: Counter[str] = Counter()
    for kind, number in modules["\\" + name]["num_cells_by_type"].items():
        cells += cells_of(modules, kind) if "\\" + kind in modules else Counter({kind: number})
    return cells


def count(cells: Counter[str], prefixes: tuple[str, ...]) -> int:
    return sum(number for kind, number in cells.items() if kind.startswith(prefixes))


def drawn(seed: int, number: int) -> list[MemoryUse]:
    """Memories as units have them: few words or many, narrow or as wide as a row."""
    rng = np.random.default_rng(seed)
    memories = []
    for k in range(number):
        writable = bool(rng.integers(2))
        depth, width = (int(2 ** rng.uniform(1, top)) for top in (10, 6))
        block = not writable and depth > 128 and bool(rng.integers(2))
        at_once = writable and depth < 100 and bool(rng.integers(2))
        memories.append(
            MemoryUse(name=str(k), depth=max(depth, 2), width=width, writable=writable, block=block, at_once=at_once)
        )
    return memories


@pytest.mark.parametrize("number", [6, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("family", list(MEMORIES))
def test_memories_are_where_yosys_puts_them(family: str, number: int, tmp_path: Path) -> None:
    memories = drawn(number, number)
    for memory, cells in zip(memories, synthesized(memories, family, tmp_path), strict=True):
        storage = MEMORIES[family].place(memory)
        found = count(cells, BLOCKS), cells[DISTRIBUTED]
        assert (storage.ram_blocks, storage.parts.get("distributed", 0)) == found, (memory, cells)


@pytest.mark.parametrize(
    ("family", "depth", "width", "writable", "blocks", "distributed"),
    [
        ("iCE40", 16, 4, True, 0, 0),  # as dear as a block: logic
        ("iCE40", 19, 7, True, 1, 0),
        ("iCE40", 428, 2, False, 0, 0),
        ("iCE40", 525, 3, False, 1, 0),
        ("iCE40", 707, 67, False, 13, 0),  # three cuts of 67 bits, side by side in words of 16
        ("iCE40", 1199, 40, True, 13, 0),  # the same, whose cuts have write enables of their own
        ("iCE40", 1908, 31, True, 16, 0),
        ("iCE40", 2068, 4, True, 3, 0),  # words of 4 bits share a write enable: no cut shares a block
        ("iCE40", 2396, 1, True, 1, 0),
        ("iCE40", 4098, 13, False, 14, 0),
        ("iCE40", 4786, 23, False, 29, 0),  # 28 in words of 16, but with more to choose from
        ("iCE40", 5125, 14, False, 20, 0),
        ("ECP5", 40, 5, True, 0, 6),
        ("ECP5", 70, 25, True, 1, 0),
        ("ECP5", 52, 53, False, 0, 0),
        ("ECP5", 173, 18, False, 1, 0),
        ("ECP5", 2839, 30, False, 5, 0),
        ("ECP5", 3351, 9, True, 2, 0),
        ("ECP5", 4321, 3, True, 2, 0),
        ("ECP5", 5737, 20, False, 7, 0),
    ],
)
def test_memories_that_were_synthesized(
    family: str, depth: int, width: int, writable: bool, blocks: int, distributed: int
) -> None:
    """Yosys 0.70."""
    storage = MEMORIES[family].place(MemoryUse(name="", depth=depth, width=width, writable=writable))
    assert (storage.ram_blocks, storage.parts.get("distributed", 0)) == (blocks, distributed)


def test_a_memory_that_is_read_at_once_is_in_no_block() -> None:
    memory = MemoryUse(name="", depth=70, width=25, writable=True, at_once=True)
    assert MEMORIES["iCE40"].place(memory).parts == {"chosen bit": 70 * 25}
    assert MEMORIES["ECP5"].place(memory).parts["distributed"] == 5 * 7  # 16 words of 4 bits each


def test_a_memory_that_must_be_in_a_block() -> None:
    for rules in MEMORIES.values():
        memory = MemoryUse(name="", depth=129, width=1, writable=False)
        assert rules.place(memory).ram_blocks == 0
        assert rules.place(replace(memory, block=True)).ram_blocks == 1
