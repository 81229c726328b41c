"""The committed networks measured again: accuracy on all test images at hand and on the held-out ones, zeros, sizes.

    python benchmarks/committed.py --output benchmarks/results/committed.json

Accuracies are the golden model's. Held-out images are the last ones of the training part, which chose the epoch and
were never trained on. Of CIFAR-10's test set whatever ``test_batch.bin`` holds is used, and how many is said.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from common import MODELS, parser, write

from sterna.net import cost, load
from sterna.train.api import golden_accuracy
from sterna.train.data import load_data


def measure(path: Path) -> dict[str, Any]:
    """Figures of one file."""
    network = load(path)
    kept = network.metadata
    data = load_data(kept["data"])
    held_out = kept["validation_images"]
    validation = dataclasses.replace(
        data, test_images=data.train_images[-held_out:], test_labels=data.train_labels[-held_out:]
    )
    return {
        "data": data.name,
        "test_accuracy": golden_accuracy(network, data),
        "test_images": len(data.test_images),
        "held_out_accuracy": golden_accuracy(network, validation),
        "held_out_images": held_out,
        "zeros": network.zeros,
        "layers": {layer.name: {"weights": layer.weights, "zeros": layer.zeros} for layer in cost.layer_costs(network)},
        "weights": network.weight_count,
        "file_bytes": path.stat().st_size,
        "input_bits": network.input_type.width,
        "activation_bits": kept["recipe"]["model"]["activation_width"],
        "topology": kept["recipe"]["model"]["topology"],
        "method": kept["recipe"]["method"]["name"],
        "digest": network.digest,
        "command": kept["command"],
    }


def main() -> None:
    command = parser(__doc__)
    arguments = command.parse_args()
    report = {}
    for path in sorted(MODELS.glob("*.safetensors")):
        report[path.stem] = made = measure(path)
        print(
            f"{path.stem}: {100 * made['test_accuracy']:.2f} % of {made['test_images']:,} test images, "
            f"{100 * made['held_out_accuracy']:.2f} % of {made['held_out_images']:,} held out, "
            f"zeros {100 * made['zeros']:.2f} %, {made['file_bytes']:,} bytes",
            flush=True,
        )
    write(arguments.output, (), {"committed": report})


if __name__ == "__main__":
    main()
