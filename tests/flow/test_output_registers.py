from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sterna.flow.devices import Family
from sterna.flow.gate_level import write_gates
from sterna.flow.output_registers import OutputRegisters, fold_output_registers
from sterna.flow.toolchain import Tool, run_tool
from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType, Linear, Network, Thresholds
from sterna.sim.errors import SimulationError
from sterna.sim.gate_level import GateLevelModel
from sterna.sim.golden import GoldenModel
from sterna.sim.simulators import Simulator, find
from sterna.sim.stalls import RandomStall

DESIGNS = Path(__file__).parent / "designs"
Netlist = dict[str, Any]


# ---- netlists made by hand: a RAM of two bits a side, with the clock at net 2


def cell(kind: str, outputs: dict[str, object], inputs: dict[str, object], **parameters: object) -> Netlist:
    directions = dict.fromkeys(outputs, "output") | dict.fromkeys(inputs, "input")
    connections = {pin: [bit] for pin, bit in (outputs | inputs).items()}
    return {"type": kind, "parameters": parameters, "port_directions": directions, "connections": connections}


def flip_flop(d: int, q: int, **inputs: object) -> Netlist:
    parameters = {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET", "SRMODE": "LSR_OVER_CE"}
    return cell("TRELLIS_FF", {"Q": q}, {"CLK": 2, "DI": d, "LSR": "0"} | inputs, **parameters)


def netlist(width: str = "00010010") -> Netlist:
    """Port B is read at nets 10 and 11 by registers at 20 and 21; DOB2 goes nowhere; port A writes."""
    ram = cell(
        "DP16KD",
        {"DOA0": 30, "DOA1": 31, "DOB0": 10, "DOB1": 11, "DOB2": 12},
        {"CLKA": 2, "CLKB": 2, "RSTA": "0", "RSTB": "0", "OCEA": "0", "OCEB": "0", "DIA0": 40, "WEA": 41},
        **{"DATA_WIDTH_A": width, "DATA_WIDTH_B": width, "REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        **{"CLKAMUX": "CLKA", "CLKBMUX": "CLKB"},
    )
    cells = {"ram": ram, "ff0": flip_flop(10, 20), "ff1": flip_flop(11, 21)}
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "out": {"direction": "output", "bits": [20, 21]},
    }
    return {"top": {"attributes": {}, "ports": ports, "cells": cells, "netnames": {}}}


def test_register_is_folded() -> None:
    before = netlist()
    original = copy.deepcopy(before)
    after, registers = fold_output_registers(before)
    assert before == original
    assert registers == OutputRegisters(folded=("top/ram.B",), left={}, flip_flops=2)
    assert registers.to_json() == {"folded": 1, "left": {}, "flip_flops": 2}
    assert list(after["top"]["cells"]) == ["ram"]
    ram, was = after["top"]["cells"]["ram"], original["top"]["cells"]["ram"]
    assert ram["connections"] == was["connections"] | {"DOB0": [20], "DOB1": [21], "OCEB": ["1"]}
    assert ram["parameters"] == was["parameters"] | {"REGMODE_B": "OUTREG"}
    assert fold_output_registers(after)[1].left == {"top/ram.B": "its output register is in use"}


def test_one_enable_is_folded() -> None:
    before = netlist()
    for name in ("ff0", "ff1"):
        change(name, CEMUX="CE", CE=50)(before["top"])
    after, registers = fold_output_registers(before)
    assert registers == OutputRegisters(folded=("top/ram.B",), left={}, flip_flops=2)
    assert after["top"]["cells"]["ram"]["connections"]["OCEB"] == [50]


def test_36_bits_leave_by_both_sides() -> None:
    before = netlist("00100100")
    before["top"]["cells"]["ff2"] = flip_flop(30, 22)
    after, registers = fold_output_registers(before)
    assert registers == OutputRegisters(folded=("top/ram.R",), left={}, flip_flops=3)
    ram = after["top"]["cells"]["ram"]
    assert (ram["parameters"]["REGMODE_A"], ram["parameters"]["REGMODE_B"]) == ("OUTREG", "OUTREG")
    assert (ram["connections"]["OCEA"], ram["connections"]["OCEB"]) == (["0"], ["1"])
    assert (ram["connections"]["DOA0"], ram["connections"]["DOB0"]) == ([22], [20])


def test_ports_are_judged_one_by_one() -> None:
    before = netlist()
    before["top"]["cells"]["ff2"] = flip_flop(30, 22, LSR=5)
    before["top"]["cells"]["ff3"] = flip_flop(31, 23)
    after, registers = fold_output_registers(before)
    assert registers.folded == ("top/ram.B",)
    assert registers.left == {"top/ram.A": "a flip-flop has a reset"}
    assert set(after["top"]["cells"]) == {"ram", "ff2", "ff3"}


def change(name: str, **values: object) -> Callable[[Netlist], None]:
    """A change of parameters (upper case, strings that are no nets) or connections of a cell."""

    def apply(module: Netlist) -> None:
        for key, value in values.items():
            kind = "parameters" if key.endswith(("MUX", "SET")) else "connections"
            module["cells"][name][kind][key] = value if kind == "parameters" else [value]
            module["cells"][name]["port_directions"].setdefault(key, "input")

    return apply


def add(name: str, what: Netlist) -> Callable[[Netlist], None]:
    return lambda module: module["cells"].update({name: what})


def out(bit: int) -> Callable[[Netlist], None]:
    return lambda module: module["ports"].update(word={"direction": "output", "bits": [bit]})


@pytest.mark.parametrize(
    ("apply", "reason"),
    [
        (change("ff1", CEMUX="CE", CE=50), "its flip-flops have several enables"),
        (change("ff1", CEMUX="INV", CE="1"), "a flip-flop has an inverted enable"),
        (change("ff1", CEMUX="INV", CE=50), "a flip-flop has an inverted enable"),
        (change("ff1", CEMUX="0 "), "a flip-flop has an inverted enable"),
        (change("ff1", LSR=51), "a flip-flop has a reset"),
        (change("ff1", LSRMUX="INV"), "a flip-flop has a reset"),
        (change("ff1", LSR="x"), "a flip-flop has a reset"),
        (change("ff1", REGSET="SET"), "a flip-flop starts at 1"),
        (change("ff1", CLK=3), "a flip-flop has another clock"),
        (change("ff1", CLKMUX="INV"), "a flip-flop has another clock"),
        (change("ram", CLKBMUX="INV"), "a flip-flop has another clock"),
        (change("ram", RSTB=52), "the RAM's output is reset"),
        (change("ram", RSTBMUX="INV"), "the RAM's output is reset"),
        (change("ram", OCEBMUX="INV"), "its output enable is not a plain pin"),
        (add("ff2", flip_flop(11, 22)), "a bit goes elsewhere than to one flip-flop"),
        (add("ff1", cell("LUT4", {"Z": 21}, {"A": 11})), "a bit goes elsewhere than to one flip-flop"),
        (add("ff1", cell("TRELLIS_FF", {"Q": 21}, {"CLK": 2, "DI": 20, "CE": 11})), "a bit goes elsewhere"),
        (out(11), "a bit goes elsewhere than to one flip-flop"),
        (lambda module: module["cells"]["ff1"].update(attributes={"keep": "1"}), "a flip-flop is to be kept"),
    ],
)
def test_anything_else_is_left(apply: Callable[[Netlist], None], reason: str) -> None:
    before = netlist()
    apply(before["top"])
    after, registers = fold_output_registers(before)
    assert after == before
    assert registers.folded == ()
    assert registers.flip_flops == 0
    ((port, why),) = registers.left.items()
    assert port == "top/ram.B"
    assert why.startswith(reason)


@pytest.mark.parametrize(
    "apply",
    [
        change("ff1", CEMUX="CE", CE="1"),
        change("ff1", CEMUX="INV", CE="0"),
        change("ff1", LSR="1", LSRMUX="INV"),
        lambda module: module["cells"]["ff1"]["connections"].pop("LSR"),
        lambda module: (
            [change(name, CLKMUX="INV")(module) for name in ("ff0", "ff1")] + [change("ram", CLKBMUX="INV")(module)]
        ),
    ],
)
def test_the_same_in_other_words_is_folded(apply: Callable[[Netlist], object]) -> None:
    before = netlist()
    apply(before["top"])
    assert fold_output_registers(before)[1].folded == ("top/ram.B",)


# ---- what Yosys makes of Verilog


def mapped(verilog: Path, top: str, folder: Path) -> Netlist:
    """The netlist of a design, as the flow maps it."""
    shutil.copyfile(verilog, folder / "design.v")
    script = f"read_verilog design.v\nsynth_ecp5 -nowidelut -top {top}\nwrite_json mapped.json\n"
    (folder / "synth.ys").write_text(script)
    run_tool(Tool.YOSYS, ["-q", "-s", "synth.ys"], cwd=folder, log="yosys.log")
    modules: Netlist = json.loads((folder / "mapped.json").read_text())["modules"]
    return modules


def gates(modules: Netlist, top: str, folder: Path, name: str) -> Path:
    (folder / "gates.json").write_text(json.dumps({"modules": modules}))
    write_gates(folder / "gates.json", folder / name, top=top, family=Family.ECP5)
    return folder / name


@pytest.mark.synth
def test_every_width(tmp_path: Path) -> None:
    """The netlist of a memory of each width gives the design's words, before and after: that judges the RAM's model."""
    design = DESIGNS / "memories.v"
    before = mapped(design, "memories", tmp_path)
    after, registers = fold_output_registers(before)
    assert len(registers.folded) == 6
    assert registers.left == {}
    assert registers.flip_flops == 1 + 2 + 4 + 9 + 18 + 36
    words = ("module memories", "module memory ", "  memory #")
    text = design.read_text()
    for word in words:
        text = text.replace(word, word.replace("memor", "rtl_memor"))
    (tmp_path / "rtl.v").write_text(text)
    ram = resources.files("sterna.sim") / "primitives" / "dp16kd.v"
    sources = [tmp_path / "rtl.v", DESIGNS / "memories_bench.v", Path(str(ram))]
    path = find(Simulator.ICARUS).environment
    for modules, name in ((before, "before.v"), (after, "after.v")):
        verilog = gates(modules, "memories", tmp_path, name)
        subprocess.run(
            ["iverilog", "-g2005", "-o", "bench", *sources, verilog], cwd=tmp_path, env=path, check=True, timeout=120
        )
        run = subprocess.run(["vvp", "-n", "bench"], cwd=tmp_path, env=path, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "0 wrong, 3999 known", name


@pytest.mark.synth
def test_registers_of_other_kinds_stay(tmp_path: Path) -> None:
    modules = mapped(DESIGNS / "registers.v", "registers", tmp_path)
    registers = fold_output_registers(modules)[1]
    left = {port.split("/")[1].split(".")[0]: reason for port, reason in registers.left.items()}
    assert sorted(port.split("/")[1].split(".")[0] for port in registers.folded) == ["enabled", "plain"]
    assert left == {
        "cleared": "a flip-flop has a reset",
        "falling": "a flip-flop has another clock",
        "shared": "a bit goes elsewhere than to one flip-flop",
    }


# ---- an accelerator


@pytest.fixture(scope="module")
def accelerator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path, Netlist, np.ndarray]:
    """Two layers whose index memories, input buffers and largest tables are block RAMs; its netlist, and frames."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return ((rng.random(shape) > 0.9) * rng.choice([-1, 1], shape)).astype(np.int8)

    levels = np.sort(rng.integers(-400, 400, (64, 15)), axis=1).astype(np.int32)
    requantize = Thresholds(output=ActivationType(4, False), levels=levels)
    nodes = [
        Linear(name="fc1", weights=weights(64, 160), requantize=requantize),
        Linear(name="fc2", weights=weights(10, 64)),
    ]
    network = Network(input_shape=(160,), input_type=ActivationType(8, False), input_scale=1.0, nodes=nodes)
    folder = tmp_path_factory.mktemp("accelerator")
    path = generate(network, folder, config=AcceleratorConfig(lanes=(4, 1), escape_price=0, name="two_layers"))
    frames = rng.integers(0, 256, (12, 160))
    frames[0], frames[1] = 0, 255
    return network, path, mapped(path.with_suffix(".v"), "two_layers", folder), frames


@pytest.mark.slow
@pytest.mark.synth
def test_gate_level(accelerator: tuple[Network, Path, Netlist, np.ndarray]) -> None:
    network, path, before, frames = accelerator
    after, registers = fold_output_registers(before)
    units = {port.split("/")[1].split(".0.")[0] for port in registers.folded}
    assert registers.left == {}
    assert {"fc1.core.index", "fc1.core.lane_0.buffer", "fc1.core.lane_3.buffer"} <= units
    assert any("requantizer" in unit for unit in units)
    expected = GoldenModel(network).predict(frames)
    unfolded = GateLevelModel(path, gates(before, "two_layers", path.parent, "before.v"), simulator="icarus")
    np.testing.assert_array_equal(unfolded.predict(frames[:3]), expected[:3])
    model = GateLevelModel(path, gates(after, "two_layers", path.parent, "after.v"), simulator="icarus")
    many = np.resize(frames, (model.frames_needed, 160))
    np.testing.assert_array_equal(model.predict(many), np.resize(expected, (len(many), 10)))
    assert model.interval is not None
    assert model.timing.differences(model.manifest) == []


@pytest.mark.slow
@pytest.mark.synth
def test_gate_level_with_stalls(accelerator: tuple[Network, Path, Netlist, np.ndarray]) -> None:
    network, path, before, frames = accelerator
    after, _ = fold_output_registers(before)
    stalled = GateLevelModel(
        path,
        gates(after, "two_layers", path.parent, "stalled.v"),
        simulator="icarus",
        input_stall=RandomStall(share=0.3),
        output_stall=RandomStall(share=0.9),
        seed=2,
    )
    np.testing.assert_array_equal(stalled.predict(frames[:5]), GoldenModel(network).predict(frames[:5]))


def without(what: str, before: Netlist) -> Netlist:
    """A netlist folded wrongly: the flip-flops stay, or the RAMs get no register."""
    after, _ = fold_output_registers(before)
    rams = [cell for cell in after["two_layers"]["cells"].values() if cell["type"] == "DP16KD"]
    if what == "registers":
        for ram in rams:
            ram["parameters"].update(REGMODE_A="NOREG", REGMODE_B="NOREG")
        return after
    wrong = copy.deepcopy(before)
    for name, ram in wrong["two_layers"]["cells"].items():
        if ram["type"] == "DP16KD":
            ram["parameters"] = after["two_layers"]["cells"][name]["parameters"]
    return wrong


@pytest.mark.synth
@pytest.mark.parametrize("what", ["removal", "registers"])
def test_gate_level_sees_a_wrong_fold(what: str, accelerator: tuple[Network, Path, Netlist, np.ndarray]) -> None:
    network, path, before, frames = accelerator
    wrong = gates(without(what, before), "two_layers", path.parent, f"{what}.v")
    try:
        scores = GateLevelModel(path, wrong, simulator="icarus").predict(frames[:2])
    except SimulationError:
        return
    assert (scores != GoldenModel(network).predict(frames[:2])).any()


def test_netlists_are_not_traced(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^a netlist cannot be traced: it has no units$"):
        GateLevelModel(tmp_path, tmp_path / "gates.v", trace=True)
