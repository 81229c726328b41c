# amaranth: UnusedElaboratable=no
"""A board's whole top, from its Verilog: oscillator, PLL, reset and pins, with the real host at the other end."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sterna.boards.clock import ClockSource, PllInput, hold_cycles
from sterna.boards.host import Board
from sterna.boards.pll import highest_setting
from sterna.boards.top import BoardTop, emit_top
from sterna.boards.transport.accelerator import SerialAccelerator
from sterna.flow.devices import Family
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net import load
from sterna.sim.benches.expect import CLOCK_NS
from sterna.sim.golden import GoldenModel
from sterna.sim.serial_line import SerialSimulation

MODELS = Path(__file__).parents[2] / "models"
PLL_MODEL = (resources.files("sterna.sim") / "primitives" / "pll.v").read_text(encoding="utf-8")
#: The bench's clock is the board's oscillator.
OSCILLATOR = round(1e9 / CLOCK_NS)
#: The bench resets a design by `rst`: here that is the board's button.
SHELL = """
module shell(input clk, rst, rx, output tx);
  top dut(.clk(clk), .rst(rst), .rx(rx), .tx(tx));
endmodule
"""


@pytest.mark.parametrize(
    ("family", "pll_input", "hz", "frames", "simulator"),
    [
        (Family.ECP5, PllInput.ECP5, 131.7e6, 4, "icarus"),
        pytest.param(Family.ICE40, PllInput.CORE, 66.7e6, 20, "icarus", marks=pytest.mark.slow),
        pytest.param(Family.ECP5, None, OSCILLATOR, 20, "icarus", marks=pytest.mark.slow),
        pytest.param(Family.ICE40, PllInput.PAD, 48e6, 360, "verilator", marks=pytest.mark.slow),
        pytest.param(Family.ECP5, PllInput.ECP5, 95e6, 360, "verilator", marks=pytest.mark.slow),
    ],
)
def test_digits_through_the_top(
    family: Family, pll_input: PllInput | None, hz: float, frames: int, simulator: str, tmp_path: Path
) -> None:
    setting = None if pll_input is None else highest_setting(family, OSCILLATOR, hz)
    clock_hz = float(OSCILLATOR if setting is None else setting.output_hz)
    network = load(MODELS / "digits-mlp.safetensors")
    plan = plan_accelerator(network, AcceleratorConfig(lanes=1, name="digits"))
    baud = clock_hz / 12
    top = BoardTop(
        core=SerialAccelerator(plan, clock_hz=clock_hz, baud=baud),
        source=ClockSource(setting=setting, pll_input=pll_input or PllInput.ECP5),
        hold=hold_cycles(family, clock_hz),
        reset_pin=True,
    )
    verilog = "\n".join([emit_top(top, name="top"), SHELL, PLL_MODEL])
    images = network.quantize(load_digits().data[-frames:])
    with (
        SerialSimulation(
            verilog,
            top="shell",
            folder=tmp_path,
            divider=12,
            clocks_per_bit=OSCILLATOR / baud,
            simulator=simulator,
            delays=True,
        ) as simulation,
        Board(simulation.port, network, timeout=20.0) as board,
    ):
        scores = board.predict(images)
    assert np.array_equal(scores, GoldenModel(network).predict(images))
