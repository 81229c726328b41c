"""Constant carries folded into their chains: the same sums, proved by Yosys, whatever comes into the first cell."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from sterna.flow.carry_in import fold_carry_in
from sterna.flow.devices import find_device
from sterna.flow.pack import yosys_script
from sterna.flow.toolchain import Tool, run_tool

DESIGN = """
module top(input [7:0] a, b, input [8:0] c, output [8:0] up, output [9:0] even, less, output [7:0] short, none,
           output signed [10:0] odd, odd_less, output over, output [9:0] fixed);
    assign up = a + b;
    assign even = {1'b0, c} + {c[8], a[7], a};
    assign less = {1'b0, c} - {2'b0, b};
    assign short = a + b[6:0];
    assign none = a - b;
    assign odd = $signed({c, a[0]}) + $signed(b);
    assign odd_less = $signed({c, a[0]}) - $signed({b, c[1:0]});
    assign over = a < b;
    assign fixed = {1'b0, c} + 10'd37;
endmodule
"""
PROOF = """
read_json gold.json
read_json gate.json
read_verilog -overwrite +/lattice/cells_sim_ecp5.v
hierarchy
proc
flatten -wb gold
flatten -wb gate
miter -equiv -flatten gold gate both
hierarchy -top both
opt -full
sat -verify -prove trigger 0 -set-def-inputs both
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    work = tmp_path_factory.mktemp("mapped")
    (work / "design.v").write_text(DESIGN, encoding="utf-8")
    (work / "synth.ys").write_text(yosys_script("top", find_device("25f")), encoding="utf-8")
    run_tool(Tool.YOSYS, ["-q", "-s", "synth.ys"], cwd=work, log="yosys.log")
    modules: dict[str, Any] = json.loads((work / "mapped.json").read_text(encoding="utf-8"))["modules"]
    return modules


@pytest.mark.parametrize("carry", ["0", "1"])
def test_sums_are_the_same(tmp_path: Path, mapped: dict[str, Any], carry: str) -> None:
    original = copy.deepcopy(mapped)
    after, folded = fold_carry_in(mapped)
    assert mapped == original
    assert folded == 8  # of nine: the comparison's carry is read by a table
    for name, module in (("gold", mapped["top"]), ("gate", after["top"])):
        module = copy.deepcopy(module)
        module["attributes"].pop("top", None)
        for cell in module["cells"].values():
            if cell["connections"].get("CIN") == ["x"]:
                cell["connections"]["CIN"] = [carry]
        (tmp_path / f"{name}.json").write_text(json.dumps({"creator": "", "modules": {name: module}}))
    (tmp_path / "proof.ys").write_text(PROOF, encoding="utf-8")
    run_tool(Tool.YOSYS, ["-q", "-s", "proof.ys"], cwd=tmp_path, log="proof.log")


def test_no_chain_begins_with_a_constant_twice(mapped: dict[str, Any]) -> None:
    after, _ = fold_carry_in(mapped)
    assert fold_carry_in(after) == (after, 0)
