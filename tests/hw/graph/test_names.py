"""Names in the Verilog: whatever a node is called, no name stands for two things."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from bench import U4

from sterna.hw import AcceleratorConfig, generate, plan_accelerator
from sterna.hw.emit.verilog import emit_verilog
from sterna.hw.graph.names import KEYWORDS, OWN
from sterna.net import Linear, Network, ShiftRound
from sterna.sim.compare import compare

CONFIG = AcceleratorConfig(lanes=1, argmax=True, load=("all",), name="top")


def network(*names: str) -> Network:
    """Dense layers of these names, of two rows each."""
    hidden = ShiftRound(output=U4, bias=0, shift=1)
    weights = np.array([[1, -1], [1, 1]], np.int8)
    nodes = [
        Linear(name=name, weights=weights, requantize=hidden if k < len(names) - 1 else None)
        for k, name in enumerate(names)
    ]
    return Network(input_shape=(2,), input_type=U4, input_scale=1.0, nodes=nodes)


def top_module(text: str, name: str) -> tuple[set[str], list[str]]:
    """Everything that the top module declares, and its instances."""
    (body,) = re.findall(rf"^module {name}\(.*?^endmodule", text, re.M | re.S)
    declared = re.findall(r"^  (?:input|output|wire|reg)\b[^;=]*?(\S+)\s*(?:=[^;]*)?;", body, re.M)
    return set(declared), re.findall(r"^  \\\S+ +(\w+) \(", body, re.M)


def own_names() -> list[str]:
    """What the top module of a network that loads words has by itself, but for what Amaranth numbers."""
    plan = plan_accelerator(network("a", "b"), CONFIG)
    declared, instances = top_module(emit_verilog(plan), "top")
    return sorted(name for name in declared | {*instances} - {*plan.unit_names} if not name.startswith("\\"))


def test_the_reserved_names_are_those_of_the_top_module() -> None:
    declared = own_names()
    assert set(declared) >= OWN
    left = [name for name in declared if name not in OWN]
    assert left
    assert all("__" in name for name in left)


def names_of(*nodes: str, **config: object) -> tuple[str, ...]:
    return plan_accelerator(network(*nodes), AcceleratorConfig(lanes=1, **config)).unit_names


@pytest.mark.parametrize("name", [*own_names(), "begin", "logic", "Module", "top", "TOP", "argmax", "a__b", "_"])
def test_no_name_stands_for_two_things(name: str) -> None:
    plan = plan_accelerator(network(name, "b"), CONFIG)
    declared, instances = top_module(emit_verilog(plan), "top")
    assert sorted(instances) == sorted([*plan.unit_names, "load_port"])
    folded = [other.lower() for other in (*declared, *instances, "top")]
    assert len(set(folded)) == len(folded)
    assert not KEYWORDS & set(folded)


def test_names_differ_by_more_than_case() -> None:
    assert names_of("fc", "FC", "Fc") == ("fc", "FC_2", "Fc_3")
    assert names_of("a_b", "a__b", "A___b") == ("a_b", "a_b_2", "A_b_3")
    assert names_of("beat", "net", name="net") == ("beat_2", "net_2")
    assert names_of("wire", "wire_2") == ("wire_2", "wire_2_2")


def test_a_top_module_is_no_word_of_the_language() -> None:
    with pytest.raises(
        ValueError, match=r"^name must be a Verilog identifier, and 'module' is a word of the language$"
    ):
        plan_accelerator(network("a"), AcceleratorConfig(lanes=1, name="module"))


@pytest.mark.parametrize("names", [("beat", "frame_error"), ("s_axis_tdata", "m_axis_tlast"), ("net", "NET")])
def test_simulators_take_the_traced_design(names: tuple[str, str], tmp_path: Path) -> None:
    model = network(*names)
    generate(model, tmp_path, config=AcceleratorConfig(lanes=1, name="net"))
    frames = np.random.default_rng(0).integers(0, 16, (4, 2))
    compare(model, tmp_path, frames, trace=True, simulator="icarus").check()
