"""Memories with one port: SPRAM where a device has it, block RAM elsewhere; and what the mapped netlist computes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sterna.flow.devices import Family, find_device
from sterna.flow.gate_level import write_gates
from sterna.flow.netlist import count_resources, leaf_cells, read_netlist
from sterna.flow.pack import yosys_script
from sterna.flow.toolchain import Tool, run_tool
from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType, Linear, Network, ShiftRound
from sterna.sim.gate_level import GateLevelModel
from sterna.sim.golden import GoldenModel
from sterna.sim.random_networks import random_weights
from sterna.sim.stalls import RandomStall

U4 = ActivationType(width=4, signed=False)


@pytest.fixture(scope="module")
def accelerator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    """Two layers, both of whose index words are loaded: 20 bits wide and some hundred deep, and 4 bits wide."""
    rng = np.random.default_rng(8)
    hidden = ShiftRound(output=U4, bias=0, shift=2)
    nodes = [
        Linear(name="fc1", weights=random_weights(rng, rows=40, columns=96, zeros=0.7), requantize=hidden),
        Linear(name="fc2", weights=random_weights(rng, rows=6, columns=40, zeros=0.4)),
    ]
    network = Network(input_shape=(96,), input_type=U4, input_scale=1.0, nodes=nodes)
    folder = tmp_path_factory.mktemp("accelerator")
    return network, generate(network, folder, config=AcceleratorConfig(lanes=(5, 1), load=("all",), name="loads"))


def mapped(verilog: Path, device: str) -> Path:
    """The netlist that Yosys makes for a device."""
    folder = verilog.parent / device
    folder.mkdir()
    (folder / "design.v").write_text(verilog.read_text())
    (folder / "synth.ys").write_text(yosys_script("loads", find_device(device)))
    run_tool(Tool.YOSYS, ["-q", "-s", "synth.ys"], cwd=folder, log="yosys.log")
    return folder / "mapped.json"


def test_a_device_without_spram_is_not_asked_for_it() -> None:
    for device, wanted in (("up5k", True), ("hx8k", False), ("85f", False)):
        assert ("huge" in yosys_script("top", find_device(device))) == wanted


@pytest.mark.synth
@pytest.mark.parametrize(("device", "sprams"), [("up5k", 3), ("hx8k", 0), ("25f", 0)])
def test_index_words_lie_where_the_device_has_room(accelerator: tuple[Network, Path], device: str, sprams: int) -> None:
    _, path = accelerator
    cells = list(leaf_cells(read_netlist(mapped(path.with_suffix(".v"), device)), "loads"))
    family = find_device(device).family
    found = Counter(kind for _, kind in cells)
    assert count_resources(family, found, found).spram_blocks == sprams
    kinds = {kind for name, kind in cells if "core.index." in name and "RAM" in kind} or {
        kind for _, kind in cells if kind == "DP16KD"
    }
    assert kinds == {"SB_SPRAM256KA" if sprams else "SB_RAM40_4K" if family is Family.ICE40 else "DP16KD"}


@pytest.mark.slow
@pytest.mark.synth
def test_gate_level(accelerator: tuple[Network, Path]) -> None:
    """SPRAM as Yosys describes it knows no word before it is written."""
    network, path = accelerator
    netlist = path.parent / "up5k" / "mapped.json"
    if not netlist.is_file():
        mapped(path.with_suffix(".v"), "up5k")
    gates = path.parent / "gates.v"
    write_gates(netlist, gates, top="loads", family=Family.ICE40)
    frames = np.random.default_rng(1).integers(0, 16, (4, 96))
    for stall in (None, RandomStall(share=0.4)):
        model = GateLevelModel(path, gates, simulator="icarus", input_stall=stall, output_stall=stall)
        np.testing.assert_array_equal(model.predict(frames), GoldenModel(network).predict(frames))
