"""A network of one's own, from NumPy arrays to verified Verilog. No torch, no training.

The arrays could come from any training framework: ternary weights, and what follows each layer as integer thresholds
(or as a bias and a shift, see ``ShiftRound``).

    python examples/own_network.py [FOLDER]

writes own_network.v and own_network.json, simulates the Verilog on random inputs with Icarus or Verilator, and compares
every score, and every hidden code, with the exact integer model.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from sterna.hw import AcceleratorConfig, generate
from sterna.net import ActivationType, Linear, Network, Thresholds, save
from sterna.sim.compare import compare

rng = np.random.default_rng(2026)


def ternary(outputs: int, inputs: int, zeros: float) -> np.ndarray:
    """Weights in {-1, 0, +1}; here random, in your case trained."""
    return rng.choice([-1, 0, 1], size=(outputs, inputs), p=[(1 - zeros) / 2, zeros, (1 - zeros) / 2])


# Codes of 4 bits, 0 to 15, between the layers: the code is the number of thresholds that the sum reaches.
codes = ActivationType(width=4, signed=False)
levels = np.sort(rng.integers(-60, 60, size=(48, 15)), axis=1)

network = Network(
    input_shape=(100,),
    input_type=ActivationType(width=8, signed=True),
    input_scale=1 / 128,  # real value of input code 1; only for people, never used in a computation
    nodes=[
        Linear(name="hidden", weights=ternary(48, 100, 0.9), requantize=Thresholds(output=codes, levels=levels)),
        Linear(name="scores", weights=ternary(10, 48, 0.8), bias=rng.integers(-20, 20, size=10)),
    ],
)

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/own_network")
folder.mkdir(parents=True, exist_ok=True)
save(network, folder / "own_network.safetensors")
generate(network, folder, config=AcceleratorConfig(lanes=(4, 1), name="own_network"))

inputs = rng.integers(-128, 128, size=(100, 100))
simulator = "icarus" if shutil.which("iverilog") else "verilator"
report = compare(network, folder, inputs, simulator=simulator, trace=True)
report.check()  # raises, naming layer, channel and frame, if anything differs
print(
    f"{folder / 'own_network.v'}: {report.frames} frames equal in {simulator}; "
    f"latency {report.latency_cycles} cycles, one frame every {report.interval_cycles} cycles"
)
assert "torch" not in sys.modules
