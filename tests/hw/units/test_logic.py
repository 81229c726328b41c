"""What units say of their memories, against those that their Verilog has."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from amaranth.back import verilog
from fit_units import Drawn, drawn

from sterna.hw.units.pool.component import FEW_WORDS

COUNTS = {"dense": 6, "conv": 6, "pool": 5, "argmax": 1}


@pytest.fixture(scope="module")
def units() -> list[Drawn]:
    return list(drawn(COUNTS))


@pytest.mark.parametrize("kind", list(COUNTS))
def test_memories_are_those_of_the_verilog(kind: str, units: list[Drawn]) -> None:
    for case in units:
        if not case.name.startswith(kind):
            continue
        text = verilog.convert(case.unit.component(framed=case.framed), name="unit", emit_src=False)
        found = re.findall(r"^ *reg (?:\[(\d+):0\] )?\S+ +\[(\d+):0\];", text, re.M)
        stated = [memory for memory in case.unit.memories if memory.name != "rows" or memory.depth >= FEW_WORDS]
        assert Counter((int(depth) + 1, int(width or 0) + 1) for width, depth in found) == Counter(
            (memory.depth, memory.width) for memory in stated
        ), case.name
        forced = text.count('(* ram_style = "block" *)')
        assert forced == sum(memory.block for memory in stated), case.name
