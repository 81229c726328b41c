"""Networks that replace each other on a board while frames flow: results that are not of the network that answered.

The whole design between the pins of a UART is simulated from its emitted Verilog (Verilator): a small accelerator with
two halves of every memory (``--loadable``). The host of `sterna.boards.host` predicts random frames through a
pseudo-terminal, batch after batch. A second thread loads one network after the other, all of the same shapes. Every
result is compared with that of the golden model of the network which the host says has computed it; and every network
has to come in its turn. With ``--faults``, bits are inverted and bytes dropped and doubled on the line, both ways, and
the design is reset.

``python benchmarks/board_swaps.py --output benchmarks/results/board_swaps.json``

The exit status is 1 where a result was wrong, or a network out of turn.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from typing import Any

import numpy as np
from common import parser, write

from sterna.boards.host import Board
from sterna.boards.transport.accelerator import SerialAccelerator, emit_serial
from sterna.hw import AcceleratorConfig, plan_accelerator
from sterna.net import ActivationType, Linear, Network, Thresholds
from sterna.sim.golden import GoldenModel
from sterna.sim.serial_line import SerialSimulation

SHAPE = (8, 6, 3)
ROOM = 3.0
DIVIDER = 4
CLOCK_HZ = 4e6
BATCH = 4000
RATES = {"flipped": 0.0001, "dropped": 0.00005, "doubled": 0.00005, "reset": 0.00001}


def random_network(seed: int) -> Network:
    """Two dense layers with thresholds between, 3-bit signed codes, a third of the weights 0."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = SHAPE
    kind = ActivationType(width=3, signed=True)
    levels = np.sort(rng.integers(-4, 8, (hidden, 7)), axis=1).astype(np.int32)
    return Network(
        input_shape=(inputs,),
        input_type=kind,
        input_scale=1.0,
        nodes=[
            Linear(
                name="hidden",
                weights=rng.choice([-1, 0, 1], (hidden, inputs)).astype(np.int8),
                requantize=Thresholds(output=kind, levels=levels),
            ),
            Linear(name="scores", weights=rng.choice([-1, 0, 1], (outputs, hidden)).astype(np.int8)),
        ],
    )


def changes(names: list[str]) -> list[str]:
    """Without repetitions."""
    return [name for k, name in enumerate(names) if k == 0 or names[k - 1] != name]


def swap(simulation: SerialSimulation, networks: list[Network], swaps: int, seed: int) -> dict[str, Any]:
    """Loads so many networks, one after the other, while frames flow."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(-4, 4, (BATCH, SHAPE[0]))
    golden = {each.digest: GoldenModel(each).predict(frames) for each in networks}
    with Board(simulation.port, networks[0], timeout=2.0) as board:
        compiled = [board.compile(each) for each in networks]
        turns = [k % len(networks) for k in range(1, swaps + 1)]
        failure: list[BaseException] = []

        def work() -> None:
            try:
                for turn in turns:
                    board.load(compiled[turn])
            except BaseException as error:
                failure.append(error)

        loader = threading.Thread(target=work)
        begun, seen, wrong, inside = time.monotonic(), list[str](), 0, 0

        def progress(done: int, total: int) -> None:
            if not loader.ident:
                loader.start()

        while not seen or loader.is_alive():
            scores, names = board.predict_named(frames, progress=progress)
            wrong += int((scores != [golden[name][k] for k, name in enumerate(names)]).any(axis=1).sum())
            inside += len(changes(names)) - 1
            seen += names
            print(f"{len(seen)} frames, {inside} networks swapped between them, {wrong} wrong", flush=True)
        loader.join()
        if failure:
            raise failure[0]
        wanted = iter([networks[0].digest, *(networks[turn].digest for turn in turns)])
        return {
            "networks": len(networks),
            "swaps": swaps,
            "swaps_inside_batches": inside,
            "load_bytes": len(compiled[0]),
            "frames": len(seen),
            "wrong": wrong,
            "in_turn": all(name in wanted for name in changes(seen)) and board.digest == networks[turns[-1]].digest,
            "sessions": board.sessions,
            "line_bytes": dict(zip(("sent", "received"), board.line_bytes, strict=True)),
            "counters": vars(board.counters()),
            "seconds": time.monotonic() - begun,
        }


def main() -> int:
    """Swaps networks, prints counts, and writes JSON."""
    command = parser(__doc__)
    command.add_argument("--swaps", type=int, default=1000, help="networks that are loaded (default: %(default)s)")
    command.add_argument("--networks", type=int, default=100, help="different ones (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, help="of frames and faults (default: %(default)s)")
    command.add_argument("--faults", action="store_true", help="damage what goes over the line")
    arguments = command.parse_args()
    networks = [random_network(seed) for seed in range(arguments.networks)]
    plan = plan_accelerator(networks[0], AcceleratorConfig(loadable=ROOM))
    top = SerialAccelerator(plan, clock_hz=CLOCK_HZ, baud=CLOCK_HZ / DIVIDER)
    with (
        tempfile.TemporaryDirectory() as folder,
        SerialSimulation(
            emit_serial(top, name="top"), top="top", folder=folder, divider=DIVIDER, seed=arguments.seed
        ) as simulation,
    ):
        if arguments.faults:
            simulation.inject(**RATES)
        figures = swap(simulation, networks, arguments.swaps, arguments.seed)
        figures["faults"] = {kind: count for kind, count in simulation.faults().items() if kind in RATES}
    settings = {"shape": SHAPE, "loadable": ROOM, "simulator": "verilator", "seed": arguments.seed}
    write(arguments.output, ("amaranth", "cocotb", "pyserial", "numpy"), {**settings, **figures})
    return 0 if figures["in_turn"] and not figures["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
