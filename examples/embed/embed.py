"""Runs the embedding example: a plain Verilog design around an accelerator, in plain Icarus, without cocotb.

python examples/embed/embed.py [FOLDER]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from sterna.hw import AcceleratorConfig, generate
from sterna.net import load
from sterna.sim.golden import GoldenModel

HERE = Path(__file__).resolve().parent
IMAGES, CLASS = 40, 7

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/embed")
folder.mkdir(parents=True, exist_ok=True)
if shutil.which("iverilog") is None:
    sys.exit("this example runs in Icarus Verilog: install iverilog (Debian: apt-get install iverilog)")

network = load(HERE.parents[1] / "models" / "digits-mlp.safetensors")
generate(network, folder, config=AcceleratorConfig(lanes=2, argmax=True, name="digits"))

from sklearn.datasets import load_digits  # noqa: E402  (after the check that needs no data)

images = load_digits().images[:IMAGES]
codes = network.quantize(images.reshape(IMAGES, *network.input_shape))
classes = GoldenModel(network).classify(codes)
(folder / "images.hex").write_text("".join(f"{code:x}\n" for code in codes.reshape(-1)))
(folder / "expected.hex").write_text("".join(f"{int(seen == CLASS)}\n" for seen in classes))

sources = [folder / "digits.v", HERE / "blink_on_class.v", HERE / "blink_on_class_tb.v"]
subprocess.run(["iverilog", "-g2005", "-o", str(folder / "sim"), *map(str, sources)], check=True)
printed = subprocess.run(["vvp", "sim"], cwd=folder, check=True, capture_output=True, text=True).stdout
print(printed, end="")
sys.exit(0 if printed.startswith("PASS") else 1)
