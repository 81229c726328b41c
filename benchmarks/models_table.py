"""Writes models/README.md from what the files under models/ say of themselves.

python benchmarks/models_table.py
"""

from __future__ import annotations

from pathlib import Path

from sterna.net import Linear, Network, ShiftRound
from sterna.net.file import load

MODELS = Path(__file__).resolve().parents[1] / "models"
HEAD = """\
# Trained networks

Made by `python benchmarks/models_table.py` from the files' own metadata; `sterna info FILE` shows the rest of it (the
whole recipe, tool versions, digest of the training log). Accuracy is the integer network's on the whole test set; the
epoch was chosen on training images held out for it.

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
    """784-256-256-10, and the bits of input and activations."""
    sizes = [network.input_shape[0], *(network.shapes[node.name][0] for node in network.nodes)]
    types = [str(network.input_type), *(str(network.types[node.name]) for node in network.nodes[:-1])]
    return f"{'-'.join(map(str, sizes))}, {' '.join(types)}"


def requantization(network: Network) -> str:
    """The kinds of requantization that occur."""
    kinds = {type(node.requantize).__name__ for node in network.nodes if isinstance(node, Linear) and node.requantize}
    assert kinds <= {"Thresholds", ShiftRound.__name__}
    return ", ".join(sorted(kinds))


def render() -> str:
    """The whole file."""
    return HEAD + "".join(row(path) for path in sorted(MODELS.glob("*.safetensors")))


if __name__ == "__main__":
    (MODELS / "README.md").write_text(render())
