"""Faults on the line between host and board: results that are wrong and were taken for right, and hangs.

The whole design between the pins of a UART is simulated from its emitted Verilog (Verilator). The host of
`sterna.boards.host` talks to it through a pseudo-terminal, and predicts batches of the digits' test images. A seed
draws what happens on the line, bit by bit: bits are inverted, bytes dropped and doubled, both ways; somebody pulls the
line low for a while; the design is reset. In some batches the host is killed (its port is closed when some results are
there, and nothing is said), and another one comes. Every result that a host gives is compared
with the golden model's. A batch that takes longer than ``--patience`` seconds counts as a hang.

``python benchmarks/board_faults.py --output benchmarks/results/board_faults.json``

The exit status is 1 where a result was wrong, or a host hung.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import MODELS, parser, write

from sterna.boards.host import Board, BoardError
from sterna.boards.transport.accelerator import SerialAccelerator, emit_serial
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net import Network
from sterna.net.file import load
from sterna.sim.golden import GoldenModel
from sterna.sim.serial_line import SerialSimulation

MODEL = "digits-mlp"
CLOCK_HZ, DIVIDER = 4e6, 4
#: Share of the bytes that a fault of each kind hits; of resets, share of the bytes' times.
RATES = {"flipped": 0.0024, "dropped": 0.0012, "doubled": 0.0012, "noise": 0.0012, "reset": 0.0002}
KILLS = 0.25  # share of the batches in which the host is killed
TIMEOUT = 0.15


class _Killed(Exception):
    """The host is gone."""


class Campaign:
    """Batch after batch, with faults, until there were enough.

    Parameters
    ----------
    network : Network
    images : int64, (images, \\*input shape)
        Codes.
    seed : int
    patience : float
        Seconds of a batch.
    """

    def __init__(self, network: Network, images: np.ndarray, *, seed: int, patience: float) -> None:
        self._network, self._images = network, images
        self._golden = GoldenModel(network).predict(images)
        self._rng, self._patience = random.Random(seed), patience
        self.frames = self.batches = self.wrong = self.hangs = self.kills = self.sessions = self.refusals = 0
        self.reasons: dict[str, int] = {}

    def batch(self, simulation: SerialSimulation) -> None:
        """One host that predicts a batch, or is killed."""
        chosen = [self._rng.randrange(len(self._images)) for _ in range(self._rng.choice((1, 1, 2, 2, 3, 7, 20)))]
        killed_at = self._rng.randrange(len(chosen)) if self._rng.random() < KILLS else None
        begun = time.monotonic()

        def progress(done: int, total: int) -> None:
            if killed_at is not None and done > killed_at:
                raise _Killed

        try:
            with Board(simulation.port, self._network, timeout=TIMEOUT) as board:
                try:
                    got = board.predict(self._images[chosen], progress=progress)
                    self.frames += len(chosen)
                    self.wrong += int((got != self._golden[chosen]).any(axis=1).sum())
                finally:
                    self.sessions += board.sessions
        except _Killed:
            self.kills += 1
        except BoardError as error:  # said clearly; nothing was returned
            self.refusals += 1
            self.reasons[str(error)] = self.reasons.get(str(error), 0) + 1
        self.batches += 1
        self.hangs += time.monotonic() - begun > self._patience

    def recovered(self, simulation: SerialSimulation) -> bool:
        """Whether all is well again on a line without faults."""
        simulation.inject()
        with Board(simulation.port, self._network, timeout=4 * TIMEOUT) as board:
            good = bool((board.predict(self._images[:20]) == self._golden[:20]).all())
            return good and board.sessions == 1


def main() -> int:
    """Injects faults, prints the counts, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--faults", type=int, default=10_000, help="stop after so many (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, help="of batches and faults (default: %(default)s)")
    command.add_argument("--patience", type=float, default=120, help="seconds of a batch (default: %(default)s)")
    arguments = command.parse_args()
    from sterna.cli.frames import test_set

    network = load(MODELS / f"{MODEL}.safetensors")
    images, _ = test_set(network, "digits")
    top = SerialAccelerator(
        plan_accelerator(network, AcceleratorConfig(lanes=1)), clock_hz=CLOCK_HZ, baud=CLOCK_HZ / DIVIDER
    )
    campaign = Campaign(network, images, seed=arguments.seed, patience=arguments.patience)
    with (
        tempfile.TemporaryDirectory() as folder,
        SerialSimulation(
            emit_serial(top, name="top"), top="top", folder=Path(folder), divider=DIVIDER, seed=arguments.seed
        ) as simulation,
    ):
        simulation.inject(**RATES)
        faults = 0
        while faults < arguments.faults:
            campaign.batch(simulation)
            counts = simulation.faults()
            faults = sum(counts[kind] for kind in RATES) + campaign.kills
            if campaign.batches % 50 == 0:
                print(f"{faults} faults, {campaign.frames} frames, {campaign.wrong} wrong", flush=True)
        recovered = campaign.recovered(simulation)
    figures: dict[str, Any] = {
        "model": MODEL,
        "seed": arguments.seed,
        "simulator": "verilator",
        "clocks_per_bit": DIVIDER,
        "rates": {**RATES, "killed": KILLS},
        "faults": {**{kind: counts[kind] for kind in RATES}, "killed": campaign.kills},
        "faults_total": faults,
        "line_bytes": {"sent": counts["sent"], "received": counts["received"]},
        "batches": campaign.batches,
        "frames": campaign.frames,
        "sessions": campaign.sessions,
        "wrong": campaign.wrong,
        "hangs": campaign.hangs,
        "errors_raised": campaign.refusals,
        "errors": campaign.reasons,
        "recovered": recovered,
    }
    print(
        f"{faults} faults: {campaign.wrong} of {campaign.frames} results wrong, {campaign.hangs} hangs, "
        f"{campaign.refusals} errors raised"
    )
    write(arguments.output, ("amaranth", "cocotb", "pyserial", "numpy"), figures)
    return 0 if recovered and not campaign.wrong and not campaign.hangs else 1


if __name__ == "__main__":
    sys.exit(main())
