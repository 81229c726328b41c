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
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
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
TIMEOUT = 0.4


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
        except BoardError:  # nothing was returned
            self.refusals += 1
        self.batches += 1
        self.hangs += time.monotonic() - begun > self._patience

    def recovered(self, simulation: SerialSimulation) -> bool:
        """Whether all is well again on a line without faults."""
        simulation.inject()
        with Board(simulation.port, self._network, timeout=4 * TIMEOUT) as board:
            good = bool((board.predict(self._images[:20]) == self._golden[:20]).all())
            return good and board.sessions == 1


def run(seed: int, faults: int, patience: float, folder: str) -> dict[str, Any]:
    """Batches with at least so many faults on a board that has just been started; counts by name."""
    from sterna.cli.frames import test_set

    network = load(MODELS / f"{MODEL}.safetensors")
    images, _ = test_set(network, "digits")
    plan = plan_accelerator(network, AcceleratorConfig(lanes=1))
    top = SerialAccelerator(plan, clock_hz=CLOCK_HZ, baud=CLOCK_HZ / DIVIDER)
    campaign = Campaign(network, images, seed=seed, patience=patience)
    with SerialSimulation(
        emit_serial(top, name="top"), top="top", folder=folder, divider=DIVIDER, seed=seed
    ) as simulation:
        simulation.inject(**RATES)
        total = 0
        while total < faults:
            campaign.batch(simulation)
            counts = simulation.faults()
            total = sum(counts[kind] for kind in RATES) + campaign.kills
        recovered = campaign.recovered(simulation)
    return {
        "faults": {**{kind: counts[kind] for kind in RATES}, "killed": campaign.kills},
        "line_bytes": {"sent": counts["sent"], "received": counts["received"]},
        "batches": campaign.batches,
        "frames": campaign.frames,
        "sessions": campaign.sessions,
        "wrong": campaign.wrong,
        "hangs": campaign.hangs,
        "errors_raised": campaign.refusals,
        "runs": 1,
        "recovered": int(recovered),
    }


def merged(first: Any, second: Any) -> Any:
    """Counts of two runs, added up."""
    if isinstance(first, dict):
        return {name: merged(first[name], second[name]) for name in first}
    return first + second


def main() -> int:
    """Injects faults, prints the counts, and writes JSON after every run, so that what was counted is kept."""
    command = parser(__doc__)
    command.add_argument("--faults", type=int, default=10_000, help="in all, at least (default: %(default)s)")
    command.add_argument("--run", type=int, default=500, help="faults of a run, at least (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, help="of the first run (default: %(default)s)")
    command.add_argument("--patience", type=float, default=120, help="seconds of a batch (default: %(default)s)")
    command.add_argument("--jobs", type=int, default=3, help="runs at a time (default: %(default)s)")
    arguments = command.parse_args()
    seeds = range(arguments.seed, arguments.seed + -(-arguments.faults // arguments.run))
    figures: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool,
    ):
        runs = [pool.submit(run, seed, arguments.run, arguments.patience, folder) for seed in seeds]
        for done in as_completed(runs):
            figures = merged(figures, done.result()) if figures else done.result()
            total = sum(figures["faults"].values())
            print(
                f"{total} faults: {figures['wrong']} of {figures['frames']} results wrong, {figures['hangs']} hangs, "
                f"{figures['errors_raised']} errors raised",
                flush=True,
            )
            if arguments.output is not None:
                _write(arguments.output, figures, seeds, total)
    if arguments.output is None:
        _write(None, figures, seeds, total)
    return 0 if figures["recovered"] == figures["runs"] and not figures["wrong"] and not figures["hangs"] else 1


def _write(output: Path | None, figures: dict[str, Any], seeds: range, total: int) -> None:
    settings: dict[str, Any] = {
        "model": MODEL,
        "seeds": [seeds[0], seeds[-1]],
        "simulator": "verilator",
        "clocks_per_bit": DIVIDER,
        "rates": {**RATES, "killed": KILLS},
        "faults_total": total,
    }
    write(output, ("amaranth", "cocotb", "pyserial", "numpy"), {**settings, **figures})


if __name__ == "__main__":
    sys.exit(main())
