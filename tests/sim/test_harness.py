"""Names in the Verilog test bench: whatever the design's modules and layers are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sterna.sim.errors import SimulationError
from sterna.sim.harness import Harness
from sterna.sim.manifest import Manifest

TINY = Manifest.load(Path(__file__).parents[1] / "rtl" / "data")
DESIGN = TINY.read_verilog()


def named(top: str, *, unit: str = "fc1") -> tuple[Manifest, str]:
    """The tiny accelerator with other names."""
    first = replace(TINY.units[0], transfer=(unit, "transfer"), payload=(unit, "o__payload"))
    design = DESIGN.replace("module tiny(", f"module {top}(").replace("tiny_fc1 fc1(", f"tiny_fc1 {unit}(")
    return replace(TINY, name=top, units=(first, TINY.units[1])), design


def test_usual_names() -> None:
    harness = Harness(TINY, DESIGN)
    assert harness.top == "sterna_harness"
    assert harness.text.count("module sterna_harness;") == 1
    assert "\\tiny  dut(" in harness.text
    assert harness.design == DESIGN


@pytest.mark.parametrize(
    ("top", "more", "harness"),
    [
        ("sterna_harness", "", "sterna_harness_"),
        ("sterna_harness_", "", "sterna_harness"),
        ("sterna_harness", "module sterna_harness_(); endmodule", "sterna_harness__"),
        ("tiny", "module \\sterna_harness (); endmodule", "sterna_harness_"),
    ],
)
def test_no_module_has_the_name_of_the_harness(top: str, more: str, harness: str) -> None:
    manifest, design = named(top)
    assert Harness(manifest, f"{design}\n{more}").top == harness


def test_a_layer_with_the_name_of_the_top_module() -> None:
    manifest, design = named("tiny", unit="tiny")
    traced = Harness(manifest, design, trace=True)
    assert traced.design == design.replace("module tiny(", "module sterna_dut (")
    assert "\\sterna_dut  dut(" in traced.text
    assert "dut.\\tiny .\\transfer " in traced.text
    assert Harness(manifest, design).design == design
    more = "module sterna_dut(); endmodule"
    assert "\\sterna_dut_  dut(" in Harness(manifest, f"{design}\n{more}", trace=True).text


def test_module_is_missing() -> None:
    with pytest.raises(SimulationError, match="other: the Verilog has no module of that name"):
        Harness(replace(TINY, name="other"), DESIGN)
