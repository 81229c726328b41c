"""What units say of their memories, against those that their Verilog has."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import signed
from fit_units import Drawn, drawn

from sterna.hw.parts.tables import level_tables, plan_tables
from sterna.hw.units.logic import table_memories
from sterna.hw.units.pool.component import FEW_WORDS
from sterna.net import ActivationType

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


def test_each_sum_of_a_beat_searches_tables_of_its_own() -> None:
    """Behind a search of thresholds; what others read is the same for all sums of a beat."""
    output = ActivationType(width=2, signed=False)
    searched = level_tables(sum_shape=signed(8), output=output, levels=np.array([[-9, 1, 40], [-7, 5, 6]]))
    assert [memory.name for memory in table_memories(searched, width=2)] == [
        "table_0",
        "table_1",
        "table_0_of_1",
        "table_1_of_1",
    ]
    scores = plan_tables(None, offset=np.arange(200), low=np.full(200, -9), high=np.full(200, 9))
    (bias,) = table_memories(scores, width=2)
    assert (bias.depth, bias.width, bias.writable, bias.block) == (200, 8, False, True)
