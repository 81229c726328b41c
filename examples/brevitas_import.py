"""A small ternary network trained in Brevitas on digits, and from there to simulated Verilog.

    pip install brevitas onnxoptimizer        # Sterna itself does not need them
    python examples/brevitas_import.py [FOLDER]

trains for less than a minute, imports the model (proved on the test images, against what Brevitas' export computes),
writes digits.v and digits.json, and compares the Verilog with the integer model on every test image.
"""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sterna.hw import AcceleratorConfig, generate
from sterna.imports import from_brevitas
from sterna.net import save
from sterna.sim.compare import compare

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that Brevitas imports
    import brevitas.nn as qnn
    from brevitas.core.restrict_val import RestrictValueType
    from brevitas.core.scaling import ScalingImplType
    from brevitas.quant import SignedTernaryWeightPerTensorConst, Uint8ActPerTensorFloat


class Ternary(SignedTernaryWeightPerTensorConst):
    """-0.1, 0 or 0.1: a weight becomes 0 below half of that. Another threshold is not in what Brevitas exports."""

    scaling_const = 0.1
    threshold = 0.5


class FourBits(Uint8ActPerTensorFloat):
    """Codes of 0 to 15 over a fixed range."""

    bit_width = 4
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    max_val = 3.0


class Pixels(FourBits):
    """Pixels, of which 16 counts as 15."""

    max_val = 15.0


EPOCHS = 30

torch.manual_seed(1)
torch.set_num_threads(1)  # small layers gain nothing from more
model = torch.nn.Sequential(
    qnn.QuantIdentity(act_quant=Pixels),
    qnn.QuantLinear(64, 48, bias=False, weight_quant=Ternary),
    torch.nn.BatchNorm1d(48),
    qnn.QuantReLU(act_quant=FourBits),
    qnn.QuantLinear(48, 10, bias=False, weight_quant=Ternary),
)
images, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    images.astype(np.float32), labels, test_size=360, random_state=0, stratify=labels
)
for layer in (model[1], model[4]):
    torch.nn.init.uniform_(layer.weight, -0.12, 0.12)

optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)  # decay makes zeros
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
for _ in range(EPOCHS):
    model.train()
    for batch in torch.randperm(len(train_x)).split(64):
        scores = model(torch.from_numpy(train_x[batch]))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(scores, torch.from_numpy(train_y[batch])).backward()
        optimizer.step()
    schedule.step()

network = from_brevitas(model, torch.from_numpy(train_x[:1]), check=test_x)

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("build/brevitas_import")
folder.mkdir(parents=True, exist_ok=True)
save(network, folder / "digits.safetensors")
generate(network, folder, config=AcceleratorConfig(lanes=(8, 2), name="digits"))

codes = network.quantize(test_x)
simulator = "icarus" if shutil.which("iverilog") else "verilator"
report = compare(network, folder, codes, simulator=simulator)
report.check()  # raises, naming layer, channel and frame, if anything differs
with torch.no_grad():
    theirs = model.eval()(torch.from_numpy(test_x)).numpy().argmax(axis=1)
accuracy = [(classes == test_y).mean() for classes in (theirs, report.outputs.argmax(axis=1))]
print(
    f"{network.zeros:.1%} zeros; {accuracy[0]:.2%} of {len(test_y)} test images in Brevitas, {accuracy[1]:.2%} in "
    f"{simulator}: {report.frames} frames of {folder / 'digits.v'} equal, one every {report.interval_cycles} cycles"
)
