"""Spoken digits on an iCEBreaker: the host makes a small picture of each recording, and the board says the digit.

With a board, openFPGALoader and a checkout of Sterna:

    sterna bitstream models/fsdd-mlp.safetensors --board icebreaker
    sterna program build/fsdd-mlp/fsdd-mlp-icebreaker.bin
    python examples/boards/spoken_digits_icebreaker.py --port /dev/ttyUSB1 [RECORDING.wav ...]

Without a board, its design is simulated from its Verilog, and the same host talks to it through a pseudo-terminal:

    python examples/boards/spoken_digits_icebreaker.py [RECORDING.wav ...]

No physical board was used so far. A recording is one digit, one channel of 16 bits at 8,000 samples a second. Without
any, they are official test recordings of the Free Spoken Digit Dataset, from the folder fsdd in STERNA_DATA.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from connection import Outcome, connected, parser, report, run

from sterna.net import load
from sterna.train.spoken import TAKES, TEST_TAKES, picture, read_wave, recordings


def main(arguments: list[str] | None = None) -> Outcome:
    """Sends pictures of recordings, and prints what was heard."""
    made = parser(__doc__, model="fsdd-mlp", frames=30, most=300)
    made.add_argument("recordings", nargs="*", type=Path, metavar="RECORDING.wav")
    options = made.parse_args(arguments)
    network = load(options.model)
    paths = options.recordings or official(options.frames)
    labels = None if options.recordings else np.array([int(path.name[0]) for path in paths])  # as in 7_theo_0.wav

    samples = [read_wave(path) for path in paths]  # float64, -1 to 1, as long as each recording is
    pictures = np.stack([picture(sound) for sound in samples])  # uint8, (frames, 16 bands, 16 times): loudness
    codes = network.quantize(pictures.reshape(len(pictures), -1))  # 4 bits each

    with connected(options.port, network, board="icebreaker") as board:
        scores = board.predict(codes)  # int64, (frames, 10)
        for path, digit in zip(options.recordings or paths[:3], scores.argmax(axis=1), strict=False):
            print(f"heard         {digit} in {path.name}")
        return report(board, network, codes, scores, labels)


def official(count: int) -> list[Path]:
    """The first of the 300 test recordings: by take, then speaker, then digit."""
    test = [path for k, path in enumerate(recordings()) if k % TAKES < TEST_TAKES]
    return sorted(test, key=lambda path: path.stem.split("_")[::-1])[:count]


if __name__ == "__main__":
    run(main)
