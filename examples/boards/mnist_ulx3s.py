"""MNIST on a ULX3S: LeNet-5, with 28 x 28 pixels to the board and ten scores back, over its USB cable.

With a board (here with an LFE5U-85F), openFPGALoader and a checkout of Sterna:

    sterna bitstream models/mnist-lenet5-95.safetensors --board ulx3s-85f
    sterna program build/mnist-lenet5-95/mnist-lenet5-95-ulx3s-85f.bit
    python examples/boards/mnist_ulx3s.py --port /dev/ttyUSB0

Without a board, its design is simulated from its Verilog, and the same host talks to it through a pseudo-terminal:

    python examples/boards/mnist_ulx3s.py

No physical board was used so far. The images are MNIST's test images: from the folder mnist in STERNA_DATA, or
downloaded.
"""

from __future__ import annotations

from connection import Outcome, connected, parser, report, run

from sterna.net import load
from sterna.train.data import load_data


def main(arguments: list[str] | None = None) -> Outcome:
    """Sends images, and prints what comes back."""
    options = parser(__doc__, model="mnist-lenet5-95", frames=10, most=10_000).parse_args(arguments)
    network = load(options.model)
    data = load_data("mnist")
    images = data.test_images[: options.frames].numpy()  # uint8, (frames, 1, 28, 28): 0 to 255
    labels = data.test_labels[: options.frames].numpy()
    codes = network.quantize(images)  # 4 bits a pixel

    with connected(options.port, network, board="ulx3s-85f") as board:
        scores = board.predict(codes)  # int64, (frames, 10)
        return report(board, network, codes, scores, labels)


if __name__ == "__main__":
    run(main)
