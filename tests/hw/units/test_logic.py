"""What units say of their memories, against those that their Verilog has."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from amaranth.back import verilog
from amaranth.hdl import signed
from fit_units import Drawn, drawn

from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.hw.fit.estimate import estimate
from sterna.hw.parts.tables import level_tables, plan_tables
from sterna.hw.units.memories import table_memories
from sterna.hw.units.pool.component import FEW_WORDS
from sterna.hw.units.protocol import Unit
from sterna.net import ActivationType
from sterna.sim.random_networks import random_dense_network
from sterna.sim.random_residual import random_residual_network

COUNTS = {"dense": 6, "conv": 6, "pool": 5, "argmax": 1}


@pytest.fixture(scope="module")
def units() -> list[Drawn]:
    return list(drawn(COUNTS))


@pytest.mark.parametrize("kind", list(COUNTS))
def test_memories_are_those_of_the_verilog(kind: str, units: list[Drawn]) -> None:
    for case in units:
        if case.name.startswith(kind):
            check_memories(case.unit, framed=case.framed)


def check_memories(unit: Unit, *, framed: bool = False) -> None:
    """The Verilog has those memories that the unit says, and puts those into block RAM."""
    text = verilog.convert(unit.component(framed=framed), name="unit", emit_src=False)
    found = re.findall(r"^ *reg (?:\[(\d+):0\] )?\S+ +\[(\d+):0\];", text, re.M)
    stated = [memory for memory in unit.memories if memory.name != "rows" or memory.depth >= FEW_WORDS]
    assert Counter((int(depth) + 1, int(width or 0) + 1) for width, depth in found) == Counter(
        (memory.depth, memory.width) for memory in stated
    ), unit.name
    forced = text.count('(* ram_style = "block" *)')
    assert forced == sum(memory.block for memory in stated), unit.name


@pytest.mark.parametrize("seed", range(4))
def test_memories_and_prices_of_branches(seed: int) -> None:
    """Additions and buffers among them."""
    plan = plan_accelerator(random_residual_network(np.random.default_rng(seed)), AcceleratorConfig())
    for unit in plan.units:
        check_memories(unit)
        assert estimate(unit, "iCE40").slots > 0
        assert estimate(unit, "ECP5").flip_flops > 0


def test_loaded_words_go_to_spram() -> None:
    """Where there is some: of 16,384 words of 16 bits."""
    network = random_dense_network(np.random.default_rng(3), sizes=[30, 20, 4])
    units = plan_accelerator(network, AcceleratorConfig(lanes=3, load=("all",))).units
    for unit in units:
        loaded, plain = estimate(unit, "iCE40", spram=True), estimate(unit, "iCE40")
        (index,) = (memory for memory in unit.memories if memory.name == "index")
        assert loaded.spram_blocks == -(-index.width // 16) > plain.spram_blocks == 0
        assert loaded.ram_blocks <= plain.ram_blocks


def test_each_sum_of_a_beat_searches_tables_of_its_own() -> None:
    """Behind a search of thresholds; what others read is the same for all sums of a beat."""
    output = ActivationType(width=2, signed=False)
    searched = level_tables(sum_shape=signed(8), output=output, levels=np.array([[-9, 1, 40], [-7, 5, 6]]))
    assert [memory.name for memory in table_memories(searched, sums=2)] == [
        "table_0",
        "table_1",
        "table_0_of_1",
        "table_1_of_1",
    ]
    scores = plan_tables(None, offset=np.arange(200), low=np.full(200, -9), high=np.full(200, 9))
    (bias,) = table_memories(scores, sums=2)
    assert (bias.depth, bias.width, bias.writable, bias.block) == (200, 8, False, True)
