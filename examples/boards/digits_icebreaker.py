"""Handwritten digits on an iCEBreaker: 8 x 8 pixels to the board, ten scores back, over its USB cable.

With a board, openFPGALoader and a checkout of Sterna:

    sterna bitstream models/digits-mlp.safetensors --board icebreaker
    sterna program build/digits-mlp/digits-mlp-icebreaker.bin
    python examples/boards/digits_icebreaker.py --port /dev/ttyUSB1

Without a board, its design is simulated from its Verilog, and the same host talks to it through a pseudo-terminal:

    python examples/boards/digits_icebreaker.py

No physical board was used so far. The images are scikit-learn's: the 360 on which the network was not trained.
"""

from __future__ import annotations

from connection import Outcome, connected, parser, report, run

from sterna.net import load
from sterna.train.data import load_data


def main(arguments: list[str] | None = None) -> Outcome:
    """Sends images, and prints what comes back."""
    options = parser(__doc__, model="digits-mlp", frames=36, most=360).parse_args(arguments)
    network = load(options.model)
    data = load_data("digits")
    images = data.test_images[: options.frames].numpy()  # uint8, (frames, 1, 8, 8): 0 to 16
    labels = data.test_labels[: options.frames].numpy()
    codes = network.quantize(images.reshape(len(images), -1))  # 4 bits a pixel

    with connected(options.port, network, board="icebreaker") as board:
        scores = board.predict(codes)  # int64, (frames, 10)
        return report(board, network, codes, scores, labels)


if __name__ == "__main__":
    run(main)
