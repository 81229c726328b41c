"""Sizes of the committed networks as the hardware stores them, against the same topology with 1-bit and 2-bit weights.

    python benchmarks/model_size.py --output benchmarks/results/model_size.json

A network's weights are the index words of its schedules, with fillers, waits, row ends, padding and the maps of the
input columns; the other topology has one or two bits a weight and nothing else. Requantization (levels, or biases and
shifts, at the width in which the hardware keeps them) is the same for all three, and is listed beside. Fully connected
networks only: convolutions have no schedule yet.
"""

from __future__ import annotations

from typing import Any

from common import MODELS, parser, write

from sterna.hw import AcceleratorConfig
from sterna.hw.graph.lower import lower
from sterna.hw.graph.plan import plan_accelerator
from sterna.net import Network, load
from sterna.net.nodes import SumNode, WeightNode
from sterna.net.requantize import ShiftRound, Thresholds

LANES = 8


def requantization_bits(network: Network) -> int:
    """Levels, or a bias a channel and a shift, at the accumulators' width; biases of the last layer likewise."""
    total = 0
    for node in network.nodes:
        if not isinstance(node, SumNode):
            continue
        width = network.accumulators[node.name].width
        channels = network.shapes[node.name][0]
        if isinstance(node.requantize, Thresholds):
            total += channels * node.requantize.levels.shape[1] * width
        elif isinstance(node.requantize, ShiftRound):
            total += channels * width + 5
        elif isinstance(node, WeightNode) and node.bias is not None:
            total += channels * width
    return total


def size(network: Network) -> dict[str, Any]:
    """Bits of the weights as stored, and the ratios."""
    grains = [layer.lane_grain for layer in lower(network) if layer.lane_grain]
    lanes = [max(LANES // grain, 1) * grain for grain in grains]  # of a convolution, a row of its map
    plan = plan_accelerator(network, AcceleratorConfig(lanes=(*lanes[:-1], 1)))
    stored = sum(unit.describe().get("index_bits", 0) for unit in plan.units)
    return {
        "digest": network.digest,
        "test_accuracy": network.metadata["test_accuracy"],
        "zeros": network.zeros,
        "weights": network.weight_count,
        "index_bits": stored,
        "against_1_bit": network.weight_count / stored,
        "against_2_bit": 2 * network.weight_count / stored,
        "requantization_bits": requantization_bits(network),
    }


def main() -> None:
    command = parser(__doc__)
    arguments = command.parse_args()
    report = {}
    for path in sorted(MODELS.glob("*.safetensors")):
        report[path.stem] = made = size(load(path))
        print(
            f"{path.stem}: {made['index_bits']:,} bits, {made['against_1_bit']:.2f} and {made['against_2_bit']:.2f} "
            f"times smaller; requantization {made['requantization_bits']:,} bits"
        )
    write(arguments.output, (), {"lanes": LANES, "model_size": report})


if __name__ == "__main__":
    main()
