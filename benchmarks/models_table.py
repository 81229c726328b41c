"""Writes models/README.md from what the files under models/ say of themselves.

python benchmarks/models_table.py
"""

from __future__ import annotations

from pathlib import Path

from sterna.net import Network, SumNode, SumPool2d
from sterna.net.file import load

MODELS = Path(__file__).resolve().parents[1] / "models"
HEAD = """\
# Trained networks

Made by `python benchmarks/models_table.py` from the files' own metadata; `sterna info FILE` shows the rest of it (the
whole recipe, tool versions, digest of the training log). Accuracy is the integer network's on the test images at
hand; the epoch was chosen on training images held out for it. `cifar10-vgg-5m` was trained by its recipe on a GPU, and
exported on a CPU: the same seed elsewhere gives another network of like accuracy.

| file | layers | requantization | test accuracy | zeros | digest | made by |
|---|---|---|---|---|---|---|
"""


def row(path: Path) -> str:
    """One network's line of the table."""
    network = load(path)
    kept = network.metadata
    return (
        f"| `{path.name}` | {layers(network)} | {requantization(network)} | {100 * kept['test_accuracy']:.2f} % of "
        f"{kept['test_images']:,} | {100 * network.zeros:.2f} % | `{network.digest[:12]}` | `{kept['command']}` |\n"
    )


def layers(network: Network) -> str:
    """The input's shape, the recipe's topology with the classes, and the bits of input and activations."""
    model = network.metadata["recipe"]["model"]
    image = " x ".join(map(str, network.input_shape))
    bits = f"{network.input_type.width}-bit input, {model['activation_width']}-bit activations"
    return f"{image}: {model['topology']}-{network.output_shape[0]}; {bits}"


def requantization(network: Network) -> str:
    """The kinds of requantization behind the layers with weights and behind additions."""
    kinds = {
        type(node.requantize).__name__
        for node in network.nodes
        if isinstance(node, SumNode) and node.requantize and not isinstance(node, SumPool2d)
    }
    return ", ".join(sorted(kinds))


def render() -> str:
    """The whole file."""
    return HEAD + "".join(row(path) for path in sorted(MODELS.glob("*.safetensors")))


if __name__ == "__main__":
    (MODELS / "README.md").write_text(render())
