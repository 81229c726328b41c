"""What the examples for boards share: a board at a port or in a simulator, and what is said of its results.

The simulator has what ``sterna bitstream`` puts between the pins of oscillator and UART: reset, transport and
accelerator, but no PLL. So it runs at the oscillator's clock, and has fewer cycles to simulate than at the PLL's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sterna.boards.host import BAUD, Board
from sterna.cli.errors import is_users, message
from sterna.net import Network
from sterna.sim.golden import GoldenModel

MODELS = Path(__file__).resolve().parents[2] / "models"

# A simulator is slower than a board: so many seconds may pass before the host asks again, and before it gives up.
_TIMEOUT, _STALL = 60.0, 600.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of some frames.

    Attributes
    ----------
    frames : int
    different : int
        Those whose result is not the golden model's.
    right : int or None
        Those whose class is the label, where there are labels.
    frame_bytes, result_bytes : int
        Of all frames, and of all results.
    sent_bytes, received_bytes : int
        All that crossed the line, from the first question to the board on.
    """

    frames: int
    different: int
    right: int | None
    frame_bytes: int
    result_bytes: int
    sent_bytes: int
    received_bytes: int


def parser(description: str | None, *, model: str, frames: int, most: int) -> argparse.ArgumentParser:
    """The options that all examples have; at most so many frames."""

    def count(text: str) -> int:
        number = int(text) if text.isdecimal() else 0
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"must be 1 to {most}, not {text}")
        return number

    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--port", help="serial port of the board, as in /dev/ttyUSB1 (default: the board is simulated)")
    made.add_argument("--frames", type=count, default=frames, metavar="N", help=f"1 to {most} (default: {frames})")
    made.add_argument("--model", type=Path, default=MODELS / f"{model}.safetensors", help="file of the network")
    return made


@contextmanager
def connected(port: str | None, network: Network, *, board: str) -> Iterator[Board]:
    """The board at a port; without one, its design in a simulator while the block lasts."""
    if port is not None:
        with Board(port, network) as connection:
            _show(connection, f"at {port}")
            yield connection
    else:
        with (
            simulated(network, board) as terminal,
            Board(terminal, network, timeout=_TIMEOUT, stall=_STALL) as connection,
        ):
            _show(connection, f"{board}, simulated from its Verilog")
            yield connection


def _show(board: Board, where: str) -> None:
    print(f"board         {where}: {board.info.clock_hz / 1e6:.2f} MHz, {board.info.baud:,.0f} baud", flush=True)


@contextmanager
def simulated(network: Network, name: str) -> Iterator[str]:
    """A pseudo-terminal at whose other end Verilator runs a board's design."""
    from sterna.boards.build import make_top
    from sterna.boards.catalog import find_board
    from sterna.boards.design import BUFFER_SLOTS, fit_board, sure_hz
    from sterna.boards.pins import board_pins
    from sterna.boards.top import emit_top
    from sterna.boards.transport.accelerator import SerialAccelerator
    from sterna.hw import AcceleratorConfig
    from sterna.sim.serial_line import SerialSimulation

    board = find_board(name)
    oscillator, device = board.oscillator, board.device
    # The lanes of the bitstream: as many as the UART keeps busy.
    fit = fit_board(network, device, baud=BAUD, clock_hz=sure_hz(device), config=AcceleratorConfig())
    core = SerialAccelerator(fit.plan, clock_hz=oscillator.hz, baud=BAUD, slots=BUFFER_SLOTS[device.family])
    top = make_top(core, board=board, oscillator=oscillator, pins=board_pins(board, oscillator), setting=None)
    # The simulation also drives rst; these boards have no button for it.
    shell = "module pins(input clk, rst, rx, output tx);\n  top dut(.clk(clk), .rx(rx), .tx(tx));\nendmodule\n"
    with SerialSimulation(
        emit_top(top, name="top") + shell,
        top="pins",
        folder=Path("build") / "examples" / f"{name}-{network.digest[:12]}",
        divider=core.info.divider,
        clocks_per_bit=oscillator.hz / BAUD,
    ) as simulation:
        yield simulation.port


def report(board: Board, network: Network, codes: np.ndarray, scores: np.ndarray, labels: np.ndarray | None) -> Outcome:
    """Compares scores with the golden model's and classes with labels, and prints what was found.

    Parameters
    ----------
    board : Board
        That computed them, and nothing else.
    network : Network
    codes : integers, (frames, \\*input_shape)
    scores : int64, (frames, classes)
    labels : integers, (frames,), optional
    """
    golden = GoldenModel(network).predict(codes)
    sent, received = board.line_bytes
    outcome = Outcome(
        frames=len(codes),
        different=int((scores != golden).any(axis=1).sum()),
        right=None if labels is None else int((scores.argmax(axis=1) == labels).sum()),
        frame_bytes=len(codes) * board.info.input.frame_bytes,
        result_bytes=len(codes) * board.info.output.frame_bytes,
        sent_bytes=sent,
        received_bytes=received,
    )
    print(f"network       digest {network.digest[:12]}")
    print(f"frames        {outcome.frames}")
    if outcome.right is not None:
        print(f"right         {outcome.right} ({_percent(outcome.right, outcome.frames)})")
    differ = f"{outcome.different} of {outcome.frames} results differ"
    print(f"golden model  {differ if outcome.different else 'all results equal'}")
    print(f"sent          {sent:,} bytes, {_percent(outcome.frame_bytes, sent)} of them frames")
    print(f"received      {received:,} bytes, {_percent(outcome.result_bytes, received)} of them results")
    return outcome


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %"


def run(example: Callable[[], Outcome]) -> None:
    """Runs an example; ends with 1 and one line where something is wrong."""
    try:
        outcome = example()
    except Exception as error:
        if not is_users(error):
            raise
        sys.exit(f"error: {message(error)}")
    if outcome.different:
        sys.exit(f"error: {outcome.different} of {outcome.frames} results are not the golden model's")
